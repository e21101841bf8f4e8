"""The differences that a reconciliation found, as a table, JSON, CSV or Markdown."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO

from segment_to_hyperline.reconciliation.compare import (
    DIFFERENT,
    MISSING,
    UNCHECKED,
    UNEXPECTED,
)
from segment_to_hyperline.reconciliation.reader import Reader, format_milliseconds
from segment_to_hyperline.reconciliation.store import Finding, Store
from segment_to_hyperline.text import align, format_count, make_printable

KINDS = (MISSING, DIFFERENT, UNEXPECTED)
_ALL_KINDS = (*KINDS, UNCHECKED)
_MAX_LINES = 50
_ALL = "--format json or csv lists all"


class Differences:
    """What a reconciliation found, read from its *store*."""

    def __init__(self, store: Store, reader: Reader, *, show_values: bool) -> None:
        self._store = store
        self._show_values = show_values
        self.counts = Counter(finding.kind for finding in store.findings())
        self.expected = store.total()
        self.requests = reader.requests
        self.unbilled = list(store.unbilled())
        self.unreadable = len(store.unreadable())

    @property
    def matches(self) -> bool:
        """Whether every event is in Hyperline, and no other is."""
        return not self.counts and not self.unreadable

    def summary(self) -> str:
        """Return one sentence."""
        kinds = [kind for kind in _ALL_KINDS if kind in KINDS or self.counts[kind]]
        found = ", ".join(f"{self.counts[kind]:,} {kind}" for kind in kinds)
        verdict = "Everything matches" if self.matches else "There are differences"
        if self.unreadable:
            verdict = "Incomplete"
            found += f", {self.unreadable:,} unreadable"
        return f"{verdict}: {format_count(self.expected, 'event')} expected, {found}."

    def text(self) -> Iterator[str]:
        """Yield lines for people."""
        yield self.summary()
        duplicates = list(self._store.duplicates())
        copies = sum(number - 1 for _, _, number in duplicates)
        yield f"duplicates in the input: {copies:,}"
        yield f"requests to Hyperline: {self.requests:,}"
        if self.unbilled:
            yield "\nnot billable:"
            reasons = [
                (f"{n:,}", kind, make_printable(reason))
                for kind, reason, n in self.unbilled
            ]
            yield from align(reasons)
        groups = self.groups()
        if groups:
            yield "\ndifferences, by day, event type and customer:"
            rows = [
                (
                    f"{n:,}",
                    kind,
                    day,
                    make_printable(event_type),
                    make_printable(customer),
                )
                for (kind, day, event_type, customer), n in groups.items()
            ]
            yield from align(rows[:_MAX_LINES])
            if rows[_MAX_LINES:]:
                yield f"and {len(rows) - _MAX_LINES:,} more; {_ALL}"
            yield ""
            for number, finding in enumerate(self._store.findings()):
                if number == _MAX_LINES:
                    yield f"and more; {_ALL}"
                    break
                yield self._format_finding(finding)

    def groups(self) -> dict[tuple[str, str, str, str], int]:
        """Return the number of differences by kind, day, event type and customer."""
        counts = Counter(
            (
                finding.kind,
                format_milliseconds(finding.time)[:10],
                finding.event_type,
                finding.customer,
            )
            for finding in self._store.findings()
        )
        return dict(sorted(counts.items()))

    def markdown(self) -> Iterator[str]:
        """Yield a summary and a table."""
        yield f"{self.summary()}\n"
        yield "| events | | day | event type | customer |\n|---|---|---|---|---|"
        for (kind, day, event_type, customer), number in self.groups().items():
            cells = (kind, day, event_type, customer)
            escaped = (make_printable(cell).replace("|", r"\|") for cell in cells)
            yield f"| {number:,} | {' | '.join(escaped)} |"

    def to_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "matches": self.matches,
            "expected": self.expected,
            **{kind: self.counts[kind] for kind in _ALL_KINDS},
            "unreadable": self.unreadable,
            "findings": [self._to_json(finding) for finding in self._store.findings()],
            "duplicates": [
                {"event_type": event_type, "record_id": record_id, "copies": copies}
                for event_type, record_id, copies in self._store.duplicates()
            ],
            "not_billable": [
                {"kind": kind, "reason": reason, "events": number}
                for kind, reason, number in self.unbilled
            ],
        }

    def write_csv(self, file: TextIO) -> None:
        """Write a row for each difference."""
        writer = csv.writer(file)
        writer.writerow(
            ("kind", "event_type", "record_id", "time", "customer", "details")
        )
        for finding in self._store.findings():
            row = self._to_json(finding)
            details = json.dumps(row.get("fields", ""))
            writer.writerow(
                (*list(row.values())[:5], details if "fields" in row else "")
            )

    def _format_finding(self, finding: Finding) -> str:
        row = self._to_json(finding)
        fields = row.get("fields", [])
        shown = json.dumps(fields, ensure_ascii=True) if fields else ""
        names = (make_printable(finding.event_type), make_printable(finding.record_id))
        return (
            f"{finding.kind:<10}  {row['time']}  {'  '.join(names)}  {shown}".rstrip()
        )

    def _to_json(self, finding: Finding) -> dict[str, Any]:
        row = {
            "kind": finding.kind,
            "event_type": finding.event_type,
            "record_id": finding.record_id,
            "time": format_milliseconds(finding.time),
            "customer_id": finding.customer,
        }
        if not finding.details:
            return row
        if not self._show_values:
            return row | {"fields": sorted(finding.details)}
        fields = {
            name: {"expected": expected, "actual": actual}
            for name, (expected, actual) in finding.details.items()
        }
        return row | {"fields": fields}
