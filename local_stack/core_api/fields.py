"""The filters that each list knows.

The parameters are those of the vendor's command line, and the options are documented.
https://www.npmjs.com/package/@hyperline/cli
"""

from operator import eq

from local_stack.core_api.filters import Field, Fields, option, text, time

CUSTOMERS: Fields = {
    name: text(name)
    for name in ("name", "external_id", "currency", "country", "invoicing_entity_id")
}

# https://docs.hyperline.co/api-reference/endpoints/products/list-products
PRODUCTS: Fields = {
    name: text(name) for name in ("id", "name", "description", "type")
} | {
    "status": option(
        "status", {"active", "archived"}, groups={"all": {"active", "archived"}}
    )
}

_LISTED = frozenset({"active", "pending", "paused", "errored"})
_SUBSCRIPTIONS = _LISTED | {"draft", "voided", "cancelled", "archived"}
# https://docs.hyperline.co/api-reference/endpoints/subscriptions/list-subscriptions
SUBSCRIPTIONS: Fields = {
    name: text(name)
    for name in ("currency", "plan_id", "customer_id", "purchase_order")
} | {
    "invoicing_entity_id": text("invoicing_entity_id"),
    "updated_at": time("updated_at"),
    "status": option(
        "status",
        _SUBSCRIPTIONS,
        default=_LISTED,
        groups={
            "inactive": {"pending", "paused"},
            "all": _LISTED,
            "any": _SUBSCRIPTIONS,
        },
    ),
}

LIVE_STATUSES = frozenset({"draft", "open"})
INVOICE_STATUSES = LIVE_STATUSES | {
    "grace_period",
    "to_pay",
    "partially_paid",
    "paid",
    "late",
    "voided",
    "closed",
    "error",
    "missing_info",
    "archived",
    "charged_on_parent",
    "pending_parent_concat",
    "uncollectible",
}
_INVOICE_TYPES = frozenset(
    {
        "invoice",
        "credit_note",
        "document",
        "child_invoice_ref",
        "child_creditnote_ref",
    }
)
# "By default, invoices with status open are not included."
# https://docs.hyperline.co/api-reference/endpoints/invoices/list-invoices-1.md
INVOICES: Fields = {
    "type": option("type", _INVOICE_TYPES),
    "status": option("status", INVOICE_STATUSES, default=INVOICE_STATUSES - {"open"}),
    "customer_id": text("customer.id"),
    "customer_external_id": Field(lambda row: row["customer"]["external_id"], {"": eq}),
    "subscription_id": text("subscription_id"),
    "invoicing_entity_id": text("seller.id"),
    "invoice_number": text("number"),
    "original_invoice_id": text("original_invoice_id"),
    "original_invoice_number": text("original_invoice_number"),
    "line_item_id": Field(
        lambda row: [item["id"] for item in row["line_items"]],
        {"": lambda ids, text: text in ids},
    ),
    "period_start": time("period_starts_at"),
    "period_end": time("period_ends_at"),
    "issued_at": time("issued_at"),
    "due_at": time("due_at"),
    "updated_at": time("updated_at"),
}

# https://docs.hyperline.co/api-reference/endpoints/invoices-%3E-events/list-invoice-events
INVOICE_EVENTS: Fields = {
    "product_id": text("billing.product_id"),
    "event_type": text("event_type"),
    "timestamp": time("timestamp"),
}
