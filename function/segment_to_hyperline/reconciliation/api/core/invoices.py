"""Read invoices, and which events are on them.

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
from segment_to_hyperline.reconciliation.api.rows import (
    format_milliseconds,
    read_milliseconds,
)

_READ = Endpoint("GET", "/v2/invoices", "read invoices")
# Nobody has to pay these, or others have replaced them.
_VOID = {"voided", "closed", "archived"}
_NO_INVOICES = {"credit_note", "child_creditnote_ref", "document"}


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


def read_event_ids(client: Client, invoice: InvoiceRow) -> set[str]:
    """Return Hyperline's ids (`evt_…`) of the events on an invoice.

    Raises as `Client.get`.
    """
    path = f"/v1/invoices/{quote(invoice.id, safe='')}/events"
    endpoint = Endpoint("GET", path, "read the events of invoices")
    return set(_read_ids(client, endpoint, invoice.start, invoice.end + 1))


def _read_ids(
    client: Client, endpoint: Endpoint, start: int, end: int
) -> Iterator[str]:
    """Yield the ids from *start* to *end*, in parts that the list can show."""
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
        yield from _read_ids(client, endpoint, start, middle)
        yield from _read_ids(client, endpoint, middle, end)
    else:
        yield from (row["id"] for row in rows)


def _identify(row: Fields) -> tuple[Any, Any]:
    """Return what identifies a row: an event can be on several lines of an invoice."""
    billing = row.get("billing")
    line = billing.get("invoice_line_item_id") if isinstance(billing, dict) else None
    return row["id"], line


def _read_invoices(rows: Iterator[Fields]) -> Iterator[InvoiceRow]:
    """Yield the invoices among *rows*, which can be credit notes too."""
    for row in rows:
        start = read_milliseconds(row.get("period_starts_at"))
        end = read_milliseconds(row.get("period_ends_at"))
        is_void = row.get("type") in _NO_INVOICES or row.get("status") in _VOID
        if is_void or start is None or end is None:
            continue
        yield InvoiceRow(
            row["id"],
            read_text(row.get("number")),
            read_text(row.get("status")),
            read_id(row.get("customer")) or read_id(row.get("customer_id")) or "",
            start,
            end,
            read_milliseconds(row.get("issued_at")),
        )
