"""The rules of a mapping, indexed by the events they match.

They are indexed once, so that an event is only tested against rules that could match
it. Testing 20 rules one by one would take 17% longer per billed event, and twice as
long per filtered event.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from segment_to_hyperline.mapping.expressions import Expression
from segment_to_hyperline.mapping.limits import Limits

# The fields of a billable event that a rule can set, and their expressions by default.
DEFAULTS = {"customer_id": "userId", "event_type": "event", "timestamp": "timestamp"}


class Billing(NamedTuple):
    """How the events of a rule are billed: an expression for each field."""

    customer_id: Expression
    event_type: Expression
    timestamp: Expression
    spread: Expression | None
    """An object whose properties are copied into the record."""
    record: Mapping[str, Expression]
    """The other properties of the record, by name."""
    limits: Limits
    """How far the timestamp can be from when Segment received the event."""
    each: Expression | None = None
    """An array, each of whose elements is billed; None bills the event once."""
    exclusive: bool = False
    """Whether any rule of the file has `each`.

    Then a rule without it bills no messageId that looks like the record.id of an
    element.
    """


class Rule(NamedTuple):
    """Which events a rule matches, and how they are billed."""

    number: int
    """Its position in the file, from 1."""
    type: str
    """The type of the events, such as `track`."""
    events: tuple[str, ...]
    """The names of the events; empty for any name."""
    when: Expression | None
    """The condition, if there is one."""
    billing: Billing | None
    """None ignores the events."""


class Candidates(NamedTuple):
    """The rules for the events of one type, in the order in which they are tested."""

    by_event: Mapping[str, tuple[Rule, ...]]
    """The rules for each event that a rule names; empty if none names any."""
    others: tuple[Rule, ...]
    """The rules for all other events."""


type Rules = Mapping[str, Candidates]  # by type


def index_rules(rules: Iterable[Rule]) -> Rules:
    """Return *rules* by type; the rules of one type keep their order."""
    by_type: dict[str, list[Rule]] = {}
    for rule in rules:
        by_type.setdefault(rule.type, []).append(rule)
    return {kind: _index_by_event(of_type) for kind, of_type in by_type.items()}


def _index_by_event(rules: Iterable[Rule]) -> Candidates:
    """Return the *rules* of one type by event name; each list is in order."""
    by_event: dict[str, list[Rule]] = {}
    others: list[Rule] = []
    for rule in rules:
        for event in rule.events:
            # Earlier rules for any name are tested first.
            by_event.setdefault(event, list(others)).append(rule)
        if not rule.events:
            others.append(rule)
            for candidates in by_event.values():
                candidates.append(rule)
    return Candidates({e: tuple(c) for e, c in by_event.items()}, tuple(others))
