"""The differences that a reconciliation found, as text, JSON, CSV or Markdown."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Any, TextIO

from segment_to_hyperline.reconciliation.api.rows import format_milliseconds
from segment_to_hyperline.reconciliation.findings import (
    DIFFERENT,
    MISSING,
    UNCHECKED,
    UNEXPECTED,
    Finding,
)
from segment_to_hyperline.reconciliation.header import Header
from segment_to_hyperline.reconciliation.reconcile import LOOKED_UP, Reconciliation
from segment_to_hyperline.text import (
    LINE_LENGTH,
    align,
    cut,
    format_count,
    make_printable,
)

_KINDS = (MISSING, DIFFERENT, UNEXPECTED, UNCHECKED)
_MAX_LINES = 20
_ALL = "--format json or csv lists all"
_NO_TIME = "(no time)"


class Differences:
    """What a reconciliation found, and where that is from."""

    def __init__(
        self,
        found: Reconciliation,
        header: Header,
        requests: int,
        *,
        show_values: bool,
    ) -> None:
        self.header = header
        self.requests = requests
        self._found = found
        self.counts = found.store.count_findings()
        self.unreadable = len(found.store.unreadable())
        # How many are expected at another time.
        self.outside = found.store.count_all() - self.expected
        self.is_complete = found.is_complete
        self._show_values = show_values

    @property
    def matches(self) -> bool:
        """Whether every event is in Hyperline, and no other is."""
        return self.is_complete and not self.counts and not self.unreadable

    @property
    def expected(self) -> int:
        """The number of expected events."""
        return sum(total.expected for total in self._found.totals)

    @property
    def quarantined(self) -> int:
        """The number of events that the mapping can't bill."""
        unbilled = self._count_unbilled().items()
        return sum(number for (kind, _), number in unbilled if kind == "quarantined")

    def summary(self) -> str:
        """Return one sentence."""
        expected = f"{format_count(self.expected, 'event')} expected"
        if not self.is_complete:
            return f"There are too many differences to list: {expected}."
        counts = [(kind, self.counts.get(kind, 0)) for kind in _KINDS]
        counts.append(("unreadable", self.unreadable))
        found = [f"{number:,} {kind}" for kind, number in counts if number]
        if self._found.customers_from != LOOKED_UP:
            found.append("customers inferred")
        verdict = "There are differences" if self.counts else "Everything matches"
        if self.unreadable:
            verdict = "Incomplete"
        return f"{verdict}: {', '.join([expected, *found])}."

    def text(self) -> Iterator[str]:
        """Yield lines for people, of at most 80 characters besides names of files."""
        yield from wrap(self.summary(), LINE_LENGTH)
        yield ""
        rows = [*self.header.rows(), ("requests", f"{self.requests:,}")]
        yield from align(rows, LINE_LENGTH)
        yield ""
        yield from align([*self._list_totals()], LINE_LENGTH)
        repeated = sum(versions - 1 for _, versions in self._found.store.duplicates())
        if repeated:
            yield f"\nrepeated in the input: {repeated:,}"
        if self.outside:
            yield f"\nbillable, but outside of the range: {self.outside:,}"
        unbilled = self._count_unbilled()
        if unbilled:
            yield "\nnot billable:"
            yield from _limit(
                align(
                    [
                        (f"{n:,}", kind, make_printable(reason))
                        for (kind, reason), n in unbilled.items()
                    ],
                    LINE_LENGTH,
                )
            )
        if self.unreadable:
            yield "\ncan't be read:"
            yield from _limit(self._found.store.unreadable())
        if self.is_complete and self.counts:
            yield from self._list_differences()

    def markdown(self) -> Iterator[str]:
        """Yield a summary and tables."""
        yield f"{self.summary()}\n"
        yield "| | |\n|---|---|"
        for row in self.header.rows():
            yield f"| {' | '.join(map(_escape, row))} |"
        if self.is_complete and self.counts:
            yield "\n| events | | day | event type | customer |\n|---|---|---|---|---|"
            for cells, number in self._groups().items():
                yield f"| {number:,} | {' | '.join(map(_escape, cells))} |"

    def to_json(self) -> dict[str, Any]:
        """Return everything for programs; without findings if they are too many."""
        findings = self._found.store.findings() if self.is_complete else ()
        return {
            **self.header.to_json(),
            "requests": self.requests,
            "matches": self.matches,
            "complete": self.is_complete and not self.unreadable,
            "expected": self.expected,
            **{kind: self.counts.get(kind, 0) for kind in _KINDS},
            "unreadable": self._found.store.unreadable(),
            "outside": self.outside,
            "totals": [total._asdict() for total in self._found.totals],
            "findings": [self._to_json(finding) for finding in findings],
            "duplicates": [
                {"message_id": message_id, "versions": versions}
                for message_id, versions in self._found.store.duplicates()
            ],
            "not_billable": [
                {"kind": kind, "reason": reason, "events": number}
                for (kind, reason), number in self._count_unbilled().items()
            ],
        }

    def write_csv(self, file: TextIO) -> None:
        """Write a row for each difference, after lines that begin with `#`."""
        writer = csv.writer(file)
        file.write(f"# {self.summary()}\n")
        file.writelines(f"# {name} {text}\n" for name, text in self.header.rows())
        names = ("kind", "event_type", "record_id", "time", "customer_id", "origin")
        writer.writerow((*names, "details"))
        for finding in self._found.store.findings() if self.is_complete else ():
            row = self._to_json(finding)
            details = json.dumps(row["fields"]) if "fields" in row else ""
            writer.writerow((*(row.get(name, "") for name in names), details))

    def _list_totals(self) -> Iterator[tuple[str, ...]]:
        yield "event type", "expected", "in Hyperline"
        for total in self._found.totals:
            numbers = f"{total.expected:,}", f"{total.actual:,}"
            yield make_printable(total.event_type), *numbers

    def _list_differences(self) -> Iterator[str]:
        yield "\ndifferences, by day, event type and customer:"
        rows = [
            (f"{n:,}", *map(make_printable, cells))
            for cells, n in self._groups().items()
        ]
        yield from _limit(align(rows, LINE_LENGTH))
        yield ""
        lines = [
            line
            for finding, _ in zip(
                self._found.store.findings(), range(_MAX_LINES + 1), strict=False
            )
            for line in self._format_finding(finding)
        ]
        yield from lines[:_MAX_LINES]
        if lines[_MAX_LINES:]:
            yield f"and more; {_ALL}"

    def _groups(self) -> dict[tuple[str, str, str, str], int]:
        """Return the number of differences by kind, day, event type and customer."""
        counts = Counter(
            (
                finding.kind,
                _format_time(finding)[: len("2026-01-31")],
                finding.event_type,
                self._found.customers.find_name(finding.customer),
            )
            for finding in self._found.store.findings()
        )
        return dict(sorted(counts.items()))

    def _count_unbilled(self) -> dict[tuple[str, str], int]:
        """Return the number of events that aren't billed, by outcome and reason."""
        found = self._found
        counts = Counter[tuple[str, str]]()
        for outcome, reason, _, number in found.store.unbilled(found.start, found.end):
            counts[outcome, reason] += number
        return dict(counts)

    def _format_finding(self, finding: Finding) -> Iterator[str]:
        names = (make_printable(finding.event_type), make_printable(finding.record_id))
        cells = (f"{finding.kind:<10}", _format_time(finding), *names, finding.origin)
        yield cut("  ".join(filter(None, cells)), LINE_LENGTH)
        if finding.kind == UNEXPECTED:
            return
        for name, (expected, actual) in sorted(finding.details.items()):
            values = f": expected {json.dumps(expected)}, found {json.dumps(actual)}"
            shown = values if self._show_values else ""
            yield cut(f"    {make_printable(name)}{shown}", LINE_LENGTH)

    def _to_json(self, finding: Finding) -> dict[str, Any]:
        row: dict[str, Any] = {
            "kind": finding.kind,
            "event_type": finding.event_type,
            "record_id": finding.record_id,
            "time": _format_time(finding) if finding.time else None,
            "customer_id": self._found.customers.find_name(finding.customer),
        }
        if finding.origin:
            row["origin"] = finding.origin
        if not finding.details:
            return row
        if not self._show_values:
            return row | {"fields": sorted(finding.details)}
        fields = {
            name: {"expected": expected, "actual": actual}
            for name, (expected, actual) in finding.details.items()
        }
        return row | {"fields": fields}


def _limit(lines: list[str]) -> Iterable[str]:
    """Yield the first *lines*, and whether there are more."""
    yield from lines[:_MAX_LINES]
    if lines[_MAX_LINES:]:
        yield f"and {len(lines) - _MAX_LINES:,} more; {_ALL}"


def _format_time(finding: Finding) -> str:
    return format_milliseconds(finding.time) if finding.time else _NO_TIME


def _escape(text: str) -> str:
    return make_printable(text).replace("|", r"\|") if text else ""
