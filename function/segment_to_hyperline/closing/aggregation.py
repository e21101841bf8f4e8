"""What an aggregator counts, evaluated for the records of events.

Where the documentation doesn't say what Hyperline does, the result is unknown.
https://docs.hyperline.co/docs/usage/aggregators

Pure: no network, no environment, no clock.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from segment_to_hyperline.reconciliation.api.core.aggregators import (
    Aggregator,
    Condition,
)

type Record = Mapping[str, Any]
# True, False, or None if it isn't known.
type Truth = bool | None


def takes(aggregator: Aggregator, record: Record) -> Truth:
    """Return whether the filter of *aggregator* takes an event with this *record*."""
    if not aggregator.conditions:
        return True
    found = [evaluate(condition, record) for condition in aggregator.conditions]
    decisive = aggregator.is_any
    if decisive in found:
        return decisive
    return None if None in found else not decisive


def evaluate(condition: Condition, record: Record) -> Truth:
    """Return whether *condition* is true of *record*."""
    value = record.get(condition.property)
    if condition.operator in _NULL_OPERATORS:
        return (value is None) == _NULL_OPERATORS[condition.operator]
    operator = _OPERATORS.get(condition.operator)
    if operator is None:
        return None
    if value is None:  # as in SQL, nothing is unequal to null, and nothing is equal
        return None if condition.operator in _NEGATIONS else False
    return operator(value, condition.value)


def describe_filter(aggregator: Aggregator) -> str:
    """Return the filter for people, such as `plan equals "pro" and seats gt 3`."""
    word = " or " if aggregator.is_any else " and "
    return word.join(map(_describe, aggregator.conditions))


def _describe(condition: Condition) -> str:
    text = f"{condition.property} {condition.operator}"
    return text if condition.value is None else f"{text} {condition.value!r}"


def _equals(value: Any, other: Any) -> Truth:
    if type(value) is type(other) or (_is_number(value) and _is_number(other)):
        return bool(value == other)
    # Hyperline may convert one to the other's type.
    return None if str(value).lower() == str(other).lower() else False


def _is_in(value: Any, others: Any) -> Truth:
    found = [_equals(value, other) for other in _list(others)]
    return True if True in found else None if None in found else False


def _list(values: Any) -> Sequence[Any]:
    if isinstance(values, str):
        return [value.strip() for value in values.split(",")]
    return values if isinstance(values, list) else [values]


def _compare(
    test: Callable[[Any, Any], bool],
) -> Callable[[Any, Any], Truth]:
    def compare(value: Any, other: Any) -> Truth:
        return test(value, other) if _is_number(value) and _is_number(other) else None

    return compare


def _search(test: Callable[[str, str], bool]) -> Callable[[Any, Any], Truth]:
    def search(value: Any, other: Any) -> Truth:
        are_texts = isinstance(value, str) and isinstance(other, str)
        return test(value, other) if are_texts else None

    return search


def _negate(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


_NULL_OPERATORS = {"isNull": True, "isNotNull": False}
_NEGATIONS = {"not", "notIn"}
_OPERATORS: Mapping[str, Callable[[Any, Any], Truth]] = {
    "equals": _equals,
    "not": lambda value, other: _negate(_equals(value, other)),
    "in": _is_in,
    "notIn": lambda value, others: _negate(_is_in(value, others)),
    "lt": _compare(lambda value, other: value < other),
    "lte": _compare(lambda value, other: value <= other),
    "gt": _compare(lambda value, other: value > other),
    "gte": _compare(lambda value, other: value >= other),
    "contains": _search(lambda value, other: other in value),
    "startsWith": _search(lambda value, other: value.startswith(other)),
    "endWith": _search(lambda value, other: value.endswith(other)),
    "endsWith": _search(lambda value, other: value.endswith(other)),
}
