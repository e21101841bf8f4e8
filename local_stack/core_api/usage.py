"""The usage of a customer, evaluated from the stored events.

https://docs.hyperline.co/api-reference/endpoints/customers-%3E-usage/list-customer-usage
"""

from collections.abc import Mapping, Sequence
from typing import Any

from local_stack.core_api.conditions import Operator, is_selected
from local_stack.core_api.pages import Row
from local_stack.fake_hyperline import StoredEvent


def find_events(
    events: Sequence[StoredEvent],
    aggregator: Row,
    operators: Mapping[str, Operator],
    period: range,
) -> list[StoredEvent]:
    """Return the *events* that an aggregator takes in a *period* of microseconds."""
    return [
        event
        for event in events
        if event.time in period
        and is_selected(read_record(event), aggregator["where"], operators)
    ]


def aggregate(
    aggregator: Row, events: Sequence[StoredEvent], formula: float
) -> int | float:
    """Return the total of *events*, or the *formula*'s if the aggregator has one.

    Values that aren't numbers don't count. A total below zero has to be allowed.
    https://docs.hyperline.co/docs/usage/aggregators
    """
    if aggregator["operation"] == "sql_formula":
        return formula
    if aggregator["operation"] == "count":
        return len(events)
    values = [read_record(event).get(aggregator["property"]) for event in events]
    total: int | float = sum(value or 0 for value in values if _is_number(value))
    return total if aggregator["allow_negative_values"] else max(total, 0)


def create_usage(
    aggregator: Row, events: Sequence[StoredEvent], formula: float
) -> dict[str, Any]:
    """Return the row of an aggregator that takes these *events*."""
    return {
        "aggregator_id": aggregator["id"],
        "name": aggregator["name"] or aggregator["entity"],
        "unit_name": aggregator["unit_name"],
        "total": aggregate(aggregator, events, formula),
        "count": len(events),
    }


def read_record(event: StoredEvent) -> Mapping[str, Any]:
    """Return the record of an *event*; an odd row can have none."""
    record = event.row.get("record")
    return record if isinstance(record, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
