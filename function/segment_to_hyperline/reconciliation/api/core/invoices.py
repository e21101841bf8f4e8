"""Read invoices, the events on them, and credit notes.

https://docs.hyperline.co/api-reference/endpoints/invoices/list-invoices-1
https://docs.hyperline.co/api-reference/endpoints/invoices-%3E-events/list-invoice-events
"""

from collections.abc import Iterator
from itertools import chain
from math import inf
from typing import Any, NamedTuple
from urllib.parse import quote

from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.core.lists import (
    MAX_ROWS,
    Fields,
    read_cursor_list,
    read_id,
    read_list,
    read_text,
)
from segment_to_hyperline.reconciliation.api.events import TooManyRows
from segment_to_hyperline.reconciliation.api.failures import (
    NOT_FILTERED,
    AccessError,
)
from segment_to_hyperline.reconciliation.api.rows import (
    encode_text,
    format_milliseconds,
    read_milliseconds,
)

_READ = Endpoint("GET", "/v2/invoices", "read invoices")
# Nobody has to pay these, or others have replaced them.
_VOID = {"voided", "closed", "archived"}
_CREDIT_NOTE = "credit_note"
_NO_INVOICES = {_CREDIT_NOTE, "child_creditnote_ref", "document"}
# With any other status, an invoice can still change.
_ISSUED = {"to_pay", "partially_paid", "paid", "late", "uncollectible"}
# An invoice that is part of the parent's one.
_PART_STATUSES = {"charged_on_parent", "pending_parent_concat"}
_PART_TYPE = "child_invoice_ref"


class InvoiceRow(NamedTuple):
    """An invoice, as Hyperline lists it."""

    id: str
    number: str
    """Its number for people; can be empty."""
    status: str
    customer_id: str
    """Hyperline's id of the customer."""
    start: int
    """The start of its period, in milliseconds since 1970."""
    end: int
    """The end of its period, which is the start of the next one or just before."""
    issued_at: int | None
    """When it was issued, in milliseconds since 1970, or None."""
    is_part: bool = False
    """Whether it is charged on the invoice of a parent, which repeats its events."""

    @property
    def is_issued(self) -> bool:
        """Return whether it doesn't change any more."""
        return self.status in _ISSUED or self.status == "charged_on_parent"

    @property
    def name(self) -> str:
        """Return the number for people, or Hyperline's id."""
        return self.number or self.id


class CreditNote(NamedTuple):
    """A credit note: it takes back an invoice, or a part of it."""

    name: str
    """Its number for people, or Hyperline's id."""
    invoice: str
    """The id or the number of the invoice; empty if it isn't shown."""
    customer_id: str
    """Hyperline's id of the customer."""
    time: int | None
    """When it was issued, or else the end of its period, if one is known."""


class InvoicedEvent(NamedTuple):
    """An event on a line of an invoice, as it was when the invoice was issued."""

    id: str
    """Hyperline's id of the event, `evt_…`."""
    event_type: str
    product: str | None
    """The id of the product whose line it is on, if it is shown."""
    time: int | None
    """In milliseconds since 1970; None if it isn't shown."""
    properties: dict[str, Any] | None
    """None if they aren't shown."""


def read_invoices(client: Client, start: int, end: int) -> list[InvoiceRow]:
    """Return the invoices whose period has a part of this time.

    *start* and *end* are in milliseconds since 1970. Raises as `Client.get`.
    """
    query = {
        "period_start__lt": format_milliseconds(end),
        "period_end__gt": format_milliseconds(start),
    }
    # By default, those of periods that haven't ended are left out.
    rows = chain(
        read_cursor_list(client, _READ, query),
        read_cursor_list(client, _READ, {**query, "status": "open"}),
    )
    found = {invoice.id: invoice for invoice in _read_invoices(rows)}
    # Filters that Hyperline doesn't know are ignored.
    return [each for each in found.values() if each.start < end and each.end > start]


def read_credit_notes(client: Client) -> list[CreditNote]:
    """Return the credit notes; raises as `Client.get`."""
    rows = read_cursor_list(client, _READ, {"type": _CREDIT_NOTE})
    return [
        CreditNote(
            read_text(row.get("number")) or row["id"],
            read_text(row.get("original_invoice_id"))
            or read_text(row.get("original_invoice_number")),
            _read_customer_id(row),
            read_milliseconds(row.get("issued_at"))
            or read_milliseconds(row.get("period_ends_at")),
        )
        for row in rows
        if row.get("type") == _CREDIT_NOTE and row.get("status") not in _VOID
    ]


def read_invoiced_events(
    client: Client, invoice: InvoiceRow, start: int, end: int
) -> list[InvoicedEvent]:
    """Return the events from *start* to *end* on the lines of an invoice.

    Raises as `Client.get`.
    """
    path = f"/v1/invoices/{quote(invoice.id, safe='')}/events"
    endpoint = Endpoint("GET", path, "read the events of invoices")
    start, end = max(start, invoice.start), min(end, invoice.end + 1)
    return list(_read_events(client, endpoint, start, end))


def _read_events(
    client: Client, endpoint: Endpoint, start: int, end: int
) -> Iterator[InvoicedEvent]:
    """Yield the events from *start* to *end*, in parts that the list can show."""
    query = {
        "timestamp__gte": format_milliseconds(start),
        "timestamp__lt": format_milliseconds(end),
        "sort": "timestamp",
        "order": "asc",
    }
    most = MAX_ROWS if end - start > 1 else inf
    try:
        rows = read_list(client, endpoint, query, _identify, most)
    except TooManyRows:
        middle = (start + end) // 2
        yield from _read_events(client, endpoint, start, middle)
        yield from _read_events(client, endpoint, middle, end)
    else:
        events = list(map(_read_event, rows))
        # Otherwise, parts would be read forever; a time can be rounded.
        if any(e.time is not None and not start - 1 <= e.time <= end for e in events):
            raise AccessError(f"{endpoint.path}: {NOT_FILTERED.describe()}")
        yield from events


def _read_event(row: Fields) -> InvoicedEvent:
    billing, properties = row.get("billing"), row.get("properties")
    product = read_id(billing.get("product_id")) if isinstance(billing, dict) else None
    return InvoicedEvent(
        encode_text(row["id"]),
        encode_text(read_text(row.get("event_type"))),
        product and encode_text(product),
        read_milliseconds(row.get("timestamp")),
        properties if isinstance(properties, dict) else None,
    )


def _identify(row: Fields) -> tuple[Any, ...]:
    """Return what identifies a row: an event can have several lines and prices."""
    billing = row.get("billing")
    billing = billing if isinstance(billing, dict) else {}
    names = "invoice_line_item_id", "product_id", "price_name"
    return row["id"], *(read_id(billing.get(name)) for name in names)


def _read_invoices(rows: Iterator[Fields]) -> Iterator[InvoiceRow]:
    """Yield the invoices among *rows*, which can be credit notes too."""
    for row in rows:
        start = read_milliseconds(row.get("period_starts_at"))
        end = read_milliseconds(row.get("period_ends_at"))
        kind, status = row.get("type"), row.get("status")
        if kind in _NO_INVOICES or status in _VOID or start is None or end is None:
            continue
        yield InvoiceRow(
            row["id"],
            read_text(row.get("number")),
            read_text(status),
            _read_customer_id(row),
            start,
            end,
            read_milliseconds(row.get("issued_at")),
            kind == _PART_TYPE or status in _PART_STATUSES,
        )


def _read_customer_id(row: Fields) -> str:
    return read_id(row.get("customer")) or read_id(row.get("customer_id")) or ""
