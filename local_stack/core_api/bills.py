"""What is on an invoice: its line items, and the events behind them.

https://docs.hyperline.co/api-reference/endpoints/invoices-%3E-events/list-invoice-events
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from local_stack.core_api.pages import Row
from local_stack.core_api.usage import read_record
from local_stack.fake_hyperline import StoredEvent


class Bill(NamedTuple):
    """What is on an invoice, now or when it was issued."""

    events: list[dict[str, Any]]
    items: list[dict[str, Any]]


class Charge(NamedTuple):
    """What an invoice charges for one aggregator of a product."""

    product: Row
    aggregator: Row
    events: Sequence[StoredEvent]
    total: float


def create_bill(invoice: Row, charges: Sequence[Charge]) -> Bill:
    """Return what is on an *invoice* with these *charges*.

    An event of two products is there twice, and of two aggregators of one product once.
    """
    events = {
        (charge.product["id"], event.row["id"]): _create_event(invoice, charge, event)
        for charge in charges
        for event in charge.events
    }
    totals: dict[str, float] = {}
    for charge in charges:
        product_id = charge.product["id"]
        totals[product_id] = totals.get(product_id, 0) + charge.total
    products = {charge.product["id"]: charge.product for charge in charges}
    items = [_create_item(invoice, products[i], total) for i, total in totals.items()]
    return Bill(list(events.values()), items)


def _create_event(invoice: Row, charge: Charge, event: StoredEvent) -> dict[str, Any]:
    record = read_record(event)
    return {
        "id": event.row["id"],
        "name": charge.aggregator["custom_event_name"] or event.row["event_type"],
        "event_type": event.row["event_type"],
        "timestamp": event.row["timestamp"],
        "properties": {name: record[name] for name in record if name != "id"},
        "billing": {
            "invoice_id": invoice["id"],
            "invoice_line_item_id": _create_item_id(invoice, charge.product),
            "product_id": charge.product["id"],
            "price_name": None,
            "amount": 0,
            "amount_excluding_tax": 0,
            "currency": invoice["currency"],
        },
    }


def _create_item(invoice: Row, product: Row, total: float) -> dict[str, Any]:
    return {
        "id": _create_item_id(invoice, product),
        "name": product["name"],
        "entry_type": "debit",
        "product_id": product["id"],
        "product_type": product["type"],
        "units_count": total,
        "unit_amount": 0,
        "amount": 0,
        "amount_excluding_tax": 0,
        "period_starts_at": invoice["period_starts_at"],
        "period_ends_at": invoice["period_ends_at"],
    }


def _create_item_id(invoice: Row, product: Row) -> str:
    return f"ili_{invoice['id']}_{product['id']}"
