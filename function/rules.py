"""The rules of a mapping, sorted by what they match.

Pure: no network, no environment, no clock. They are sorted once, so that an event meets
only those that can want it, however many there are.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from expressions import Expression


class Billing(NamedTuple):
    """What a billable event takes from a Segment event; *spread* fills the record."""

    customer_id: Expression
    event_type: Expression
    timestamp: Expression
    spread: Expression | None
    record: Mapping[str, Expression]


class Rule(NamedTuple):
    """Which events a rule wants, and how they are billed; None ignores them.

    Without *events* it wants those of any name.
    """

    number: int
    type: str
    events: tuple[str, ...]
    when: Expression | None
    billing: Billing | None


class Candidates(NamedTuple):
    """The rules for the events of one type, in the order they are tried."""

    by_event: Mapping[str, tuple[Rule, ...]]
    others: tuple[Rule, ...]


type Rules = Mapping[str, Candidates]  # by type


def sort(rules: Iterable[Rule]) -> Rules:
    """Return *rules* by type; among those of one type their order stays."""
    by_type: dict[str, list[Rule]] = {}
    for rule in rules:
        by_type.setdefault(rule.type, []).append(rule)
    return {kind: _sort(of_type) for kind, of_type in by_type.items()}


def _sort(rules: Iterable[Rule]) -> Candidates:
    """Return the *rules* of one type, those that name events under each name."""
    by_event: dict[str, list[Rule]] = {}
    others: list[Rule] = []
    for rule in rules:
        for event in rule.events:
            # What wants any event and comes before is tried before.
            by_event.setdefault(event, list(others)).append(rule)
        if not rule.events:
            others.append(rule)
            for candidates in by_event.values():
                candidates.append(rule)
    return Candidates({e: tuple(c) for e, c in by_event.items()}, tuple(others))
