"""The filters of aggregators: `where: {conditional, fields: [{property, operator}]}`.

https://docs.hyperline.co/docs/usage/aggregators
"""

from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any

type Operator = Callable[[Any, Any], bool]


def _compare(operate: Operator) -> Operator:
    """Return an operator for two numbers or two strings."""

    def is_match(value: Any, wanted: Any) -> bool:
        is_text = isinstance(value, str) and isinstance(wanted, str)
        return (is_text or (_is_number(value) and _is_number(wanted))) and operate(
            value, wanted
        )

    return is_match


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_equal(value: Any, wanted: Any) -> bool:
    """Return whether two values are equal; True doesn't equal 1."""
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _is_in(value: Any, wanted: Any) -> bool:
    values = wanted.split(",") if isinstance(wanted, str) else wanted
    return any(_is_equal(value, item) for item in values)


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    return isinstance(value, list) and wanted in value


# The guide has `equals`, `in`, `gte` and `lt`, followed by "etc.", and an example of
# the reference has `isNull`. The other operators are those of the lists. This isn't
# confirmed, nor that values of different types aren't equal, nor that a missing
# property matches `not` and `notIn`.
OPERATORS: Mapping[str, Operator] = {
    "equals": _is_equal,
    "not": lambda value, wanted: not _is_equal(value, wanted),
    "lt": _compare(lt),
    "lte": _compare(le),
    "gt": _compare(gt),
    "gte": _compare(ge),
    "contains": _contains,
    "startsWith": lambda value, wanted: (
        isinstance(value, str) and value.startswith(str(wanted))
    ),
    "endWith": lambda value, wanted: (
        isinstance(value, str) and value.endswith(str(wanted))
    ),
    "in": _is_in,
    "notIn": lambda value, wanted: not _is_in(value, wanted),
    "isNull": lambda value, _: value is None,
    "isNotNull": lambda value, _: value is not None,
}


def is_selected(
    record: Mapping[str, Any],
    where: Mapping[str, Any] | None,
    operators: Mapping[str, Operator],
) -> bool:
    """Return whether an aggregator's filter selects an event with this *record*.

    Without conditions, every event is selected. An unknown operator selects none.
    """
    if not where or not where["fields"]:
        return True
    results = (
        field["operator"] in operators
        and operators[field["operator"]](
            record.get(field["property"]), field.get("value")
        )
        for field in where["fields"]
    )
    return any(results) if where["conditional"] == "or" else all(results)
