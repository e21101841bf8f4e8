"""Make the plan of a backfill from a comparison, with all that it needs later."""

from collections.abc import Sequence

from segment_to_hyperline.archive.sources import Source
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.expected.texts import read_texts
from segment_to_hyperline.reconciliation.plan import POSTS, Item, Plan
from segment_to_hyperline.reconciliation.planning import Wanted, plan_items
from segment_to_hyperline.reconciliation.target import Compared


def create_plan(
    compared: Compared,
    sources: Sequence[Source],
    wanted: Wanted,
    now: int,
    *,
    is_queued: bool,
) -> Plan:
    """Return the plan for what is *wanted* at the time *now*, in milliseconds.

    If it *is_queued*, it has the events as Segment sent them, which are read again.
    Raises `InputError`, and others as `Client.get`.
    """
    found = compared.found
    planned = plan_items(found, compared.target.events, wanted, now, queue=is_queued)
    texts: dict[str, str] = {}
    if is_queued:
        names = {item.message_id for item in planned.items if item.action in POSTS}
        texts = read_texts(sources, found.store.sequences(names))
    return Plan(
        compared.header,
        found.event_types,
        select_customers(planned.items, found.customers),
        planned.items,
        texts,
        wanted.old,
        planned.left_out,
    )


def select_customers(items: Sequence[Item], customers: Customers) -> dict[str, str]:
    """Return Hyperline's ids of the customers of *items*, as far as known.

    Those who have an item in Hyperline count too: otherwise it isn't known later that
    they are others than those who should.
    """
    found = {customer for item in items for _, customer, _ in item.found}
    names = {item.customer for item in items}
    return {
        name: customer_id
        for name, customer_id in customers.ids.items()
        if name in names or customer_id in found
    }
