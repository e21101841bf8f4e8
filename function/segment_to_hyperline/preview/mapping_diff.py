"""The diff of two mappings: what is billed differently for the same events."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from segment_to_hyperline.archive.captured import Captured
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.preview.usage import (
    Usage,
    UsageGroup,
    parse_billable,
)
from segment_to_hyperline.preview.verdict import OUTCOMES, Summary, Verdict
from segment_to_hyperline.text import (
    align,
    format_count,
    list_counts,
    make_printable,
)

_MAX_LINES = 200
_ADVICE = (
    "Deploy while no event is pending and Quarantine is empty, and don't replay older"
    " events."
)


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
        self.renamed = Counter[tuple[str, str]]()
        """Events with another type, by the old type and the new one."""
        self.moved = Counter[str]()
        """Events of another customer, by type."""
        self.retimed = Counter[str]()
        """Events with another timestamp, by type."""
        self.lost = Counter[str]()
        """Events that are billed no more, by their new outcome."""
        self.split = Counter[str]()
        """Events with other ids, since their elements are others, by type."""

    def add(self, item: Captured, old: Verdict, new: Verdict) -> None:
        """Add the verdicts of both mappings on an event."""
        self.before.add(old, item)
        self.after.add(new, item)
        if old.billable and new.billable:
            is_same = old.billable == new.billable
            self.changes["unchanged" if is_same else "changed"] += 1
            if not is_same:
                self._compare_events(old.billable, new.billable)
        elif new.billable:
            self.changes["added"] += 1
        elif old.billable:
            self.changes["removed"] += 1
            self.lost[new.outcome] += 1

    def _compare_events(
        self, old: tuple[BillableEvent, ...], new: tuple[BillableEvent, ...]
    ) -> None:
        """Compare what is billed for an event, element by element."""
        after = {event.key.record_id: event for event in new}
        if after.keys() != {event.key.record_id for event in old}:
            self.split[new[0].key.event_type] += 1
        for event in old:
            if other := after.get(event.key.record_id):
                self._compare(parse_billable(event.json), parse_billable(other.json))

    def _compare(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        if old["event_type"] != new["event_type"]:
            self.renamed[old["event_type"], new["event_type"]] += 1
        if old["customer_id"] != new["customer_id"]:
            self.moved[new["event_type"]] += 1
        if old["timestamp"] != new["timestamp"]:
            self.retimed[new["event_type"]] += 1
        group = self.after.usage.find_group(new)
        if group == self.before.usage.find_group(old):
            fields = self.changed_fields.setdefault(group, Counter())
            fields.update(_find_changed_fields(old, new))

    def warnings(self) -> list[str]:
        """Return how the change could make invoices wrong."""
        renamed = [
            f"{_count(number, old)} would change to type {make_printable(new)}."
            " Hyperline stores one event for each event_type and record.id, so events"
            " that Segment retries, or that you replay, after the deployment are billed"
            f" under both types. {_ADVICE}"
            for (old, new), number in self.renamed.items()
        ]
        moved = [
            f"{_count(number, kind)} would move to another customer. After the"
            " deployment, retried or replayed events also move, including events that"
            f" are already billed. {_ADVICE}"
            for kind, number in self.moved.items()
        ]
        retimed = [
            f"{_count(number, kind)} would change timestamp, which may move them to"
            " another invoice."
            for kind, number in self.retimed.items()
        ]
        split = [
            f"{_count(number, kind)} would be billed under other ids, because each"
            " was added, removed or changed. Hyperline stores one event for each"
            " event_type and record.id, so events that Segment retries, or that you"
            f" replay, after the deployment are billed under both ids. {_ADVICE}"
            for kind, number in self.split.items()
        ]
        lost = [
            f"{format_count(number, 'event')} would be {outcome} instead of billed."
            for outcome, number in self.lost.items()
        ]
        return split + renamed + moved + retimed + lost

    def lines(self) -> Iterator[str]:
        """Yield the diff for people: `-` was billed before, `+` would be now."""
        before, after = self.before.outcomes, self.after.outcomes
        rows = [(name, f"{before[name]:,}", f"{after[name]:,}") for name in OUTCOMES]
        yield from align([("", "before", "after"), *rows])
        counts = ", ".join(f"{n:,} {change}" for change, n in self.changes.items())
        yield f"\nbilled events: {counts or 'none'}\n"
        changes = list(self._list_changes())
        yield from align(changes[:_MAX_LINES])
        if changes[_MAX_LINES:]:
            yield f"and {len(changes) - _MAX_LINES:,} more lines; --json shows more"
        yield from _list_reasons("-", self.before.reasons - self.after.reasons)
        yield from _list_reasons("+", self.after.reasons - self.before.reasons)
        yield from self.after.list_warnings()
        yield from (f"\nWARNING: {warning}" for warning in self.warnings())

    def to_markdown(self) -> Iterator[str]:
        """Yield the diff for a pull request: the warnings, then a table."""
        for warning in self.warnings():
            yield f"> [!WARNING]\n> {_escape(warning)}\n"
        before, after = self.before.outcomes, self.after.outcomes
        yield "| | before | after |\n|---|---|---|"
        for name in OUTCOMES:
            yield f"| {name} | {before[name]:,} | {after[name]:,} |"
        changes = list(self._list_changes())
        if changes:
            yield "\n| | event type | customer | usage |\n|---|---|---|---|"
        for change in changes[:_MAX_LINES]:
            yield f"| {' | '.join(map(_escape, change))} |"
        if changes[_MAX_LINES:]:
            yield f"\nand {len(changes) - _MAX_LINES:,} more lines"
        reasons = (
            *_list_reasons("-", self.before.reasons - self.after.reasons),
            *_list_reasons("+", self.after.reasons - self.before.reasons),
        )
        doubts = list(self.after.list_warnings())[:_MAX_LINES]
        lines = (*reasons[:_MAX_LINES], *doubts)
        yield from (f"\n{_escape(line.strip())}" for line in lines)

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
            "warnings": self.warnings(),
        }

    def _list_changes(self) -> Iterator[tuple[str, ...]]:
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


def _escape(text: str) -> str:
    """Return *text* for a cell of a Markdown table; names come from customers."""
    return re.sub(r"([\\`*_\[\]<>|#@~!&+-])", r"\\\1", text)


def _count(number: int, event_type: str) -> str:
    return f"{format_count(number, 'event')} of type {make_printable(event_type)}"


def _find_changed_fields(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the names of the fields that differ, such as `record.seats`."""
    fields = ["timestamp"] if old["timestamp"] != new["timestamp"] else []
    missing = object()
    return fields + [
        f"record.{make_printable(name)}"
        for name in dict.fromkeys((*old["record"], *new["record"]))
        if old["record"].get(name, missing) != new["record"].get(name, missing)
    ]
