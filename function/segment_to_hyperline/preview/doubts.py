"""Find what a mapping does with an event and was probably not meant."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from unicodedata import normalize

from segment_to_hyperline.hyperline.billable_event import Fields
from segment_to_hyperline.mapping.apply import find_rule
from segment_to_hyperline.mapping.limits import (
    DEFAULT_LIMITS,
    Limits,
    find_excess,
    parse_received_at,
)
from segment_to_hyperline.mapping.rules import Rule, Rules
from segment_to_hyperline.segment.times import parse_time

# What programs write for a value that is missing.
_PLACEHOLDERS = {
    *("undefined", "null", "NULL", "None", "nil", "(null)", "NaN"),
    "[object Object]",
}


def find_value_doubts(billable: Fields) -> Iterator[str]:
    """Yield what is suspicious in a billable event."""
    record = {f"record.{name}": value for name, value in billable["record"].items()}
    for name, value in {**billable, **record}.items():
        if not isinstance(value, str):
            continue
        if value in _PLACEHOLDERS:
            yield f'{name} is the string "{value}"'
        elif value != value.strip():
            yield f"{name} begins or ends with a space"


class RuleDoubts:
    """Finds events that *rules* bill or filter, and were probably not meant for it."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        by_number = {rule.number: rule for rule in _list_rules(rules)}
        self._unlimited = {
            number: limits
            for number, rule in by_number.items()
            if (limits := _find_unset_limits(rule)) != Limits(None, None)
        }
        self._names = {name for rule in by_number.values() for name in rule.events}
        self._by_fold: dict[str, tuple[str, Rule]] = {}
        for rule in sorted(by_number.values(), key=lambda rule: -rule.number):
            self._by_fold |= {_fold(name): (name, rule) for name in rule.events}

    def find(self, event: dict[str, Any], billed: list[Fields]) -> list[str]:
        """Return the doubts about an *event* that is billed as *billed* or filtered."""
        near = self._find_near_miss(event)
        if near is None and not (billed and self._unlimited):
            return []
        rule = find_rule(self._rules, event)
        doubts = [_describe_near_miss(event["event"], *near, rule)] if near else []
        if rule and rule.number in self._unlimited:
            doubts += self._find_times(rule, event, billed)
        return list(filter(None, doubts))

    def _find_near_miss(self, event: dict[str, Any]) -> tuple[str, Rule] | None:
        """Return the name that the event's name differs from, and its rule."""
        name = event.get("event")
        if event.get("type") != "track" or not isinstance(name, str):
            return None
        if name in self._names or not _fold(name):
            return None
        return self._by_fold.get(_fold(name))

    def _find_times(
        self, rule: Rule, event: dict[str, Any], billed: list[Fields]
    ) -> Iterator[str]:
        received_at = parse_received_at(event)
        limits = self._unlimited[rule.number]
        text = rule.billing.timestamp.text if rule.billing else ""
        times = (parse_time(billable["timestamp"]) for billable in billed)
        for excess in {find_excess(time, received_at, limits) for time in times} - {""}:
            yield (
                f"rule {rule.number}: {text} is {excess}, and billed because the rule"
                " sets no such limit"
            )


def _list_rules(rules: Rules) -> Iterator[Rule]:
    for candidates in rules.values():
        for of_event in (*candidates.by_event.values(), candidates.others):
            yield from of_event


def _find_unset_limits(rule: Rule) -> Limits:
    """Return the default of each limit that *rule* doesn't have."""
    if rule.billing is None:
        return Limits(None, None)
    past, future = rule.billing.limits
    default_past, default_future = DEFAULT_LIMITS
    return Limits(
        default_past if past is None else None,
        default_future if future is None else None,
    )


def _describe_near_miss(
    name: str, meant: str, meant_rule: Rule, rule: Rule | None
) -> str:
    """Return that an event's *name* is almost *meant*, which *meant_rule* has.

    It is empty if that makes no difference, because both are filtered.
    """
    is_billed = rule is not None and rule.billing is not None
    if not is_billed and meant_rule.billing is None:
        return ""
    # In their usual form, some different names look the same.
    is_ascii = normalize("NFKC", name) == normalize("NFKC", meant)
    shown, expected = (json.dumps(n, ensure_ascii=is_ascii) for n in (name, meant))
    does = f"billed by rule {rule.number}" if rule and is_billed else "filtered"
    return (
        f"{shown} is {does}, but it differs from {expected} of rule"
        f" {meant_rule.number} only in case, space, punctuation or normalization"
    )


@lru_cache(10_000)
def _fold(name: str) -> str:
    """Return what all spellings of *name* have in common."""
    return "".join(c for c in normalize("NFKC", name).casefold() if c.isalnum())
