"""Close a month: compare what was sent with what is stored, counted and invoiced."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.closing.counting import Tallies
from segment_to_hyperline.closing.invoiced import Invoiced, find_invoiced
from segment_to_hyperline.closing.months import Months
from segment_to_hyperline.closing.reading import Reader, Zone
from segment_to_hyperline.closing.rows import StoredRows
from segment_to_hyperline.closing.statements import CountedUsage
from segment_to_hyperline.closing.usage import Usage
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.core.catalog import Subscription
from segment_to_hyperline.reconciliation.api.customers import CUSTOMER_PREFIX
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.rows import format_milliseconds
from segment_to_hyperline.reconciliation.compare import TooManyDifferences
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.findings import Finding
from segment_to_hyperline.reconciliation.progress import Report, ignore_progress
from segment_to_hyperline.reconciliation.reconcile import (
    Reconciliation,
    Scope,
    reconcile,
)

_UNKNOWN = "the customer isn't known in Hyperline"


class Request(NamedTuple):
    """Which month is closed, and how."""

    month: str
    """Such as `2026-01`."""
    zone: Zone = Zone()
    event_types: tuple[str, ...] = ()
    """Event types to compare besides those of the events."""
    most: int = Scope().most
    """After how many differences the comparison ends."""
    now: float = inf
    """When Hyperline is read, in milliseconds since 1970."""


class Closed(NamedTuple):
    """Everything that was found out about a month."""

    found: Reconciliation
    usage: Usage
    doubts: Sequence[str]
    """Why the month of some customers may be another one."""
    findings: Sequence[Finding]
    """The differences of the month."""
    counted: Mapping[str, Sequence[CountedUsage]]
    """By customer, as in `Usage`."""
    counted_not_checked: Sequence[str]
    invoiced: Invoiced
    subscriptions: Sequence[Subscription]
    """Those that could be read."""


def close_month(
    store: Store,
    events: Events,
    core: Client | None,
    request: Request,
    report: Report = ignore_progress,
) -> Closed:
    """Return what is stored, counted and invoiced of what *store* expects.

    Raises `InputError`, `TooManyDifferences`, and others as `Client.get`.
    """
    reader = Reader(core, report)
    entities = reader.find_entities(request.zone)
    every = list(Months(request.month, entities, {}))
    start, end = min(m.start for m in every), max(m.end for m in every)
    _require_events(store, request, start, end)
    with StoredRows() as rows:
        scope = Scope(
            *(start, end, True, request.event_types, request.most),
            *(rows.add, rows.replace, request.now, len(entities) > 1),
        )
        found = reconcile(store, events, core, scope, report)
        if not found.is_complete:
            raise TooManyDifferences
        members = found.customers.entities
        months = Months(request.month, entities, members)
        usage = Usage(found.customers, months)
        findings = [f for f in store.findings() if usage.add_finding(f)]
        for row in rows:
            usage.add_stored(row)
        catalog = reader.read_catalog()
        tallies = Tallies(catalog.aggregators or ())
        for event in store.expected():
            if (record := usage.add_sent(event)) is not None:
                customer = usage.identify(event.customer)
                tallies.add(customer, event.event_type, record)
        counted = dict(_count(reader, usage, tallies))
        invoiced = find_invoiced(reader, catalog, found, usage, rows)
    reasons = list(_list_reasons(reader, counted))
    subscriptions = catalog.subscriptions or ()
    doubts = list(months.list_doubts(usage.list_customers()))
    return Closed(
        *(found, usage, doubts, findings),
        *(counted, reasons, invoiced, subscriptions),
    )


def _require_events(store: Store, request: Request, start: int, end: int) -> None:
    """Raise `InputError` if no event of the input is in the month."""
    found = store.time_range()
    if found and not request.event_types and not store.count_in(start, end):
        first, last = map(format_milliseconds, found)
        raise InputError(
            f"no billable event is in {request.month}: the events are from {first} to"
            f" {last}; check MONTH and EVENTS"
        )


def _count(
    reader: Reader, usage: Usage, tallies: Tallies
) -> Iterator[tuple[str, list[CountedUsage]]]:
    """Yield what is counted of each customer."""
    months = {}
    for customer in usage.list_customers():
        if customer.startswith(CUSTOMER_PREFIX):
            months[customer] = usage.find_month(customer)
        else:
            yield customer, list(tallies.list_unread(customer, _UNKNOWN))
    for customer, read in reader.read_usage(months):
        if isinstance(read, str):
            yield customer, list(tallies.list_unread(customer, read))
        else:
            yield customer, list(tallies.compare(customer, read))


def _list_reasons(
    reader: Reader, counted: Mapping[str, Sequence[CountedUsage]]
) -> Iterator[str]:
    """Yield what was not counted, and why; each reason once."""
    if reason := reader.not_checked.get("aggregators"):
        yield f"aggregators: {reason}"
    seen = {
        f"{each.aggregator}: {each.not_checked}"
        for usages in counted.values()
        for each in usages
        if each.not_checked
    }
    yield from sorted(seen)
