"""Create an event that a rule of the mapping bills.

Pure: no network, no environment, no clock.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from segment_to_hyperline.doctor.send.needs import (
    FIRST,
    Exact,
    Kind,
    Need,
    Path,
    Wanted,
    find_needs,
    find_path,
)
from segment_to_hyperline.mapping.rules import Billing, Rule
from segment_to_hyperline.mapping.validation import ITEM
from segment_to_hyperline.segment.facts import EVENT_FIELDS, EVENT_TIMES

# What a track event is called if the rule doesn't say.
_EVENT_NAME = "Example Event"
_OBJECTS = {"properties", "traits", "context", "integrations", "_metadata"}
_STRINGS = EVENT_FIELDS - EVENT_TIMES - _OBJECTS


class Identity(NamedTuple):
    """What the event has of its own."""

    message_id: str
    now: str
    """The time of the event, in ISO 8601."""
    customer: str | None
    """The customer to bill; None for the one that the event has."""


def create_event(rule: Rule, billing: Billing, identity: Identity) -> dict[str, Any]:
    """Return an event for *rule*, with plausible values of all that it reads.

    It isn't certain that the rule bills it.
    """
    chosen = _choose(_find_all(rule, billing, identity.customer))
    fields: dict[str, Any] = {
        "type": rule.type,
        "messageId": identity.message_id,
        **dict.fromkeys(EVENT_TIMES, identity.now),
    }
    if rule.type == "track":
        fields["event"] = _choose_name(rule, chosen.get(("event",)))
    return {"userId": identity.customer, **_place(chosen, identity.now), **fields}


def _choose_name(rule: Rule, wanted: Wanted | None) -> Any:
    """Return the event's name: one that *rule* has, or that its condition has."""
    if rule.events:
        return rule.events[0]
    return wanted.value if isinstance(wanted, Exact) else _EVENT_NAME


def _find_all(rule: Rule, billing: Billing, customer: str | None) -> Iterator[Need]:
    if rule.when:
        yield from find_needs(rule.when, Kind.ANY)
    items = _find_items(billing)
    if items is None and billing.each:  # such as an array that the rule writes
        yield from find_needs(billing.each, Kind.ANY)
    for need in _find_in_billing(billing, customer):
        if need.path[:1] != (ITEM,):
            yield need
        elif items is not None:
            yield need._replace(path=(*items, *need.path[1:]))


def _find_items(billing: Billing) -> Path | None:
    """Return where the first element is, if the rule has `each` and it is a path."""
    path = find_path(billing.each) if billing.each else None
    return None if path is None else (*path, *(() if FIRST in path[-1:] else (FIRST,)))


def _find_in_billing(billing: Billing, customer: str | None) -> Iterator[Need]:
    if billing.each:
        yield Need((ITEM,), Kind.OBJECT)
    yield from find_needs(billing.customer_id, Exact(customer))
    yield from find_needs(billing.event_type, Kind.STRING)
    yield from find_needs(billing.timestamp, Kind.TIME)
    if billing.spread:
        yield from find_needs(billing.spread, Kind.OBJECT)
    for expression in billing.record.values():
        yield from find_needs(expression, Kind.ANY)


def _choose(needs: Iterable[Need]) -> dict[Path, Wanted]:
    """Return what is placed at each path: a value, rather than any one of a kind."""
    chosen: dict[Path, Wanted] = {}
    for need in sorted(needs, key=lambda need: _rank(need.wanted)):
        chosen.setdefault(need.path, need.wanted)
    return chosen


def _rank(wanted: Wanted) -> int:
    if isinstance(wanted, Exact):
        return 0
    return 2 if wanted is Kind.ANY else 1


def _place(chosen: dict[Path, Wanted], now: str) -> dict[str, Any]:
    """Return an object with the values at their paths."""
    root: dict[str | int, Any] = {}
    # What is inside of another value replaces it.
    for path in sorted(chosen, key=len):
        if path and isinstance(path[0], str):
            *above, last = path
            inner = root
            for name in above:
                if not isinstance(inner.get(name), _Branch):
                    inner[name] = _Branch()
                inner = inner[name]
            inner[last] = _create_value(path, chosen[path], now)
    return {str(name): _finish(value) for name, value in root.items()}


class _Branch(dict[str | int, Any]):
    """An object that is being built, or an array with the element `FIRST`."""


def _finish(value: Any) -> Any:
    if not isinstance(value, _Branch):
        return value
    if FIRST in value:
        return [_finish(value[FIRST])]
    return {name: _finish(inner) for name, inner in value.items()}


def _create_value(path: Path, wanted: Wanted, now: str) -> Any:
    if isinstance(wanted, Exact):
        return wanted.value
    is_string = len(path) == 1 and path[0] in _STRINGS
    if wanted is Kind.ANY and is_string:
        wanted = Kind.STRING
    values: dict[Wanted, Any] = {
        Kind.STRING: "example",
        Kind.DIGITS: "1",
        Kind.TIME: now,
        Kind.OBJECT: {"quantity": 1},
    }
    return values.get(wanted, 1)
