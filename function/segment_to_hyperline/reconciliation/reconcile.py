"""Compare loaded events with Hyperline, in a range of time."""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.customers import Customers, find_customers
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.failures import Forbidden
from segment_to_hyperline.reconciliation.api.rows import (
    Row,
    Window,
    format_milliseconds,
)
from segment_to_hyperline.reconciliation.compare import (
    Comparison,
    TooManyDifferences,
    Total,
)
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.progress import Report, ignore_progress
from segment_to_hyperline.text import format_count

DAY = 24 * 60 * 60 * 1_000
# The last time that ISO 8601 has with four digits for the year.
_LAST = 253_402_300_799_999
LOOKED_UP = "looked up in Hyperline"
_FORBIDDEN = "inferred from the events: the API key may not read customers"
_NO_HOST = "inferred from the events: HYPERLINE_CORE_URL is not set"


class Scope(NamedTuple):
    """What is compared."""

    start: int | None = None
    """The start in milliseconds since 1970, or None for that of the events."""
    end: int | None = None
    """The end in milliseconds since 1970, which is not part of it, or None."""
    deep: bool = False
    """Whether the contents of all events are compared, instead of counts first."""
    event_types: tuple[str, ...] = ()
    """Event types to compare besides those of the events."""
    most: int = 10_000
    """After how many differences the comparison ends."""
    keep: Callable[[Sequence[Row]], None] = lambda _: None
    """Called with the rows that are read: all of them, if the comparison is deep."""
    replace: Callable[[str, str, Sequence[Row]], None] = lambda *_: None
    """Called with the type and the id of an event that was looked up again, and the
    rows that it has now."""
    now: float = inf
    """When Hyperline is read, in milliseconds since 1970: a mapping that is deployed
    later has billed nothing."""
    all_customers: bool = False
    """Whether all customers are read, and not only those that the events name."""


class Reconciliation(NamedTuple):
    """A comparison, and what it was about."""

    start: int
    """In milliseconds since 1970."""
    end: int
    """In milliseconds since 1970; the range ends before it."""
    event_types: Sequence[str]
    """What was compared."""
    store: Store
    """What was expected, and the differences."""
    customers: Customers
    customers_from: str
    """How these are known."""
    totals: Sequence[Total]
    """How many events of each type there are."""
    is_complete: bool
    """Whether there are few enough differences; otherwise only the totals are known."""


def reconcile(
    store: Store,
    events: Events,
    core: Client | None,
    scope: Scope,
    report: Report = ignore_progress,
) -> Reconciliation:
    """Compare what *store* expects with what Hyperline has; return the result.

    *core* reads the customers, if its host is known. Raises `InputError` if there is
    nothing to compare, and others as `Client.get`.
    """
    start, end = _find_range(store, scope)
    types = sorted({*store.event_types(), *scope.event_types})
    windows = [w for name in types for w in list_windows(store, name, start, end)]
    customers, origin = _read_customers(store, core, read_all=scope.all_customers)
    comparison = Comparison(store, events, customers, scope.most, report)
    comparison.keep, comparison.replace = scope.keep, scope.replace
    comparison.now = scope.now
    compare = comparison.compare_all if scope.deep else comparison.compare_counts
    try:
        compare(windows)
        comparison.confirm()
    except TooManyDifferences:
        is_complete = False
    else:
        is_complete = True
    return Reconciliation(
        *(start, end, types, store, comparison.customers, origin),
        comparison.count_events(),
        is_complete,
    )


def list_windows(
    store: Store, event_type: str, start: int, end: int
) -> Iterator[Window]:
    """Yield each day with events of a type, and the time between these days.

    Day by day, fewer differences cancel each other out.
    """
    begin = start
    for day in store.days(event_type, DAY):
        first, last = max(day, start), min(day + DAY, end)
        if first >= last:
            continue
        if begin < first:
            yield Window(event_type, begin, first)
        yield Window(event_type, first, last)
        begin = last
    if begin < end:
        yield Window(event_type, begin, end)


def _find_range(store: Store, scope: Scope) -> tuple[int, int]:
    """Return the start and the end to compare, by default the days of the events."""
    found = store.time_range()
    if found is None and not scope.event_types:
        raise InputError(_explain_nothing(store))
    first, last = found or (0, -DAY)
    start = first - first % DAY if scope.start is None else scope.start
    end = min(last - last % DAY + DAY, _LAST) if scope.end is None else scope.end
    if start >= end and scope.event_types:
        raise InputError("--event-type without events needs --from and --to")
    is_empty = store.count_in(start, end) == 0
    if is_empty and not scope.event_types:
        raise InputError(
            f"no billable event is between {format_milliseconds(start)} and"
            f" {format_milliseconds(end)}: the events are from"
            f" {format_milliseconds(first)} to {format_milliseconds(last)};"
            " check --from and --to"
        )
    return start, end


def _explain_nothing(store: Store) -> str:
    """Return why no event of the input is billable."""
    counts = store.count_outcomes()
    unreadable = store.unreadable()
    if unreadable:
        counts["unreadable"] = len(unreadable)
    if not counts:
        return "the input has no events: check EVENTS"
    found = ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
    total = format_count(sum(counts.values()), "event")
    problem = f"no event of the input is billable: of {total}, {found}"
    if unreadable:
        return f"{problem}; {unreadable[0]}"
    return f"{problem}; run `segment-to-hyperline preview` to see why"


def _read_customers(
    store: Store, core: Client | None, *, read_all: bool
) -> tuple[Customers, str]:
    """Return the customers of the events, and how they are known."""
    if core is None:
        return Customers({}), _NO_HOST
    try:
        names = store.customers()
        return find_customers(core, names, read_all=read_all), LOOKED_UP
    except Forbidden:
        return Customers({}), _FORBIDDEN
