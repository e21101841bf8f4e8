"""The rules of a mapping, indexed by the events they match.

They are indexed once, so that an event is only tested against rules that could match
it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from segment_to_hyperline.mapping.expressions import Expression
from segment_to_hyperline.mapping.limits import Limits


class Billing(NamedTuple):
    """The expressions for the fields of a billable event.

    *spread* returns an object whose properties are copied into the record. *each*
    returns an array; each of its elements is billed. In a file with such a rule, other
    rules are *exclusive*: they bill no event whose messageId looks like the record.id
    of an element. *limits* are those of the timestamp.
    """

    customer_id: Expression
    event_type: Expression
    timestamp: Expression
    spread: Expression | None
    record: Mapping[str, Expression]
    limits: Limits
    each: Expression | None = None
    exclusive: bool = False


class Rule(NamedTuple):
    """Which events a rule matches, and how they are billed; None ignores them.

    Without *events* it matches events with any name.
    """

    number: int
    type: str
    events: tuple[str, ...]
    when: Expression | None
    billing: Billing | None


class Candidates(NamedTuple):
    """The rules for the events of one type, in the order in which they are tested.

    *others* are for events that are not in *by_event*.
    """

    by_event: Mapping[str, tuple[Rule, ...]]
    others: tuple[Rule, ...]


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
