"""Add up what was sent, billed and missing, per day or month, for finance.

What Hyperline has follows from a comparison of all contents: it is what was sent,
without what is missing, with what differs, plus what is unexpected.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from heapq import merge
from itertools import groupby
from typing import Any, NamedTuple

from segment_to_hyperline.hyperline.billable_event import read_fields
from segment_to_hyperline.preview.usage import format_number
from segment_to_hyperline.reconciliation.api.rows import (
    format_milliseconds,
    read_milliseconds,
)
from segment_to_hyperline.reconciliation.expected.versions import Expected
from segment_to_hyperline.reconciliation.findings import (
    DIFFERENT,
    MISSING,
    UNCHECKED,
    UNEXPECTED,
    Finding,
)
from segment_to_hyperline.reconciliation.header import Header
from segment_to_hyperline.reconciliation.reconcile import Reconciliation
from segment_to_hyperline.reconciliation.sums import Sum
from segment_to_hyperline.text import LINE_LENGTH, align, cut, make_printable

_SENT, _CHANGED = range(2)
DAY_LENGTH, MONTH_LENGTH = len("2026-01-31"), len("2026-01")


class Group(NamedTuple):
    """Events that are added up together."""

    period: str
    """A day or a month."""
    event_type: str
    customer: str
    """The customer's id as the mapping sends it, or Hyperline's if that is unknown."""


class Entry(NamedTuple):
    """What was sent, billed and is missing of a group."""

    group: Group
    sent: Sum
    billed: Sum
    missing: int


class Ledger:
    """What was sent, billed and missing, by period, event type and customer.

    A period is a day, or a month with *length* `MONTH_LENGTH`. *queued* has the file of
    each event that was exported from a queue. An event that could not be checked counts
    as missing.
    """

    def __init__(
        self,
        found: Reconciliation,
        header: Header,
        length: int,
        queued: Mapping[tuple[str, str], str],
    ) -> None:
        self.header = header
        self.queued = Counter[str]()
        self._found = found
        self._length = length
        # By group, what Hyperline has more or less than was sent; the differences are
        # few enough for the memory, unlike the groups.
        self._changes: dict[Group, Sum] = defaultdict(Sum)
        self._missing = Counter[Group]()
        self._by_key: dict[tuple[str, str], Finding] = {}
        findings = list(found.store.findings())
        self.matches = not findings and not found.store.unreadable()
        for finding in findings:
            key = finding.event_type, finding.record_id
            event = found.store.find(*key)
            if finding.kind == UNEXPECTED or event is None:
                self._add_unexpected(finding)
                continue
            self._add_changed(finding, event)
            if finding.kind in {MISSING, UNCHECKED} and key in queued:
                self.queued[queued[key]] += 1

    def entries(self) -> Iterator[Entry]:
        """Yield the sums of each group, sorted, as long as there are events."""
        changes = sorted(self._changes.items(), key=lambda item: item[0])
        # Both are sorted by group, of which each has one at most.
        sums = merge(
            ((group, _SENT, sent) for group, sent in self._sum_sent()),
            ((group, _CHANGED, changed) for group, changed in changes),
            key=lambda item: item[:2],
        )
        for group, same in groupby(sums, lambda item: item[0]):
            sent, billed = Sum(), Sum()
            for _, kind, total in same:
                billed.add_all(total)
                if kind == _SENT:
                    sent = total
            yield Entry(group, sent, billed, self._missing[group])

    def lines(self) -> Iterator[str]:
        """Yield tables of at most 80 characters a line, besides names of files."""
        yield from align([*self.header.rows()], LINE_LENGTH)
        for period, entries in groupby(self.entries(), lambda each: each.group.period):
            note = "" if self._is_compared(period) else " (outside of the range)"
            yield f"\n{period}{note}"
            yield from _list_entries(entries)
        if self.queued:
            yield "\nof the missing events, in a queue:"
            yield from align(
                [(f"{n:,}", make_printable(file)) for file, n in self.queued.items()]
            )
        unbilled = self._count_unbilled()
        if unbilled:
            yield "\nnot billed:"
            yield from align(
                [
                    (period or "(no time)", f"{n:,}", kind, make_printable(reason))
                    for (period, kind, reason), n in sorted(unbilled.items())
                ],
                LINE_LENGTH,
            )
        if unreadable := self._found.store.unreadable():
            yield "\ncan't be read:"
            yield from unreadable

    def to_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            **self.header.to_json(),
            "matches": self.matches,
            "usage": [
                {
                    "period": entry.group.period,
                    "in_range": self._is_compared(entry.group.period),
                    "event_type": entry.group.event_type,
                    "customer_id": entry.group.customer,
                    "sent": entry.sent.to_json(),
                    "billed": entry.billed.to_json(),
                    "missing": entry.missing,
                }
                for entry in self.entries()
            ],
            "missing_in_a_queue": self.queued,
            "unreadable": self._found.store.unreadable(),
            "not_billed": [
                {"period": period, "kind": kind, "reason": reason, "events": number}
                for (period, kind, reason), number in sorted(
                    self._count_unbilled().items()
                )
            ],
        }

    def _is_compared(self, period: str) -> bool:
        """Return whether the range has a part of *period*.

        Otherwise only what was moved there is known of it.
        """
        first = format_milliseconds(self._found.start)[: self._length]
        last = format_milliseconds(self._found.end - 1)[: self._length]
        return first <= period <= last

    def _sum_sent(self) -> Iterator[tuple[Group, Sum]]:
        """Yield what was sent of each group, sorted."""
        start, end = self._found.start, self._found.end
        rows = self._found.store.groups(start, end, self._length)
        for names, same in groupby(rows, lambda row: row[:3]):
            total = Sum()
            for *_, body in same:
                total.add(read_fields(body)["record"])
            yield Group(*names), total

    def _add_unexpected(self, finding: Finding) -> None:
        """Add the rows that were not sent, or that Hyperline has too often."""
        _, others = finding.details.get("others", (None, []))
        time = format_milliseconds(finding.time)
        for row in ([time, finding.customer, _change_record({}, finding)], *others):
            when, customer, record = row
            self._changes[
                self._find_group(
                    read_milliseconds(when) or finding.time,
                    finding.event_type,
                    self._found.customers.find_name(customer or ""),
                )
            ].add(record)

    def _add_changed(self, finding: Finding, event: Expected) -> None:
        """Subtract what was sent, and add what Hyperline has instead, if anything."""
        group = self._find_group(event.time, event.event_type, event.customer)
        record = read_fields(event.body)["record"]
        # Otherwise it isn't among what was sent in this time.
        if self._found.start <= event.time < self._found.end:
            self._changes[group].add(record, -1)
            self._missing[group] += finding.kind in {MISSING, UNCHECKED}
        if finding.kind != DIFFERENT:
            return
        _, customer = finding.details.get("customer_id", (None, event.customer))
        _, time = finding.details.get("timestamp", (None, None))
        actual = self._find_group(
            read_milliseconds(time) or event.time,
            event.event_type,
            self._found.customers.find_name(customer or ""),
        )
        self._changes[actual].add(_change_record(record, finding))

    def _find_group(self, time: int, event_type: str, customer: str) -> Group:
        return Group(format_milliseconds(time)[: self._length], event_type, customer)

    def _count_unbilled(self) -> dict[tuple[str, str, str], int]:
        found = self._found
        counts = Counter[tuple[str, str, str]]()
        for kind, reason, day, number in found.store.unbilled(found.start, found.end):
            counts[day[: self._length], kind, reason] += number
        return dict(counts)


def _list_entries(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield the table of a period; the totals follow below each row."""
    known = list(entries)
    header, *lines = align(
        [
            ("event type", "customer", "sent", "billed", "missing"),
            *map(_format_entry, known),
        ],
        LINE_LENGTH,
    )
    yield header
    for entry, line in zip(known, lines, strict=True):
        yield line
        for text in _compare_totals(entry):
            yield cut(f"    {text}", LINE_LENGTH)


def _format_entry(entry: Entry) -> tuple[str, ...]:
    numbers = entry.sent.events, entry.billed.events, entry.missing
    names = map(make_printable, (entry.group.event_type, entry.group.customer))
    return (*names, *(f"{number:,}" for number in numbers))


def _compare_totals(entry: Entry) -> Iterator[str]:
    sent, billed = entry.sent.totals, entry.billed.totals
    for name in dict.fromkeys((*sent, *billed)):
        values = [totals.get(name, Decimal(0)) for totals in (sent, billed)]
        first, second = map(format_number, values)
        shown = first if values[0] == values[1] else f"{first} sent, {second} billed"
        yield f"{make_printable(name)} {shown}"


def _change_record(record: Mapping[str, Any], finding: Finding) -> Mapping[str, Any]:
    """Return *record* as Hyperline has it, according to *finding*."""
    changed = dict(record)
    for name, (_, actual) in finding.details.items():
        if name.startswith("record."):
            changed[name.removeprefix("record.")] = actual
    return changed
