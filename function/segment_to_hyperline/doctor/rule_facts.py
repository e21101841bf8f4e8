"""What the rules of a mapping say about the events that they produce.

Pure: no network, no environment, no clock.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jmespath

from segment_to_hyperline.hyperline.facts import VALUE_TYPES
from segment_to_hyperline.mapping.expressions import Expression
from segment_to_hyperline.mapping.rules import Billing, Rule, Rules

# The result of these functions is a number.
_NUMERIC = {
    *("abs", "add", "avg", "ceil", "divide", "floor", "length", "modulo"),
    *("multiply", "round", "subtract", "sum", "time_difference", "to_number"),
}

# What an expression can be; None if that depends on the event.
type Values = tuple[Any, ...] | None


class Property(NamedTuple):
    """A property of a record."""

    values: Values
    is_number: bool
    """Whether it is always a number."""


class RuleFacts(NamedTuple):
    """What a rule says about the events that it produces."""

    number: int
    """Its position in the file, from 1."""
    event_types: Values
    properties: Mapping[str, Property]
    """Those that every record has, by name."""
    copies_others: bool
    """Whether a record can have other properties."""

    def names(self, event_type: str) -> bool:
        """Return whether it says that it produces this type."""
        return event_type in (self.event_types or ())


def describe_rules(rules: Rules) -> list[RuleFacts]:
    """Return what the *rules* that bill events say."""
    found = {
        rule.number: _describe(rule, rule.billing)
        for rule in _list_rules(rules)
        if rule.billing
    }
    return [found[number] for number in sorted(found)]


def _list_rules(rules: Rules) -> Iterator[Rule]:
    for candidates in rules.values():
        yield from candidates.others
        for named in candidates.by_event.values():
            yield from named


def _describe(rule: Rule, billing: Billing) -> RuleFacts:
    properties = {
        name: _describe_property(rule, expression)
        for name, expression in billing.record.items()
    }
    return RuleFacts(
        rule.number,
        _select_texts(find_values(rule, billing.event_type)),
        properties,
        billing.spread is not None,
    )


def _select_texts(values: Values) -> Values:
    """Return the *values* that are text: an event with another type isn't billed."""
    if values is None:
        return None
    return tuple(value for value in values if isinstance(value, str))


def _describe_property(rule: Rule, expression: Expression) -> Property:
    values = find_values(rule, expression)
    if values is not None:
        is_number = all(type(value) in (int, float) for value in values)
        return Property(values, is_number)
    node = jmespath.compile(expression.text).parsed
    is_numeric = node["type"] == "function_expression" and node["value"] in _NUMERIC
    return Property(None, is_numeric)


def find_values(rule: Rule, expression: Expression) -> Values:
    """Return what an *expression* of a rule can be."""
    match expression.path:
        case ("event",):
            return rule.events or None
        case ("type",):
            return (rule.type,)
        case _:
            node = jmespath.compile(expression.text).parsed
            return _find_values(node, expression)


def _find_values(node: Any, expression: Expression) -> Values:
    children = node["children"]
    match node["type"]:
        case "literal" if type(node["value"]) in VALUE_TYPES:
            return (node["value"],)
        case "or_expression":
            return _join([_find_values(child, expression) for child in children])
        case "function_expression" if node["value"] == "lookup":
            table, _, *default = children
            entries = tuple(expression.tables[table["value"]].values())
            others = [_find_values(child, expression) for child in default]
            return _join([entries, *others])
        case _:
            return None


def _join(values: list[Values]) -> Values:
    joined: tuple[Any, ...] = ()
    for some in values:
        if some is None:
            return None
        joined += some
    return joined
