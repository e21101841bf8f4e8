"""Read products and subscriptions: by what an aggregator is invoiced.

https://docs.hyperline.co/docs/usage/aggregators
"""

from typing import Any, NamedTuple

from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.core.lists import (
    Fields,
    read_id,
    read_list,
    read_text,
)
from segment_to_hyperline.reconciliation.api.rows import read_milliseconds

_READ_PRODUCTS = Endpoint("GET", "/v1/products", "read products")
_READ_SUBSCRIPTIONS = Endpoint("GET", "/v2/subscriptions", "read subscriptions")
# Subscriptions with these never had an invoice.
_NEVER_ACTIVE = {"draft", "voided", "pending"}
# Whether a subscription with this status is active.
# https://www.npmjs.com/package/@hyperline/cli
_STATUSES = {
    "active": True,
    **dict.fromkeys(("pending", "paused", "errored", "cancelled"), False),
    **dict.fromkeys(("draft", "voided", "archived"), False),
}
_LINKS = ("aggregator_id", "aggregator")
_LISTS = ("credit_aggregators", "aggregators", "aggregator_ids")


class Product(NamedTuple):
    """What a price is for."""

    id: str
    aggregators: frozenset[str] | None
    """The ids of the aggregators that it bills; None if Hyperline doesn't show them."""


class Subscription(NamedTuple):
    """What a customer has subscribed to."""

    customer_id: str
    """Hyperline's id."""
    products: frozenset[str]
    """The ids of its products."""
    period: tuple[int, int] | None
    """The current period in milliseconds since 1970, if it is known."""
    is_active: bool | None = True
    """Whether it is active now; None if its status isn't a known one."""


def read_products(client: Client) -> list[Product]:
    """Return the products; raises as `Client.get`."""
    rows = read_list(client, _READ_PRODUCTS, {"status": "all"})
    return list(map(_read_product, rows))


def read_subscriptions(client: Client) -> list[Subscription]:
    """Return the subscriptions that are or were active; raises as `Client.get`."""
    rows = read_list(client, _READ_SUBSCRIPTIONS, {"status": "any"})
    active = (row for row in rows if row.get("status") not in _NEVER_ACTIVE)
    return list(map(_read_subscription, active))


def _read_product(row: Fields) -> Product:
    if not any(name in row for name in (*_LINKS, *_LISTS)):
        return Product(row["id"], None)
    values = [row.get(name) for name in _LINKS]
    for name in _LISTS:
        listed = row.get(name)
        values += listed if isinstance(listed, list) else []
    return Product(row["id"], frozenset(filter(None, map(_read_link, values))))


def _read_link(value: Any) -> str | None:
    """Return the id of an aggregator, in what a product has of it."""
    if isinstance(value, dict) and "aggregator_id" in value:
        return read_id(value["aggregator_id"])
    return read_id(value)


def _read_subscription(row: Fields) -> Subscription:
    products = row.get("products")
    products = products if isinstance(products, list) else []
    start, end = (
        read_milliseconds(row.get(name))
        for name in ("current_period_started_at", "current_period_ends_at")
    )
    return Subscription(
        read_id(row.get("customer_id")) or read_id(row.get("customer")) or "",
        frozenset(filter(None, map(read_id, products))),
        (start, end) if start is not None and end is not None else None,
        _STATUSES.get(read_text(row.get("status"))),
    )
