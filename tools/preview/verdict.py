"""What the mapping makes of a captured event, and what it makes of many."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from forwarder.hyperline.billable_event import BillableEvent
from forwarder.mapping.apply import apply_rules
from forwarder.mapping.expressions import UnmappableEvent
from forwarder.mapping.rules import Rules
from tools.preview.capture import Captured, Unreadable
from tools.preview.usage import Account, Ledger, count_events, list_counts, read, show

_MAX_RECORD_SHOWN = 120
OUTCOMES = ("billed", "filtered", "quarantined", "unreadable")


class Verdict(NamedTuple):
    """What became of the event on a line: an outcome, and what is billed or why not."""

    line: int
    outcome: str
    billable: BillableEvent | None = None
    reason: str = ""

    def to_json(self) -> str:
        """Return it for machines, as one line."""
        content: dict[str, Any] = {"line": self.line, "outcome": self.outcome}
        if self.billable:
            content["billable_event"] = json.loads(self.billable.json)
        elif self.reason:
            content["reason"] = self.reason
        return json.dumps(content)

    def to_text(self) -> str:
        """Return it for people, as one line."""
        head = f"{self.line:>8}  {self.outcome:<11}  "
        if self.billable is None:
            return head + show(self.reason)
        content = json.loads(self.billable.json)
        names = ("event_type", "customer_id", "timestamp")
        fields = [show(content[name]) for name in names]
        record = json.dumps(content["record"], ensure_ascii=False)
        if not record.isprintable():
            record = json.dumps(content["record"])
        if len(record) > _MAX_RECORD_SHOWN:
            record = record[:_MAX_RECORD_SHOWN] + "… (--json shows all)"
        return head + "  ".join((*fields, record))


def judge(rules: Rules, item: Captured | Unreadable) -> Verdict:
    """Return what *rules* make of *item*."""
    if isinstance(item, Unreadable):
        return Verdict(item.line, "unreadable", reason=item.reason)
    try:
        billable = apply_rules(rules, item.event.data)
    except UnmappableEvent as error:
        return Verdict(item.line, "quarantined", reason=str(error))
    if billable is None:
        return Verdict(item.line, "filtered", reason=_name(item.event.data))
    return Verdict(item.line, "billed", billable)


class Summary:
    """How many events ended in each way, why some can't be billed, and the usage."""

    def __init__(self, known: set[Account] | None = None) -> None:
        self.outcomes = Counter[str]()
        self.reasons = Counter[str]()
        self.ledger = Ledger(set() if known is None else known)

    def add(self, verdict: Verdict) -> None:
        """Add what became of an event."""
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome == "quarantined":
            self.reasons[verdict.reason] += 1
        if verdict.billable:
            self.ledger.add(read(verdict.billable.json))

    def lines(self) -> Iterator[str]:
        """Yield the summary for people."""
        told = ", ".join(f"{self.outcomes[name]:,} {name}" for name in OUTCOMES)
        yield f"\n{count_events(self.outcomes.total())}: {told}\n"
        yield from self.ledger.lines()
        if self.reasons:
            yield "\nquarantined, by reason:"
            yield from list_counts(self.reasons)

    def to_json(self) -> dict[str, Any]:
        """Return the summary for machines."""
        outcomes = {name: self.outcomes[name] for name in OUTCOMES}
        return {**outcomes, "reasons": self.reasons, "usage": self.ledger.to_json()}


def _name(data: Any) -> str:
    """Return what a filtered event is called: its type, and the name it may have."""
    names = (data.get(field) for field in ("type", "event", "name"))
    return "  ".join(name for name in names if isinstance(name, str))
