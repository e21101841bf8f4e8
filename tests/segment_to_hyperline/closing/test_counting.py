"""What an aggregator should count is compared with what Hyperline counts."""

from decimal import Decimal
from typing import Any

import pytest

from segment_to_hyperline.closing.counting import Tallies
from segment_to_hyperline.closing.statements import CountedUsage
from segment_to_hyperline.reconciliation.api.core.aggregators import Aggregator
from segment_to_hyperline.reconciliation.api.core.usage import CustomerUsage

SUM = Aggregator(
    "agg_1", "Seats", "Seats Added", "sum", "seats", "seat", is_any=False, conditions=()
)


def count(
    values: list[Any], usage: CustomerUsage | None, aggregator: Aggregator = SUM
) -> CountedUsage:
    """Return the comparison for events with these numbers of seats."""
    tallies = Tallies([aggregator])
    for value in values:
        record = {} if value is None else {"seats": value}
        tallies.add("cus_1", "Seats Added", record)
        tallies.add("cus_1", "Other", record)
    assert list(tallies.compare("cus_2", {})) == []
    usages = {} if usage is None else {"agg_1": usage}
    (counted,) = tallies.compare("cus_1", usages)
    return counted


@pytest.mark.parametrize(
    ("values", "usage", "problem"),
    [
        ([1, 2], (3, 2), ""),
        ([0.1, 0.2], (0.30000000000000004, 2), ""),
        ([0.1] * 10, ("0.9999999999999999", 10), ""),
        ([1, 2], (4, 2), "adds up to 4 instead of 3"),
        ([1, 2], (3, 3), "counts 3 events instead of 2"),
        ([1, 2], (1, 1), "counts 1 event instead of 2; adds up to 1 instead of 3"),
        ([1, 2], None, "counts 0 events instead of 2; adds up to 0 instead of 3"),
        ([-1, 1], (0, 2), ""),
        ([], None, None),
        ([1, None], (1, 2), "1 event without seats add nothing"),
        ([1, None, None], (1, 1), "2 events without seats add nothing"),
        ([10**15 + 0.5], (10**15 + 2, 1), ""),
        ([0.1, 0.2, -0.3], (0.1 + 0.2 - 0.3, 3), ""),
        (
            [10**15],
            (10**15 - 900_000, 1),
            "adds up to 999,999,999,100,000 instead of 1,000,000,000,000,000",
        ),
        ([10**6], (10**6 + 1, 1), "adds up to 1,000,001 instead of 1,000,000"),
    ],
)
def test_totals_and_counts_are_compared(
    values: list[Any], usage: tuple[Any, int] | None, problem: str | None
) -> None:
    """Totals as precisely as floating-point numbers are."""
    actual = usage and CustomerUsage(Decimal(str(usage[0])), usage[1])
    if problem is None:
        with pytest.raises(ValueError, match="not enough values"):
            count(values, actual)
        return

    counted = count(values, actual)

    assert counted.problem == problem
    assert counted.not_checked == ""
    assert counted.expected_count == len(values)
    assert (counted.aggregator, counted.unit) == ("Seats", "seat")


def test_a_property_that_is_no_number_is_not_checked() -> None:
    """Hyperline may convert a text to a number; the count is compared."""
    counted = count([1, "2"], CustomerUsage(Decimal(3), 2))
    assert counted.problem == ""
    assert counted.not_checked == "seats isn't a number in 1 event"

    counted = count([1, "2"], CustomerUsage(Decimal(3), 3))
    assert counted.problem == "counts 3 events instead of 2"


def test_an_unknown_operation_is_compared_by_count() -> None:
    """Its total is shown."""
    aggregator = SUM._replace(operation="median")

    counted = count([1, 2], CustomerUsage(Decimal(7), 3), aggregator)

    assert counted.problem == "counts 3 events instead of 2"
    assert counted.not_checked == "the total is computed by a median"
    assert (counted.expected_total, counted.actual_total) == (None, Decimal(7))


@pytest.mark.parametrize("operation", ["count", "sql_formula"])
def test_what_is_counted_of_other_events_is_too_much(operation: str) -> None:
    """Unless a formula counts several types."""
    aggregator = SUM._replace(operation=operation)
    usage = {"agg_1": CustomerUsage(Decimal(2), 2)}

    (counted,) = Tallies([aggregator]).compare("cus_1", usage)

    if operation == "count":
        assert counted.problem.startswith("counts 2 events instead of 0")
    else:
        assert (counted.problem, bool(counted.not_checked)) == ("", True)
    unused = {"agg_1": CustomerUsage(Decimal(0), 0)}
    assert list(Tallies([aggregator]).compare("cus_1", unused)) == []


def test_booleans_are_no_numbers() -> None:
    """For Python, True is 1."""
    counted = count([True], CustomerUsage(Decimal(0), 1))

    assert counted.not_checked == "seats isn't a number in 1 event"
