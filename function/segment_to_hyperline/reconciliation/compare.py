"""Find the differences between the expected events and Hyperline's rows.

By count first: if a window has as many rows as expected events, it is taken as equal.
Otherwise it is halved, until its rows are few enough to be compared one by one. Several
requests are in flight at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from math import inf
from typing import NamedTuple

from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.facts import MAX_PAGE_EVENTS
from segment_to_hyperline.reconciliation.api.customers import Customers, infer
from segment_to_hyperline.reconciliation.api.events import Events, TooManyRows, can_find
from segment_to_hyperline.reconciliation.api.in_flight import work_in_flight
from segment_to_hyperline.reconciliation.api.lookup import group, look_up
from segment_to_hyperline.reconciliation.api.rows import Row, Window
from segment_to_hyperline.reconciliation.counting import Counted, count, halve, merge
from segment_to_hyperline.reconciliation.evaluation import describe, evaluate
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.versions import Expected
from segment_to_hyperline.reconciliation.findings import (
    DIFFERENT,
    FOREIGN,
    MISSING,
    SUPERSEDED,
    UNCHECKED,
    UNMAPPABLE,
    UNMAPPED,
    UNSENT,
    Finding,
)
from segment_to_hyperline.reconciliation.later_mappings import (
    Later,
    accept_later_mappings,
)
from segment_to_hyperline.reconciliation.progress import Report, ignore_progress

# A window with at most this many rows is compared instead of halved.
_FEW = 3 * MAX_PAGE_EVENTS
# How many events are compared at a time if all are.
_MANY = 5 * MAX_PAGE_EVENTS
# What the outcome of the last version of an event says about what Hyperline has of it.
_OUTCOMES = {"quarantined": UNMAPPABLE, "not sent": UNSENT}
# How many differences are looked up again at a time.
_BATCH = 1_000


class TooManyDifferences(Error):
    """Raised if there are more differences than can be listed."""


class Total(NamedTuple):
    """How many events of a type the input and Hyperline have in the compared time."""

    event_type: str
    expected: int
    actual: int


class Comparison:
    """Compares windows, and stores the differences.

    `confirm` completes it. More than about *most* differences are not listed:
    `TooManyDifferences` is raised.
    """

    def __init__(
        self,
        store: Store,
        events: Events,
        customers: Customers,
        most: int,
        report: Report = ignore_progress,
    ) -> None:
        self.customers = customers
        self._store = store
        self._events = events
        self._most = self._left = most
        self._report = report
        # Called with the rows that are read.
        self.keep: Callable[[Sequence[Row]], None] = lambda _: None
        # Called with the type and the id of an event, and the rows that it has now.
        self.replace: Callable[[str, str, Sequence[Row]], None] = lambda *_: None
        # When Hyperline is read, in milliseconds since 1970.
        self.now = inf
        # What is compared, as few windows as possible, and the number of rows in each.
        self._ranges: list[Window] = []
        self._actual: list[int] = []

    def compare_counts(self, windows: Iterable[Window]) -> None:
        """Compare the numbers of events, and the events where these differ."""
        waiting = [Counted(window) for window in windows]
        self._begin(counted.window for counted in waiting)
        done, total = 0, len(waiting)
        while waiting:
            few: list[Window] = []
            halves: list[Counted] = []
            for counted in count(self._events, waiting):
                done += 1
                self._report("comparing by count", done, total)
                if counted.total != self._store.count(counted.window):
                    if self._is_few(counted):
                        few.append(counted.window)
                    else:
                        halves.append(halve(counted))
            for _ in self._compare_rows(few):
                self._report("comparing by count", done, total)
            waiting = halves
            total += 2 * len(halves)
        self._find_superseded()

    def compare_all(self, windows: Iterable[Window]) -> None:
        """Compare the contents of all events in *windows*, some pages at a time."""
        self._begin(windows)
        parts = [
            part for window in self._ranges for part in self._store.split(window, _MANY)
        ]
        done, total = 0, sum(map(self._store.count, self._ranges))
        for number in self._compare_rows(parts):
            done += number
            self._report("comparing", done, total)

    def confirm(self) -> None:
        """Look up every difference once more, and leave what is still one.

        Events can have another time in Hyperline, or have been delivered or corrected
        meanwhile, or have been billed by a later mapping. What isn't known about the
        customers is inferred before.
        """
        self._infer_customers()
        total = sum(self._store.count_findings().values())
        done, last = 0, ("", "")
        while findings := self._store.findings_after(*last, _BATCH):
            last = findings[-1].event_type, findings[-1].record_id
            for event_type, same in groupby(findings, lambda f: f.event_type):
                self._confirm(event_type, list(same))
            done += len(findings)
            self._report("looking up the differences again", done, total)
        later = Later(self._events, self.customers, self.now, self.replace)
        accept_later_mappings(self._store, later)

    def count_events(self) -> list[Total]:
        """Return the numbers of events by type, once the comparison has begun."""
        counts = zip(self._ranges, self._actual, strict=True)
        return [
            Total(
                event_type,
                sum(self._store.count(window) for window in windows),
                sum(actual),
            )
            for event_type, same in groupby(counts, lambda item: item[0].event_type)
            for windows, actual in [zip(*same, strict=True)]
        ]

    def _begin(self, windows: Iterable[Window]) -> None:
        """Count the events of *windows*; raise `TooManyDifferences` by that alone."""
        self._ranges = list(merge(windows))
        counts = work_in_flight(self._events.count, self._ranges)
        self._actual = [actual for _, actual in counts]
        totals = self.count_events()
        balances = (abs(total.expected - total.actual) for total in totals)
        if sum(balances) > self._most:
            raise TooManyDifferences

    def _is_few(self, counted: Counted) -> bool:
        window = counted.window
        most = max(counted.total, self._store.count(window))
        return most <= _FEW or window.end - window.start <= 1

    def _compare_rows(self, windows: Iterable[Window]) -> Iterator[int]:
        """Compare the contents of *windows*; yield the number of events in each."""
        # With more rows, there are too many differences, and memory is limited.
        limits = ((w, self._store.count(w) + self._most) for w in windows)
        try:
            for (window, _), rows in work_in_flight(self._read, limits):
                yield self._compare_window(window, rows)
        except TooManyRows as error:
            raise TooManyDifferences from error

    def _read(self, limited: tuple[Window, int]) -> list[Row]:
        return self._events.read(*limited)

    def _compare_window(self, window: Window, rows: Sequence[Row]) -> int:
        """Compare the events in *window* with its *rows*; return their number."""
        expected = self._store.expected_in(window)
        number = len(expected)
        self.keep(rows)
        found: list[tuple[int, str]] = []
        for record_id, same in group(rows, lambda row: row.record_id).items():
            event = expected.pop(record_id, None) or self._store.find(
                window.event_type, record_id
            )
            for finding in self._evaluate(event, same):
                self._add(finding)
            customer = same[0].customer
            if event and customer and self.customers.find_id(event.customer) is None:
                found.append((event.number, customer))
        for event in expected.values():
            self._add(describe(MISSING, event))
        if found:
            self._store.add_found(found)
        return number

    def _evaluate(
        self, event: Expected | None, rows: Sequence[Row]
    ) -> Iterator[Finding]:
        origin = self._explain(rows[0]) if event is None and rows else ""
        return evaluate(event, rows, self.customers, origin)

    def _explain(self, row: Row) -> str:
        """Return why Hyperline may have a row that isn't expected."""
        outcome = self._store.find_outcome(row.record_id)
        message_id, _, number = row.record_id.rpartition(":")
        if outcome is None and number.isdecimal():
            outcome = self._store.find_outcome(message_id)
        if outcome in _OUTCOMES:
            return _OUTCOMES[outcome]
        if self._store.is_superseded(row.event_type, row.record_id):
            return SUPERSEDED
        return FOREIGN if outcome is None else UNMAPPED

    def _add(self, finding: Finding) -> None:
        if self._left == 0:
            raise TooManyDifferences
        self._left -= 1
        self._store.add_finding(finding)

    def _find_superseded(self) -> None:
        """Find rows of earlier versions, which other differences can make up for."""
        for event_type in {window.event_type for window in self._ranges}:
            times = self._store.superseded(event_type)
            for _, rows in look_up(self._events, event_type, times, set()):
                if any(row.time and self._is_compared(row, row.time) for row in rows):
                    for finding in self._evaluate(None, rows):
                        self._add(finding)

    def _infer_customers(self) -> None:
        """Infer customers, and add the events that then have a wrong one."""
        pairs = self._store.found_customers()
        self.customers = infer(pairs, self.customers)
        find_problem = self.customers.find_problem
        wrong = [pair[:2] for pair in pairs if find_problem(*pair[:2])]
        for event in self._store.events_under(wrong) if wrong else ():
            self._add(describe(DIFFERENT, event))

    def _confirm(self, event_type: str, findings: Sequence[Finding]) -> None:
        """Look up the events of these *findings*, which are all of them."""
        times = {finding.record_id: finding.time for finding in findings}
        seen = {f.record_id for f in findings if f.kind not in {MISSING, UNCHECKED}}
        for record_id, rows in look_up(self._events, event_type, times, seen):
            # The time of such a row is unknown, so it can't be looked up by it.
            if rows or times[record_id] or record_id not in seen:
                self._replace(event_type, record_id, rows)

    def _replace(self, event_type: str, record_id: str, rows: Sequence[Row]) -> None:
        """Evaluate an event again, with the *rows* that Hyperline has now."""
        event = self._store.find(event_type, record_id)
        self._store.remove_findings(event_type, record_id)
        self.replace(event_type, record_id, rows)
        if event and self._is_compared(event, event.time):
            if not rows and not can_find(record_id):
                self._store.add_finding(describe(UNCHECKED, event))
                return
        elif not any(self._can_be_compared(row) for row in rows):
            return
        for finding in self._evaluate(event, rows):
            self._store.add_finding(finding)

    def _can_be_compared(self, row: Row) -> bool:
        """Return whether a row can be in the compared time, before it was rounded."""
        if row.time is None:
            return True
        return self._is_compared(row, row.time) or self._is_compared(row, row.time - 1)

    def _is_compared(self, event: Expected | Row, time: int) -> bool:
        return any(
            window.start <= time < window.end
            for window in self._ranges
            if window.event_type == event.event_type
        )
