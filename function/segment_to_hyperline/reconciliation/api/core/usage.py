"""Read what the aggregators count of a customer's events.

https://docs.hyperline.co/api-reference/endpoints/customers-%3E-usage/list-customer-usage
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import quote

from segment_to_hyperline.mapping.arithmetic import to_decimal
from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.failures import NOT_DOCUMENTED, Failure
from segment_to_hyperline.reconciliation.api.rows import format_end, format_milliseconds


class CustomerUsage(NamedTuple):
    """What an aggregator counts."""

    total: Decimal
    events: int
    """The number of events behind the total."""


def read_usage(
    client: Client, customer_id: str, start: int, end: int
) -> dict[str, CustomerUsage]:
    """Return the usage of a customer by the ids of the aggregators.

    *start* and *end* are in milliseconds since 1970. Raises as `Client.get`.
    """
    path = f"/v1/customers/{quote(customer_id, safe='')}/usage"
    # It isn't documented whether the end is included, so it is between two events.
    query = {"start_date": format_milliseconds(start), "end_date": format_end(end)}
    return client.get(Endpoint("GET", path, "read customers' usage"), query, _parse)


def _parse(content: Any) -> dict[str, CustomerUsage] | Failure:
    if not (isinstance(content, list) and all(map(_is_row, content))):
        return NOT_DOCUMENTED
    usage = {row["aggregator_id"]: _read_row(row) for row in content}
    return usage if len(usage) == len(content) else NOT_DOCUMENTED


def _is_row(row: Any) -> bool:
    match row:
        case {"aggregator_id": str(), "total": total, "count": count}:
            return _is_number(total) and type(count) is int
        case _:
            return False


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _read_row(row: Mapping[str, Any]) -> CustomerUsage:
    return CustomerUsage(to_decimal(row["total"]), row["count"])
