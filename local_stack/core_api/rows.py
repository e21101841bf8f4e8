"""The rows of the core API's lists, as they are documented and in live responses.

https://github.com/estuary/connectors/tree/main/source-hyperline/bruno
"""

from typing import Any

type NewRow = dict[str, Any]


def create_customer(customer_id: str, external_id: str | None) -> NewRow:
    """Return a customer with Hyperline's id `cus_…` and the owner's id."""
    return {
        "id": customer_id,
        "external_id": external_id,
        "name": external_id or customer_id,
        "type": "corporate",
        "status": "active",
        "currency": "EUR",
        "timezone": "Europe/Paris",
        "deleted_at": None,
    }


def create_entity(entity_id: str) -> NewRow:
    """Return an invoicing entity."""
    # https://docs.hyperline.co/api-reference/endpoints/invoicing-entities/get-invoicing-entities
    return {
        "id": entity_id,
        "name": entity_id,
        "trade_name": entity_id,
        "timezone": "Europe/Paris",
        "language": "en",
        "is_default": True,
        "currency": "EUR",
        "accounting_currency": "EUR",
        "invoice_grace_period_duration": 3,
        "deleted_at": None,
    }


def create_aggregator(aggregator_id: str, entity: str, operation: str) -> NewRow:
    """Return an aggregator of the events with the type *entity*."""
    # https://docs.hyperline.co/api-reference/endpoints/aggregators/list-aggregators
    return {
        "id": aggregator_id,
        "entity": entity,
        "operation": operation,
        "property": None,
        "where": None,
        "type": "metered",
        "name": aggregator_id,
        "description": None,
        "allow_negative_values": False,
        "aggregate_on_customers_enabled": False,
        "default_interval_count": None,
        "default_interval_period": None,
        "custom_event_name": None,
        "exposed_event_keys": [],
        "unit_name": None,
        "thresholds": [],
        "formula_sql": None,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
    }


def create_product(product_id: str, name: str, aggregators: int) -> NewRow:
    """Return a product whose type depends on the number of its *aggregators*."""
    # https://docs.hyperline.co/api-reference/endpoints/products/list-products
    return {
        "id": product_id,
        "name": name,
        "status": "active",
        "description": None,
        "description_display_interval_dates": False,
        "public_description": None,
        "translations": {},
        "properties": None,
        "custom_properties": {},
        "accounting": {},
        "type": ("flat_fee", "dynamic", "credit")[min(aggregators, 2)],
        "is_available_on_demand": True,
        "is_available_on_subscription": True,
    }


def create_subscription(subscription_id: str, customer_id: str) -> NewRow:
    """Return an active subscription without products."""
    # https://docs.hyperline.co/api-reference/endpoints/subscriptions/list-subscriptions
    return {
        "id": subscription_id,
        "name": None,
        "currency": "EUR",
        "status": "active",
        "purchase_order": None,
        "customer_id": customer_id,
        "plan_id": None,
        "starts_at": None,
        "paused_at": None,
        "cancel_at": None,
        "current_period_started_at": None,
        "current_period_ends_at": None,
        "updated_at": "2026-01-01T00:00:00.000Z",
        "coupons": [],
    }


def create_subscribed(product: NewRow) -> NewRow:
    """Return a product as subscriptions show it, without its aggregators."""
    return {
        "id": product["id"],
        "name": product["name"],
        "description": product["description"],
        "type": product["type"],
        "attached_at": None,
        "detached_at": None,
    }


def create_invoice(invoice_id: str, customer: NewRow) -> NewRow:
    """Return an invoice that isn't issued."""
    # https://docs.hyperline.co/api-reference/endpoints/invoices/list-invoices-1
    shown = {name: customer[name] for name in ("id", "name", "external_id")}
    return {
        "id": invoice_id,
        "number": None,
        "type": "invoice",
        "document_name": None,
        "status": "draft",
        "currency": customer["currency"],
        "source": "hyperline",
        "total_amount": 0,
        "amount_due": 0,
        "amount_paid": 0,
        "discount_amount": 0,
        "customer": shown,
        "seller": None,
        "subscription_id": None,
        "due_at": None,
        "grace_period_ended_at": None,
        "settled_at": None,
        "updated_at": "2026-01-01T00:00:00.000Z",
        "original_invoice_id": None,
        "original_invoice_number": None,
        "line_items": [],
        "coupons": [],
        "transactions": [],
        "issued_at": None,
    }
