"""Add up what was received, billed and missing, per day and month, for finance.

The totals of Hyperline's rows follow from a deep reconciliation: they are those of the
expected events, without what is missing, with what differs, plus what is unexpected.
"""

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from segment_to_hyperline.preview.usage import (
    UsageGroup,
    UsageTable,
    format_number,
)
from segment_to_hyperline.reconciliation.compare import (
    DIFFERENT,
    MISSING,
    UNCHECKED,
    UNEXPECTED,
    EncodedKey,
    to_milliseconds,
)
from segment_to_hyperline.reconciliation.reader import format_milliseconds
from segment_to_hyperline.reconciliation.store import Finding, Store
from segment_to_hyperline.text import align, make_printable

DAY_LENGTH, MONTH_LENGTH = len("2026-01-31"), len("2026-01")


class Ledger:
    """The usage by period, event type and customer: as sent, and as in Hyperline.

    A period is a day, or a month with *length* `MONTH_LENGTH`. *queued* has the file of
    each event that was exported from a queue. An event that could not be checked counts
    as missing.
    """

    def __init__(
        self, store: Store, length: int, queued: dict[EncodedKey, str]
    ) -> None:
        known: set[UsageGroup] = set()
        self.sent, self.billed = UsageTable(known), UsageTable(known)
        self.missing = Counter[UsageGroup]()
        self.queued = Counter[str]()
        self.unbilled = Counter[tuple[str, str, str]]()
        self._length = length
        findings = {(f.kind, f.event_type, f.record_id): f for f in store.findings()}
        self._has_findings = bool(findings)
        for event in store.expected():
            content = json.loads(event.body, parse_float=Decimal)
            key = event.event_type, event.record_id
            group = self._add(self.sent, event.time, content)
            if {(MISSING, *key), (UNCHECKED, *key)} & findings.keys():
                self.missing[group] += 1
                if key in queued:
                    self.queued[queued[key]] += 1
                continue
            different = findings.get((DIFFERENT, *key))
            record = change_record(content["record"], different)
            times = different.details.get("timestamp") if different else None
            time = to_milliseconds(times[1]) if times else event.time
            self._add(self.billed, time, content | {"record": record})
        for finding in findings.values():
            if finding.kind == UNEXPECTED:
                content = {
                    "event_type": finding.event_type,
                    "customer_id": finding.customer,
                    "record": change_record({}, finding),
                }
                self._add(self.billed, finding.time, content)
        for kind, reason, day, number in store.unbilled_by_day():
            self.unbilled[day[:length], kind, reason] += number

    def _add(self, table: UsageTable, time: int, content: dict[str, Any]) -> UsageGroup:
        period = format_milliseconds(time)[: self._length]
        event_type = f"{period}  {make_printable(content['event_type'])}"
        placed = content | {"event_type": event_type}
        table.add(placed)
        return table.find_group(placed)

    @property
    def matches(self) -> bool:
        """Whether Hyperline has exactly the events that were sent."""
        is_readable = not any(kind == "unreadable" for _, kind, _ in self.unbilled)
        return is_readable and not self._has_findings

    def lines(self) -> Iterator[str]:
        """Yield a table for people."""
        rows = [("period and event type", "customer", "sent", "billed", "missing", "")]
        for group in sorted({*self.sent, *self.billed}):
            sent, billed = self.sent[group], self.billed[group]
            numbers = (sent.events, billed.events, self.missing[group])
            names = (group.event_type, make_printable(group.customer_id))
            totals = ", ".join(self._compare_totals(group))
            rows.append((*names, *(f"{n:,}" for n in numbers), totals))
        yield from align(rows)
        if self.queued:
            yield "\nof the missing events, in a queue:"
            yield from align(
                [
                    (f"{n:,}", make_printable(reason))
                    for reason, n in self.queued.items()
                ]
            )
        if self.unbilled:
            yield "\nnot billed:"
            yield from align(
                [
                    (period or "(no time)", f"{n:,}", kind, make_printable(reason))
                    for (period, kind, reason), n in sorted(self.unbilled.items())
                ]
            )

    def to_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "matches": self.matches,
            "usage": [
                {
                    "period": group.event_type.partition("  ")[0],
                    "event_type": group.event_type.partition("  ")[2] or "(others)",
                    "customer_id": group.customer_id,
                    "sent": self.sent[group].to_json(),
                    "billed": self.billed[group].to_json(),
                    "missing": self.missing[group],
                }
                for group in sorted({*self.sent, *self.billed})
            ],
            "missing_in_a_queue": self.queued,
            "not_billed": [
                {"period": period, "kind": kind, "reason": reason, "events": number}
                for (period, kind, reason), number in sorted(self.unbilled.items())
            ],
        }

    def _compare_totals(self, group: UsageGroup) -> Iterator[str]:
        sent, billed = self.sent[group].totals, self.billed[group].totals
        for name in dict.fromkeys((*sent, *billed)):
            values = [totals.get(name, Decimal(0)) for totals in (sent, billed)]
            first, second = map(format_number, values)
            shown = (
                first if values[0] == values[1] else f"{first} sent, {second} billed"
            )
            yield f"{make_printable(name)} {shown}"


def change_record(record: dict[str, Any], finding: Finding | None) -> dict[str, Any]:
    """Return *record* as Hyperline has it, according to *finding*."""
    if finding is None:
        return record
    changed = dict(record)
    for name, (_, actual) in finding.details.items():
        if name.startswith("record."):
            is_float = isinstance(actual, float)
            changed[name.removeprefix("record.")] = (
                Decimal(repr(actual)) if is_float else actual
            )
    return changed
