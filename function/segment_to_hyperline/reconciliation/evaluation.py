"""What differs between an expected event and Hyperline's rows with its type and id.

Pure: no network, no environment, no clock.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from segment_to_hyperline.hyperline.billable_event import read_fields
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.rows import Row, format_milliseconds
from segment_to_hyperline.reconciliation.expected.versions import Expected
from segment_to_hyperline.reconciliation.findings import (
    COPIED,
    DIFFERENT,
    MISSING,
    UNEXPECTED,
    Finding,
)


def evaluate(
    event: Expected | None, rows: Sequence[Row], customers: Customers, origin: str
) -> Iterator[Finding]:
    """Yield the differences between an event and the *rows* with its type and id.

    *origin* says why rows exist that are not expected.
    """
    if event is None:
        if rows:
            yield _describe_row(rows, origin)
        return
    if not rows:
        yield describe(MISSING, event)
        return
    found = [find_differences(event, row, customers) for row in rows]
    # The one that is right, if there is one; every other one is too many.
    position = found.index({}) if {} in found else 0
    if found[position]:
        yield describe(DIFFERENT, event, found[position])
    if others := [*rows[:position], *rows[position + 1 :]]:
        yield _describe_row(others, COPIED)


def find_differences(
    event: Expected, row: Row, customers: Customers
) -> dict[str, list[Any]]:
    """Return the fields that differ, each with the expected and the actual value.

    Both have the same id.
    """
    details: dict[str, list[Any]] = {}
    if event.time != row.time:
        actual = None if row.time is None else format_milliseconds(row.time)
        details["timestamp"] = [format_milliseconds(event.time), actual]
    if problem := customers.find_problem(event.customer, row.customer):
        details["customer_id"] = problem
    expected, record = read_fields(event.body)["record"], row.record
    if _is_clearly_same(expected, record):
        return details
    for name in expected | record:
        values = [expected.get(name), record.get(name)]
        is_present = name in expected and name in record
        if name != "id" and not (is_present and is_same(*values)):
            details[f"record.{name}"] = values
    return details


def describe(
    kind: str, event: Expected, details: dict[str, Any] | None = None
) -> Finding:
    """Return a finding of this *kind* about *event*."""
    return Finding(
        kind,
        event.event_type,
        event.record_id,
        event.time,
        event.customer,
        details=details or {},
    )


def _describe_row(rows: Sequence[Row], origin: str) -> Finding:
    row = rows[0]
    details: dict[str, list[Any]] = {
        f"record.{name}": [None, value]
        for name, value in row.record.items()
        if name != "id"
    }
    right = int(origin == COPIED)
    if right + len(rows) > 1:
        details["copies"] = [right, right + len(rows)]
    if len(rows) > 1:
        details["others"] = [None, list(map(_list_content, rows[1:]))]
    return Finding(
        UNEXPECTED,
        row.event_type,
        row.record_id,
        row.time or 0,
        row.customer or "",
        origin,
        details,
    )


def _list_content(row: Row) -> list[Any]:
    time = None if row.time is None else format_milliseconds(row.time)
    return [time, row.customer, row.record]


def _is_clearly_same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Return whether two records are the same, or False if that takes a closer look.

    Most are, so this takes less than half the time of comparing each property.
    """
    types = list(map(type, left.values()))
    is_plain = list not in types and types == list(map(type, map(right.get, left)))
    return is_plain and left == right


def is_same(left: Any, right: Any) -> bool:
    """Return whether two values of a property are the same."""
    # For Python, True is 1.
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
