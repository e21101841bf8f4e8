"""Apply a mapping to captured events: the verdict on each, and a summary of many."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from forwarder.hyperline.billable_event import BillableEvent
from forwarder.mapping.apply import apply_rules
from forwarder.mapping.expressions import UnmappableEvent
from forwarder.mapping.rules import Rules
from tools.capture import CapturedEvent, UnreadableLine
from tools.preview.usage import (
    Ledger,
    UsageGroup,
    format_event_count,
    list_counts,
    make_printable,
    parse_billable,
)

_MAX_RECORD_LENGTH = 120
OUTCOMES = ("billed", "filtered", "quarantined", "unreadable")


class Verdict(NamedTuple):
    """The outcome of the event on a line, and what is billed or the reason."""

    line: int
    outcome: str
    billable: tuple[BillableEvent, ...] = ()
    reason: str = ""

    def to_json(self) -> str:
        """Return the verdict for programs, as one line."""
        content: dict[str, Any] = {"line": self.line, "outcome": self.outcome}
        if self.billable:
            content["billable_events"] = [json.loads(b.json) for b in self.billable]
        elif self.reason:
            content["reason"] = self.reason
        return json.dumps(content)

    def to_text(self) -> str:
        """Return the verdict for people, as one line for each billable event."""
        head = f"{self.line:>8}  {self.outcome:<11}  "
        if not self.billable:
            return head + make_printable(self.reason)
        return "\n".join(head + _format_billable(event) for event in self.billable)


def judge(rules: Rules, item: CapturedEvent | UnreadableLine) -> Verdict:
    """Return the verdict of *rules* on *item*."""
    if isinstance(item, UnreadableLine):
        return Verdict(item.line, "unreadable", reason=item.reason)
    try:
        billable = apply_rules(rules, item.event.data)
    except UnmappableEvent as error:
        return Verdict(item.line, "quarantined", reason=str(error))
    if not billable:
        return Verdict(item.line, "filtered", reason=_describe(item.event.data))
    return Verdict(item.line, "billed", billable)


class Summary:
    """The number of events by outcome, the reasons for quarantine, and the usage.

    Summaries that are compared share the set *known*, see `Ledger`.
    """

    def __init__(self, known: set[UsageGroup] | None = None) -> None:
        self.outcomes = Counter[str]()
        self.reasons = Counter[str]()
        self.ledger = Ledger(set() if known is None else known)

    def add(self, verdict: Verdict) -> None:
        """Add the verdict on an event."""
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome == "quarantined":
            self.reasons[verdict.reason] += 1
        for billable in verdict.billable:
            self.ledger.add(parse_billable(billable.json))

    def lines(self) -> Iterator[str]:
        """Yield the summary for people."""
        counts = ", ".join(f"{self.outcomes[name]:,} {name}" for name in OUTCOMES)
        yield f"\n{format_event_count(self.outcomes.total())}: {counts}\n"
        yield from self.ledger.lines()
        if self.reasons:
            yield "\nquarantined, by reason:"
            yield from list_counts(self.reasons)

    def to_json(self) -> dict[str, Any]:
        """Return the summary for programs."""
        outcomes = {name: self.outcomes[name] for name in OUTCOMES}
        return {**outcomes, "reasons": self.reasons, "usage": self.ledger.to_json()}


def _format_billable(billable: BillableEvent) -> str:
    content = json.loads(billable.json)
    names = ("event_type", "customer_id", "timestamp")
    fields = [make_printable(content[name]) for name in names]
    return "  ".join((*fields, _format_record(content["record"])))


def _format_record(record: dict[str, Any]) -> str:
    """Return *record* as printable JSON, cut off if it is long."""
    text = json.dumps(record, ensure_ascii=False)
    if not text.isprintable():
        text = json.dumps(record)
    if len(text) > _MAX_RECORD_LENGTH:
        text = text[:_MAX_RECORD_LENGTH] + "… (--json shows all)"
    return text


def _describe(data: Any) -> str:
    """Return the type of a filtered event, and its name if it has one."""
    names = (data.get(field) for field in ("type", "event", "name"))
    return ": ".join(name for name in names if isinstance(name, str))
