"""Apply a mapping to captured events: the verdict on each, and a summary of many."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from segment_to_hyperline.archive.captured import (
    Captured,
    CapturedEvent,
    UnreadableLine,
)
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.mapping.apply import apply_rules, find_rule
from segment_to_hyperline.mapping.arguments import ArgumentError
from segment_to_hyperline.mapping.expressions import UnmappableEvent
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.preview.doubts import RuleDoubts, find_value_doubts
from segment_to_hyperline.preview.kinds import Kinds
from segment_to_hyperline.preview.usage import (
    UsageGroup,
    UsageTable,
)
from segment_to_hyperline.preview.watch import Watch
from segment_to_hyperline.text import format_count, list_counts, make_printable

_MAX_RECORD_LENGTH = 120
_MAX_VALUE_LENGTH = 60
_MAX_VALUES = 5
# A limit so that a file of any size fits into memory.
_MAX_WARNINGS = 1_000
OUTCOMES = ("billed", "filtered", "quarantined", "unreadable")
# The outcomes that nobody would look into.
_UNDISPUTED = {"billed", "filtered"}


class Verdict(NamedTuple):
    """What a mapping makes of an event."""

    line: int
    """The number of the line on which the event begins."""
    outcome: str
    """One of `OUTCOMES`."""
    billable: tuple[BillableEvent, ...] = ()
    """What is billed for it; empty for every outcome but `billed`."""
    reason: str = ""
    """Why it is not billed."""
    event: str = ""
    """The type of a filtered event, and its name if it has one."""
    value: str = ""
    """The JSON of the argument that the reason is about.

    The deployed application never shows it.
    """

    def to_json(self, file: str) -> str:
        """Return the verdict on an event of *file* for programs, as one line."""
        content: dict[str, Any] = {"file": file, "line": self.line}
        content["outcome"] = self.outcome
        if self.billable:
            content["billable_events"] = [event.fields() for event in self.billable]
        else:
            content |= {"event": self.event} if self.event else {}
            content["reason"] = self.reason
            content |= {"value": self.value} if self.value else {}
        return json.dumps(content)

    def to_text(self) -> str:
        """Return the verdict for people, as one line for each billable event."""
        head = f"{self.line:>8}  {self.outcome:<11}  "
        if not self.billable:
            return head + make_printable(
                ": ".join(filter(None, (self.event, self.reason, self.value)))
            )
        return "\n".join(head + _format_billable(event) for event in self.billable)


def judge(rules: Rules, item: Captured) -> Verdict:
    """Return the verdict of *rules* on *item*."""
    if isinstance(item, UnreadableLine):
        return Verdict(item.line, "unreadable", reason=item.reason)
    try:
        billable = apply_rules(rules, item.event.data)
    except UnmappableEvent as error:
        value = _find_value(error)
        return Verdict(item.line, "quarantined", reason=str(error), value=value)
    if not billable:
        reason = _explain_filtered(rules, item.event.data)
        event = name_event(item.event.data)
        return Verdict(item.line, "filtered", reason=reason, event=event)
    return Verdict(item.line, "billed", billable)


class Summary:
    """The number of events by outcome, the reasons, the usage and the warnings.

    Summaries that are compared share the set *known*, see `UsageTable`.
    """

    def __init__(self, rules: Rules, known: set[UsageGroup] | None = None) -> None:
        self._doubts = RuleDoubts(rules)
        self._watch = Watch(rules)
        self._kinds = Kinds()
        self._doubtful = Counter[str]()
        self.outcomes = Counter[str]()
        """The number of events by outcome."""
        self.reasons = Counter[str]()
        """The number of quarantined events by reason."""
        self.values: dict[str, set[str]] = {}
        """Some of the values that each of these reasons is about."""
        self.filtered = Counter[str]()
        """The number of filtered events by reason."""
        self.usage = UsageTable(set() if known is None else known)

    @property
    def rules(self) -> Rules:
        """The rules to judge events with, which are watched for the warnings."""
        return self._watch.rules

    @property
    def warnings(self) -> Counter[str]:
        """What was probably not meant, and how often it was seen."""
        return self._doubtful + self._watch.counts() + self._kinds.counts()

    def add(self, verdict: Verdict, item: Captured) -> None:
        """Add the verdict on an event."""
        self.outcomes[verdict.outcome] += 1
        if verdict.outcome == "quarantined":
            self.reasons[verdict.reason] += 1
            self._add_value(verdict)
        if verdict.outcome == "filtered":
            self.filtered[verdict.reason] += 1
        billed = [billable.fields() for billable in verdict.billable]
        for billable in billed:
            group = billable["event_type"], billable["customer_id"]
            self.usage.add(self.usage.find_group(*group), billable["record"])
            self._kinds.add(billable)
            self._warn(find_value_doubts(billable))
        if isinstance(item, CapturedEvent) and verdict.outcome in _UNDISPUTED:
            self._warn(self._doubts.find(item.event.data, billed))

    def _add_value(self, verdict: Verdict) -> None:
        values = self.values.setdefault(verdict.reason, set())
        if verdict.value and len(values) < _MAX_VALUES:
            values.add(verdict.value)

    def _list_reasons(self) -> list[str]:
        """Return a line for each reason, with some of the values that it is about."""
        counts = Counter[str]()
        for reason, number in self.reasons.items():
            values = ", ".join(sorted(self.values[reason]))
            counts[f"{reason}: {values}" if values else reason] = number
        return list_counts(counts)

    def _warn(self, doubts: Iterable[str]) -> None:
        for doubt in doubts:
            if doubt in self._doubtful or len(self._doubtful) < _MAX_WARNINGS:
                self._doubtful[doubt] += 1

    def lines(self) -> Iterator[str]:
        """Yield the summary for people."""
        counts = ", ".join(f"{self.outcomes[name]:,} {name}" for name in OUTCOMES)
        yield f"\n{format_count(self.outcomes.total(), 'event')}: {counts}\n"
        yield from self.usage.lines()
        if self.reasons:
            yield "\nquarantined, by reason:"
            yield from self._list_reasons()
        if self.filtered:
            yield "\nfiltered, by reason:"
            yield from list_counts(self.filtered)
        yield from self.list_warnings()

    def list_warnings(self) -> Iterator[str]:
        """Yield the warnings for people."""
        if self.warnings:
            yield "\nWARNING: check whether this is what you meant:"
            yield from list_counts(self.warnings)

    def to_json(self) -> dict[str, Any]:
        """Return the summary for programs."""
        outcomes = {name: self.outcomes[name] for name in OUTCOMES}
        return {
            **outcomes,
            "reasons": self.reasons,
            "values": {
                name: sorted(found) for name, found in self.values.items() if found
            },
            "usage": self.usage.to_json(),
            "warnings": self.warnings,
        }


def _format_billable(billable: BillableEvent) -> str:
    fields = billable.fields()
    texts = {name: str(value) for name, value in fields.items() if name != "record"}
    names = (texts.pop("event_type"), *texts.values())
    return "  ".join((*map(make_printable, names), _format_record(fields["record"])))


def _format_record(record: dict[str, Any]) -> str:
    """Return *record* as printable JSON, cut off if it is long."""
    text = json.dumps(record, ensure_ascii=False)
    if not text.isprintable():
        text = json.dumps(record)
    if len(text) > _MAX_RECORD_LENGTH:
        text = text[:_MAX_RECORD_LENGTH] + "… (--json shows all)"
    return text


def _find_value(error: BaseException | None) -> str:
    """Return the JSON of the value that *error* is about, or an empty string."""
    while error is not None:
        if isinstance(error, ArgumentError) and error.value is not None:
            text = json.dumps(error.value, ensure_ascii=False)
            is_long = len(text) > _MAX_VALUE_LENGTH
            return f"{text[:_MAX_VALUE_LENGTH]}…" if is_long else text
        error = error.__cause__
    return ""


def _explain_filtered(rules: Rules, event: dict[str, Any]) -> str:
    """Return why *event* is filtered."""
    rule = find_rule(rules, event)
    if rule is None:
        return "no rule matches"
    what = "ignores it" if rule.billing is None else "has no element to bill"
    return f"rule {rule.number} {what}"


def name_event(data: Any) -> str:
    """Return the type of a filtered event, and its name if it has one."""
    names = (data.get(field) for field in ("type", "event", "name"))
    return ": ".join(name for name in names if isinstance(name, str))
