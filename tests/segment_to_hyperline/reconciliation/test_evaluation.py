"""What differs between an event and Hyperline's rows is a finding, and nothing else."""

import json
from typing import Any

import pytest

from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.rows import Row
from segment_to_hyperline.reconciliation.evaluation import evaluate, find_differences
from segment_to_hyperline.reconciliation.expected.versions import Expected
from segment_to_hyperline.reconciliation.findings import (
    COPIED,
    DIFFERENT,
    FOREIGN,
    MISSING,
    UNEXPECTED,
    Finding,
)
from tests.segment_to_hyperline.reconciliation.helpers import SEATS, START, body

CUSTOMERS = Customers({"customer-1": "cus_1", "customer-2": "cus_2"})
RECORD = {"seats": 1, "plan": "team", "id": "m-1"}
ROW = Row("evt_1", SEATS, "m-1", START, "cus_1", RECORD)


def expected(**properties: Any) -> Expected:
    """Return an event that equals `ROW` by default."""
    text = body("m-1", START, **({"plan": "team"} | properties))
    return Expected(SEATS, "m-1", "m-1", START, "customer-1", text)


def compare(event: Expected | None, *rows: Row, origin: str = "") -> list[Finding]:
    """Return the findings."""
    return list(evaluate(event, rows, CUSTOMERS, origin))


def test_an_equal_row_is_no_finding() -> None:
    """Whatever its order of properties is."""
    assert compare(expected(), ROW) == []


def test_an_event_without_a_row_is_missing() -> None:
    """With the time and the customer that it should have."""
    assert compare(expected()) == [Finding(MISSING, SEATS, "m-1", START, "customer-1")]


@pytest.mark.parametrize(
    ("changes", "details"),
    [
        (
            {"time": START + 1},
            {"timestamp": ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.001Z"]},
        ),
        ({"time": None}, {"timestamp": ["2026-01-01T00:00:00.000Z", None]}),
        ({"customer": "cus_2"}, {"customer_id": ["cus_1", "cus_2"]}),
        ({"customer": None}, {"customer_id": ["cus_1", None]}),
        ({"record": RECORD | {"seats": 2}}, {"record.seats": [1, 2]}),
        ({"record": RECORD | {"more": None}}, {"record.more": [None, None]}),
        ({"record": {"seats": 1, "id": "m-1"}}, {"record.plan": ["team", None]}),
        ({"record": {}}, {"record.seats": [1, None], "record.plan": ["team", None]}),
    ],
)
def test_a_different_row_is_a_finding_with_both_values(
    changes: dict[str, Any], details: dict[str, Any]
) -> None:
    """For each field that differs."""
    found = compare(expected(), ROW._replace(**changes))

    assert found == [
        Finding(DIFFERENT, SEATS, "m-1", START, "customer-1", details=details)
    ]


@pytest.mark.parametrize(
    ("left", "right", "is_same"),
    [
        *((1, 1.0, True), (1, True, False), (0, False, False), (True, True, True)),
        *((1, "1", False), ([1, "a"], [1.0, "a"], True), ([1], [True], False)),
        *(([1], [1, 2], False), ([], [], True), ("a", "A", False), (0.1, 0.1, True)),
        *((10**400, 10**400, True), ("\u20ac", "\u20ac", True), (1, None, False)),
        *(([True], [True], True), ([1, 2], [2, 1], False)),
    ],
)
def test_values_are_compared_as_json(left: Any, right: Any, is_same: bool) -> None:  # noqa: FBT001 - a case
    """A number equals another spelling of it, and true is not 1."""
    row = ROW._replace(record=RECORD | {"x": json.loads(json.dumps(right))})

    details = find_differences(expected(x=left), row, CUSTOMERS)

    assert details == ({} if is_same else {"record.x": [left, right]})


def test_the_id_in_the_record_is_not_compared_again() -> None:
    """The row was found by it, and its form may differ."""
    for record in (RECORD | {"id": 1}, {"seats": 1, "plan": "team"}):
        assert compare(expected(), ROW._replace(record=record)) == []


def test_a_row_that_is_not_expected_has_an_origin() -> None:
    """With its time, its customer at Hyperline and its properties."""
    details = {"record.seats": [None, 1], "record.plan": [None, "team"]}

    assert compare(None, ROW, origin=FOREIGN) == [
        Finding(UNEXPECTED, SEATS, "m-1", START, "cus_1", FOREIGN, details)
    ]
    assert compare(None, origin=FOREIGN) == []


def test_a_row_without_a_time_or_a_customer_is_described() -> None:
    """It must not prevent a report."""
    odd = ROW._replace(time=None, customer=None, record={})

    assert compare(None, odd, origin=FOREIGN) == [
        Finding(UNEXPECTED, SEATS, "m-1", 0, "", FOREIGN)
    ]


def test_a_second_row_with_the_same_id_is_unexpected() -> None:
    """It is billed twice; which one is right doesn't depend on the order."""
    other = ROW._replace(id="evt_2", record=RECORD | {"seats": 9})

    for rows in ((ROW, other), (other, ROW), (ROW, ROW)):
        (found,) = compare(expected(), *rows)
        assert (found.kind, found.origin) == (UNEXPECTED, COPIED)
        assert found.details["copies"] == [1, 2]
    kinds = [found.kind for found in compare(expected(), other, other)]
    assert kinds == [DIFFERENT, UNEXPECTED]
    (found,) = compare(None, ROW, other, origin=FOREIGN)
    assert found.details["copies"] == [0, 2]
