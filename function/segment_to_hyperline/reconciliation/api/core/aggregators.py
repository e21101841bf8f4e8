"""Read the aggregators: what Hyperline counts of the events.

https://docs.hyperline.co/api-reference/endpoints/aggregators/list-aggregators
"""

from typing import Any, NamedTuple

from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.core.lists import (
    Fields,
    read_list,
    read_text,
)

COUNT, SUM = "count", "sum"
# An operator that doesn't exist.
_UNKNOWN_FORM = "in another form"
_READ = Endpoint("GET", "/v1/aggregators", "read aggregators")


class Condition(NamedTuple):
    """A condition of a filter."""

    property: str
    operator: str
    value: Any
    """What the property is compared with; None if the operator needs nothing."""


class Aggregator(NamedTuple):
    """What is counted of the events of a type."""

    id: str
    name: str
    entity: str
    """The event type."""
    operation: str
    """`COUNT`, `SUM`, or something else, such as a formula."""
    property: str
    """What is summed."""
    unit: str
    """What is counted, such as `seat`; can be empty."""
    is_any: bool
    """Whether one of the conditions is enough."""
    conditions: tuple[Condition, ...]
    """The filter; empty if all events of the type are counted."""
    allows_negative: bool = True
    """Whether the total can be negative."""


def read_aggregators(client: Client) -> list[Aggregator]:
    """Return the aggregators; raises as `Client.get`."""
    return list(map(_read_aggregator, read_list(client, _READ)))


def _read_aggregator(row: Fields) -> Aggregator:
    is_any, conditions = _read_filter(row.get("where"))
    return Aggregator(
        row["id"],
        read_text(row.get("name")) or row["id"],
        read_text(row.get("entity")),
        read_text(row.get("operation")),
        read_text(row.get("property")),
        read_text(row.get("unit_name")),
        is_any,
        conditions,
        row.get("allow_negative_values") is not False,
    )


def _read_filter(where: Any) -> tuple[bool, tuple[Condition, ...]]:
    """Return whether one condition is enough, and the conditions.

    A filter in another form has a condition that nobody can evaluate.
    """
    match where:
        case None:
            return False, ()
        case {"fields": [*fields]} if all(map(_is_condition, fields)):
            word = where.get("conditional")
            if word in ("and", "or") or len(fields) <= 1:
                return word == "or" and bool(fields), tuple(
                    map(_read_condition, fields)
                )
    return False, (Condition("where", _UNKNOWN_FORM, where),)


def _is_condition(field: Any) -> bool:
    match field:
        case {"property": str(), "operator": str()}:
            return True
        case _:
            return False


def _read_condition(field: Fields) -> Condition:
    return Condition(field["property"], field["operator"], field.get("value"))
