"""The filters of aggregators: what they take, and what isn't known."""

from typing import Any

import pytest

from segment_to_hyperline.closing.aggregation import (
    Truth,
    describe_filter,
    evaluate,
    takes,
)
from segment_to_hyperline.reconciliation.api.core.aggregators import (
    Aggregator,
    Condition,
)

RECORD = {"plan": "pro", "seats": 3, "trial": False, "tags": ["a", "b"], "none": None}


def create(*conditions: Condition, is_any: bool = False) -> Aggregator:
    """Return an aggregator with a filter."""
    return Aggregator("agg_1", "Seats", "Seats", "count", "", "", is_any, conditions)


@pytest.mark.parametrize(
    ("name", "operator", "value", "expected"),
    [
        ("plan", "equals", "pro", True),
        ("plan", "equals", "Pro", False),
        ("plan", "equals", "free", False),
        ("plan", "equals", 3, False),
        ("seats", "equals", 3, True),
        ("seats", "equals", 3.0, True),
        ("seats", "equals", "3", None),
        ("seats", "equals", "4", False),
        ("trial", "equals", False, True),
        ("trial", "equals", "false", None),
        ("trial", "equals", 0, False),
        ("none", "equals", "pro", False),
        ("missing", "equals", "pro", False),
        ("plan", "not", "free", True),
        ("plan", "not", "pro", False),
        ("seats", "not", "3", None),
        ("missing", "not", "pro", None),
        ("plan", "in", ["free", "pro"], True),
        ("plan", "in", "free, pro", True),
        ("plan", "in", ["free"], False),
        ("seats", "in", ["3", 4], None),
        ("seats", "in", 3, True),
        ("plan", "notIn", ["free"], True),
        ("plan", "notIn", ["pro"], False),
        ("seats", "notIn", ["3"], None),
        ("missing", "notIn", ["pro"], None),
        ("seats", "lt", 4, True),
        ("seats", "lt", 3, False),
        ("seats", "lte", 3, True),
        ("seats", "gt", 3, False),
        ("seats", "gte", 3, True),
        ("seats", "gte", "3", None),
        ("trial", "gte", 0, None),
        ("missing", "gte", 0, False),
        ("plan", "contains", "r", True),
        ("plan", "contains", "x", False),
        ("tags", "contains", "a", None),
        ("plan", "startsWith", "p", True),
        ("plan", "startsWith", "r", False),
        ("plan", "endWith", "o", True),
        ("plan", "endsWith", "p", False),
        ("none", "isNull", None, True),
        ("missing", "isNull", None, True),
        ("plan", "isNull", None, False),
        ("plan", "isNotNull", None, True),
        ("missing", "isNotNull", None, False),
        ("plan", "resembles", "pro", None),
        ("missing", "resembles", "pro", None),
    ],
)
def test_a_condition_is_true_false_or_unknown(
    name: str, operator: str, value: Any, expected: Truth
) -> None:
    """Unknown is what the documentation doesn't decide."""
    assert evaluate(Condition(name, operator, value), RECORD) is expected


YES = Condition("plan", "equals", "pro")
NO = Condition("plan", "equals", "free")
UNKNOWN = Condition("plan", "resembles", "pro")


@pytest.mark.parametrize(
    ("conditions", "both", "either"),
    [
        ((), True, True),
        ((YES,), True, True),
        ((NO,), False, False),
        ((UNKNOWN,), None, None),
        ((YES, YES), True, True),
        ((YES, NO), False, True),
        ((NO, NO), False, False),
        ((YES, UNKNOWN), None, True),
        ((NO, UNKNOWN), False, None),
    ],
)
def test_conditions_are_combined(
    conditions: tuple[Condition, ...], both: Truth, either: Truth
) -> None:
    """With `and` or `or`; what is unknown matters only if it decides."""
    assert takes(create(*conditions), RECORD) is both
    assert takes(create(*conditions, is_any=True), RECORD) is either


def test_a_filter_is_described_in_one_line() -> None:
    """As Hyperline names its operators."""
    conditions = YES, Condition("seats", "gt", 3), Condition("tags", "isNull", None)

    assert describe_filter(create(*conditions)) == (
        "plan equals 'pro' and seats gt 3 and tags isNull"
    )
    assert describe_filter(create(*conditions[:2], is_any=True)) == (
        "plan equals 'pro' or seats gt 3"
    )
