"""Compare two mappings over the same events: what a change would bill differently."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tools.preview.usage import (
    Account,
    Usage,
    align,
    count_events,
    list_counts,
    read,
    show,
)
from tools.preview.verdict import OUTCOMES, Summary, Verdict

_MAX_LISTED = 200
_ADVICE = (
    "Deploy it while nothing is pending and Quarantine is empty, and replay nothing"
    " older."
)


class Plan:
    """What two mappings make of the events added so far."""

    def __init__(self) -> None:
        accounts: set[Account] = set()
        self.before = Summary(accounts)
        self.after = Summary(accounts)
        self.changes = Counter[str]()
        self.altered: dict[Account, Counter[str]] = {}
        self.renamed = Counter[tuple[str, str]]()
        self.moved = Counter[str]()
        self.retimed = Counter[str]()
        self.lost = 0

    def add(self, old: Verdict, new: Verdict) -> None:
        """Add what became of an event *old*, and what becomes of it *new*."""
        self.before.add(old)
        self.after.add(new)
        if old.billable and new.billable:
            same = old.billable == new.billable
            self.changes["unchanged" if same else "altered"] += 1
            if not same:
                self._compare(read(old.billable.json), read(new.billable.json))
        elif new.billable:
            self.changes["added"] += 1
        elif old.billable:
            self.changes["dropped"] += 1
            self.lost += new.outcome == "quarantined"

    def _compare(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        if old["event_type"] != new["event_type"]:
            self.renamed[old["event_type"], new["event_type"]] += 1
        if old["customer_id"] != new["customer_id"]:
            self.moved[new["event_type"]] += 1
        if old["timestamp"] != new["timestamp"]:
            self.retimed[new["event_type"]] += 1
        account = self.after.ledger.find(new)
        if account == self.before.ledger.find(old):
            fields = self.altered.setdefault(account, Counter())
            fields.update(_altered_fields(old, new))

    def warnings(self) -> list[str]:
        """Return what can go wrong on invoices when the change is deployed."""
        renamed = [
            f"{count_events(number)} of type {show(old)} become {show(new)}. Hyperline"
            " keeps one event for each event_type and record.id, so what Segment sends"
            " again, or you replay, after the deploy is billed under both types."
            f" {_ADVICE}"
            for (old, new), number in self.renamed.items()
        ]
        moved = [
            f"{count_events(number)} of type {show(kind)} move to another customer. So"
            " does usage billed before, if Segment sends it again, or you replay it,"
            f" after the deploy. {_ADVICE}"
            for kind, number in self.moved.items()
        ]
        retimed = [
            f"{count_events(number)} of type {show(kind)} get another timestamp, which"
            " decides the invoice they are on."
            for kind, number in self.retimed.items()
        ]
        lost = [f"{count_events(self.lost)} that were billed are now quarantined."]
        return renamed + moved + retimed + (lost if self.lost else [])

    def lines(self) -> Iterator[str]:
        """Yield the comparison as a diff: `-` is what was billed, `+` what will be."""
        before, after = self.before.outcomes, self.after.outcomes
        rows = [(name, f"{before[name]:,}", f"{after[name]:,}") for name in OUTCOMES]
        yield from align([("", "before", "after"), *rows])
        told = ", ".join(f"{n:,} {change}" for change, n in self.changes.items())
        yield f"\nbilled events: {told or 'none'}\n"
        changes = list(self._changes())
        yield from align(changes[:_MAX_LISTED])
        if changes[_MAX_LISTED:]:
            yield f"and {len(changes) - _MAX_LISTED:,} lines more; --json has more"
        yield from _reasons("-", self.before.reasons - self.after.reasons)
        yield from _reasons("+", self.after.reasons - self.before.reasons)
        yield from (f"\nWARNING: {warning}" for warning in self.warnings())

    def to_json(self) -> dict[str, Any]:
        """Return the comparison for machines."""
        return {
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "changes": self.changes,
            "altered": [
                account._asdict() | {"fields": fields}
                for account, fields in self.altered.items()
            ],
            "warnings": self.warnings(),
        }

    def _changes(self) -> Iterator[tuple[str, ...]]:
        """Yield the lines about accounts of which anything differs."""
        before, after = self.before.ledger, self.after.ledger
        for account in sorted({*before, *after}):
            names = (show(account.event_type), show(account.customer_id))
            old, new = before[account], after[account]
            if old != new:
                yield from _replace(names, old, new)
            if account in self.altered:
                fields = self.altered[account]
                told = ", ".join(f"{show(name)} of {n:,}" for name, n in fields.items())
                yield ("!", *names, f"altered: {told}")


def _replace(
    names: tuple[str, ...], old: Usage, new: Usage
) -> Iterator[tuple[str, ...]]:
    if old.events:
        yield ("-", *names, str(old))
    if new.events:
        yield ("+", *names, str(new))


def _reasons(sign: str, reasons: Counter[str]) -> Iterator[str]:
    return (f"{sign}  quarantined  {line}" for line in list_counts(reasons))


def _altered_fields(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the names of what differs: `timestamp`, or properties of the record."""
    fields = ["timestamp"] if old["timestamp"] != new["timestamp"] else []
    missing = object()
    return fields + [
        f"record.{name}"
        for name in dict.fromkeys((*old["record"], *new["record"]))
        if old["record"].get(name, missing) != new["record"].get(name, missing)
    ]
