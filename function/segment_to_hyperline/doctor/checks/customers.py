"""Check the customers of the examples."""

from collections.abc import Iterator, Sequence

from segment_to_hyperline.doctor.findings import Finding, accept, doubt, reject
from segment_to_hyperline.doctor.installation import Installation
from segment_to_hyperline.text import format_count, make_printable

# What Hyperline calls a customer that it created because an event has its id.
# https://docs.hyperline.co/docs/usage/usage-data-with-connectors
_AUTOMATIC = "automatically_created"
_MAX_SHOWN = 5


def check_customers(found: Installation) -> Iterator[Finding]:
    """Whether they exist, and somebody has created them."""
    if not found.request.events:
        yield doubt("no EVENTS are given", "run `doctor` with EVENTS")
        return
    names = sorted(found.mapping.examples.get().customers)
    customers = found.hyperline.customers.get()
    ids = {name: customers.find_id(name) for name in names}
    missing = [name for name, customer_id in ids.items() if customer_id is None]
    automatic = [
        name
        for name, customer_id in ids.items()
        if customer_id and customers.statuses.get(customer_id) == _AUTOMATIC
    ]
    if missing:
        yield reject(
            f"{_list(missing)}: no such customer",
            "create them in Hyperline with this external id, or correct customer_id in"
            " the mapping",
        )
    if automatic:
        yield reject(
            f"{_list(automatic)}: created by Hyperline because of an event",
            "correct customer_id in the mapping, or complete the customer",
        )
    if not missing and not automatic:
        yield accept(f"{format_count(len(names), 'customer')} exist")


def check_subscribed(found: Installation) -> Iterator[Finding]:
    """Whether they have an active subscription, without which nothing is invoiced."""
    if not found.request.events:
        yield doubt("no EVENTS are given", "run `doctor` with EVENTS")
        return
    customers = found.hyperline.customers.get()
    active = {s.customer_id for s in found.hyperline.subscriptions.get() if s.is_active}
    known = {
        name: customer_id
        for name in sorted(found.mapping.examples.get().customers)
        if (customer_id := customers.find_id(name))
    }
    lacking = [name for name, customer_id in known.items() if customer_id not in active]
    if lacking:
        yield reject(
            f"{_list(lacking)}: no active subscription",
            "create a subscription in Hyperline; until then nothing is invoiced",
        )
    elif known:
        yield accept(
            f"each of {format_count(len(known), 'customer')} has a subscription"
        )


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(map(make_printable, names[:_MAX_SHOWN]))
    more = len(names) - _MAX_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
