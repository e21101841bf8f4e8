"""The diff of two mappings: what is billed differently for the same events."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from segment_to_hyperline.archive.captured import Captured
from segment_to_hyperline.hyperline.billable_event import BillableEvent, Fields
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.preview.risks import Risk, Risks
from segment_to_hyperline.preview.usage import (
    Usage,
    UsageGroup,
)
from segment_to_hyperline.preview.verdict import OUTCOMES, Summary, Verdict
from segment_to_hyperline.text import (
    LINE_LENGTH,
    align,
    align_and_wrap,
    format_count,
    list_counts,
    make_printable,
)

_MAX_LINES = 200
# Events are compared within a group, and their records by property.
_NOT_COMPARED = {*UsageGroup._fields, "record"}


class MappingDiff:
    """The differences between two mappings over the events added so far."""

    def __init__(self, before: Rules, after: Rules) -> None:
        known: set[UsageGroup] = set()
        self.before = Summary(before, known)
        self.after = Summary(after, known)
        self.changes = Counter[str]()
        """The number of events that are unchanged, changed, added or removed."""
        self.changed_fields: dict[UsageGroup, Counter[str]] = {}
        """How often each field has another value, by group."""
        self._risks = Risks()

    def add(self, item: Captured, old: Verdict, new: Verdict) -> None:
        """Add the verdicts of both mappings on an event."""
        self.before.add(old, item)
        self.after.add(new, item)
        if old.billable and new.billable:
            is_same = old.billable == new.billable or not self._compare(old, new, item)
            self.changes["unchanged" if is_same else "changed"] += 1
        elif new.billable:
            self.changes["added"] += 1
        elif old.billable:
            self.changes["removed"] += 1
            types = _list_types(old.billable)
            self._add_risk("lost", f"{types}: {new.outcome}: {new.reason}", item)

    def _add_risk(self, kind: str, what: str, item: Captured) -> None:
        # What is billed is an event with a messageId.
        self._risks.add(kind, what, item.event.data["messageId"])  # type: ignore[union-attr]

    def _compare(self, old: Verdict, new: Verdict, item: Captured) -> bool:
        """Compare what is billed for an event; return whether anything is different.

        Billable events with the same id are compared with each other.
        """
        before = {event.key.record_id: event for event in old.billable}
        after = {event.key.record_id: event for event in new.billable}
        pairs = [
            (event.fields(), after[name].fields())
            for name, event in before.items()
            if name in after
        ]
        kinds = {
            kind: new["event_type"]
            for old, new in pairs
            for kind, field in (("moved", "customer_id"), ("retimed", "timestamp"))
            if old[field] != new[field]  # type: ignore[literal-required]
        }
        for kind, event_type in kinds.items():
            self._add_risk(kind, event_type, item)
        if described := _describe_keys(old.billable, new.billable):
            self._add_risk(*described, item)
        are_changed = [self._compare_fields(*pair) for pair in pairs]
        return any(are_changed) or before.keys() != after.keys()

    def _compare_fields(self, old: Fields, new: Fields) -> bool:
        """Note which fields differ within a group; return whether any field does."""
        group = self.after.usage.find_group(new["event_type"], new["customer_id"])
        if group != self.before.usage.find_group(old["event_type"], old["customer_id"]):
            return True
        changed = _find_changed_fields(old, new)
        if changed:
            self.changed_fields.setdefault(group, Counter()).update(changed)
        return bool(changed)

    def risks(self) -> list[Risk]:
        """Return how the change could make invoices wrong, the most expensive first."""
        return self._risks.list()

    def lines(self) -> Iterator[str]:
        """Yield the diff for people: `-` was billed before, `+` would be now."""
        before, after = self.before.outcomes, self.after.outcomes
        rows = [(name, f"{before[name]:,}", f"{after[name]:,}") for name in OUTCOMES]
        yield from align([("", "before", "after"), *rows])
        counts = ", ".join(f"{n:,} {change}" for change, n in self.changes.items())
        yield f"\nbilled events: {counts or 'none'}\n"
        changes = list(self.list_changes())
        yield from align_and_wrap(changes[:_MAX_LINES], LINE_LENGTH)
        if changes[_MAX_LINES:]:
            yield f"and {len(changes) - _MAX_LINES:,} more lines; --json shows more"
        yield from _list_reasons("-", self.before.reasons - self.after.reasons)
        yield from _list_reasons("+", self.after.reasons - self.before.reasons)
        yield from self.after.list_warnings()
        for risk in self.risks():
            yield from risk.lines()

    def to_markdown(self) -> Iterator[str]:
        """Yield the diff for a pull request: the warnings, then a table."""
        for risk in self.risks():
            yield f"> [!WARNING]\n> **{escape(risk.title)}**\n>"
            for row in risk.rows():
                yield f"> - {escape('  '.join(filter(None, row)))}"
            yield f">\n> {escape(risk.advice)}\n"
        before, after = self.before.outcomes, self.after.outcomes
        yield "| | before | after |\n|---|---|---|"
        for name in OUTCOMES:
            yield f"| {name} | {before[name]:,} | {after[name]:,} |"
        changes = list(self.list_changes())
        if changes:
            yield "\n| | event type | customer | usage |\n|---|---|---|---|"
        for change in changes[:_MAX_LINES]:
            yield f"| {' | '.join(map(escape, change))} |"
        if changes[_MAX_LINES:]:
            yield f"\nand {len(changes) - _MAX_LINES:,} more lines"
        reasons = (
            *_list_reasons("-", self.before.reasons - self.after.reasons),
            *_list_reasons("+", self.after.reasons - self.before.reasons),
        )
        doubts = list(self.after.list_warnings())[:_MAX_LINES]
        lines = (*reasons[:_MAX_LINES], *doubts)
        yield from (f"\n{escape(line.strip())}" for line in lines)

    def to_json(self) -> dict[str, Any]:
        """Return the diff for programs."""
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "changes": self.changes,
            "changed": [
                group._asdict() | {"fields": fields}
                for group, fields in self.changed_fields.items()
            ],
            "warnings": [risk.to_json() for risk in self.risks()],
        }

    def list_changes(self) -> Iterator[tuple[str, ...]]:
        """Yield the lines for each group with a difference."""
        before, after = self.before.usage, self.after.usage
        for group in sorted({*before, *after}):
            names = tuple(map(make_printable, group))
            old, new = before[group], after[group]
            if old != new:
                yield from _list_usage(names, old, new)
            if group in self.changed_fields:
                fields = ", ".join(
                    f"{make_printable(name)} ({format_count(n, 'event')})"
                    for name, n in self.changed_fields[group].items()
                )
                yield ("!", *names, f"changed: {fields}")


def _list_usage(
    names: tuple[str, ...], old: Usage, new: Usage
) -> Iterator[tuple[str, ...]]:
    if old.events:
        yield ("-", *names, str(old))
    if new.events:
        yield ("+", *names, str(new))


def _list_reasons(sign: str, reasons: Counter[str]) -> Iterator[str]:
    return (f"{sign}  quarantined  {line}" for line in list_counts(reasons))


def escape(text: str) -> str:
    """Return *text* for a cell of a Markdown table; names come from customers."""
    return re.sub(r"([\\`*_\[\]<>|#@~!&+-])", r"\\\1", text)


def _list_types(billable: Iterable[BillableEvent]) -> str:
    return ", ".join(sorted({event.key.event_type for event in billable}))


def _describe_keys(
    old: tuple[BillableEvent, ...], new: tuple[BillableEvent, ...]
) -> tuple[str, str] | None:
    """Return the risk of other keys for an event, and what is different; or None."""
    before, after = {event.key for event in old}, {event.key for event in new}
    types, new_types = _list_types(old), _list_types(new)
    if after - before:
        are_other_types = types != new_types
        what = f"{types} → {new_types}" if are_other_types else f"{types}: other ids"
        return "billed_twice", what
    return ("fewer_elements", types) if before - after else None


def _find_changed_fields(old: Fields, new: Fields) -> list[str]:
    """Return the names of the fields that differ, such as `record.seats`."""
    fields = [
        name
        for name, value in old.items()
        if name not in _NOT_COMPARED and value != new.get(name)
    ]
    # As JSON, because in Python true is equal to 1.
    before, after = (
        {name: json.dumps(value) for name, value in fields["record"].items()}
        for fields in (old, new)
    )
    return fields + [
        f"record.{make_printable(name)}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]
