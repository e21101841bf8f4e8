"""Check the customers of the examples."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from segment_to_hyperline.doctor.findings import Finding, accept, doubt, reject
from segment_to_hyperline.doctor.installation import Installation
from segment_to_hyperline.reconciliation.api.core.catalog import Subscription
from segment_to_hyperline.reconciliation.api.customers import DELETED
from segment_to_hyperline.text import format_count, make_printable

# What Hyperline calls a customer that it created because an event has its id.
# https://docs.hyperline.co/docs/usage/usage-data-with-connectors
_AUTOMATIC = "automatically_created"
_MISSING = "missing"
_MAX_SHOWN = 5
# What is wrong with a customer that has this status, and what to do.
_PROBLEMS = {
    _MISSING: (
        "no such customer",
        "create them with this external id, or correct customer_id in the mapping",
    ),
    _AUTOMATIC: (
        "created by Hyperline because of an event",
        "correct customer_id in the mapping, or complete the customer",
    ),
    DELETED: ("deleted in Hyperline", "create the customer again"),
    "archived": ("archived in Hyperline", "restore the customer"),
}


def check_customers(found: Installation) -> Iterator[Finding]:
    """Whether they exist, and somebody has created them."""
    if not found.request.events:
        yield doubt("no EVENTS are given", "run `doctor` with EVENTS")
        return
    customers = found.hyperline.customers.get()
    names: dict[str, list[str]] = defaultdict(list)
    for name in sorted(found.mapping.examples.get().customers):
        customer_id = customers.find_id(name)
        status = customers.statuses.get(customer_id or "", _MISSING)
        names[status if status in _PROBLEMS else ""].append(name)
    for status, (problem, remedy) in _PROBLEMS.items():
        if status in names:
            yield reject(f"{_list(names[status])}: {problem}", remedy)
    if names.keys() <= {""}:
        number = len(names[""])
        verb = "exists" if number == 1 else "exist"
        yield accept(f"{format_count(number, 'customer')} {verb}")


def check_subscribed(found: Installation) -> Iterator[Finding]:
    """Whether a subscription invoices the events of each customer."""
    if not found.request.events:
        yield doubt("no EVENTS are given", "run `doctor` with EVENTS")
        return
    customers = found.hyperline.customers.get()
    known = {
        name: customer_id
        for name in sorted(found.mapping.examples.get().customers)
        if (customer_id := customers.find_id(name))
    }
    subscriptions: dict[str, list[Subscription]] = defaultdict(list)
    for subscription in found.hyperline.subscriptions.get():
        subscriptions[subscription.customer_id].append(subscription)
    states = {
        name: {each.is_active for each in subscriptions[customer_id]}
        for name, customer_id in known.items()
    }
    lacking = [name for name, found_states in states.items() if found_states <= {False}]
    unclear = [n for n, each in states.items() if None in each and True not in each]
    if lacking:
        yield reject(
            f"{_list(lacking)}: no active subscription",
            "create a subscription in Hyperline; until then nothing is invoiced",
        )
    if unclear:
        yield doubt(
            f"{_list(unclear)}: the subscription has a status that isn't known here",
            "see in Hyperline whether it is active",
        )
    active = [name for name, each in states.items() if True in each]
    uninvoiced = list(_find_uninvoiced(found, active, known, subscriptions))
    yield from uninvoiced
    if active and not (lacking or unclear or uninvoiced):
        yield accept(f"{format_count(len(active), 'customer')} with a subscription")


def _find_uninvoiced(
    found: Installation,
    names: Sequence[str],
    ids: Mapping[str, str],
    subscriptions: Mapping[str, Sequence[Subscription]],
) -> Iterator[Finding]:
    """Yield the event types that no subscription of their customers invoices."""
    billing = _find_products(found)
    lacking: dict[str, list[str]] = defaultdict(list)
    for name in names:
        own = {p for s in subscriptions[ids[name]] if s.is_active for p in s.products}
        for event_type in found.mapping.examples.get().customers[name]:
            products = billing.get(event_type)
            if products and products.isdisjoint(own):
                lacking[event_type].append(name)
    for event_type, customers in sorted(lacking.items()):
        yield reject(
            f"{_list(customers)}: no active subscription invoices '{event_type}'",
            "add the product to the subscription in Hyperline",
        )


def _find_products(found: Installation) -> Mapping[str, set[str]]:
    """Return the ids of the products that invoice each event type, if all are known."""
    products = found.hyperline.products.get()
    if any(product.aggregators is None for product in products):
        return {}
    by_type: dict[str, set[str]] = defaultdict(set)
    for aggregator in found.hyperline.aggregators.get():
        for product in products:
            if aggregator.id in (product.aggregators or ()):
                by_type[aggregator.entity].add(product.id)
    return by_type


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(map(make_printable, names[:_MAX_SHOWN]))
    more = len(names) - _MAX_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
