"""The rows that Hyperline returns for stored billable events.

https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from segment_to_hyperline.segment.times import parse_time

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Window(NamedTuple):
    """An event type, and a range of time in which events of this type are compared."""

    event_type: str
    start: int
    """In milliseconds since 1970."""
    end: int
    """In milliseconds since 1970; the range ends before it."""


class Row(NamedTuple):
    """A billable event as Hyperline stored it."""

    id: str
    """Hyperline's id of the row, `evt_…`."""
    event_type: str
    record_id: str
    """As text, also if it is something else; see `encode_text`."""
    time: int | None
    """In milliseconds since 1970, rounded down; None if it can't be read."""
    customer: str | None
    """Hyperline's id of the customer, `cus_…`."""
    record: dict[str, Any]


class Page(NamedTuple):
    """Some of the rows for a query, and the number of all of them."""

    total: int
    rows: Sequence[Row]


def parse_page(content: Any) -> Page | None:
    """Return the page in the JSON of a response, or None if it isn't as documented."""
    match content:
        case {"meta": {"total": int(total)}, "data": [*rows]}:
            is_documented = all(isinstance(row, dict) for row in rows)
            return Page(total, list(map(parse_row, rows))) if is_documented else None
        case _:
            return None


def parse_row(content: dict[str, Any]) -> Row:
    """Return the row; a field that isn't as documented doesn't make it unreadable.

    Another writer's row with an id or a time that we would never post must not prevent
    the others from being compared.
    """
    record, customer = content.get("record"), content.get("customer_id")
    record = record if isinstance(record, dict) else {}
    record_id = content.get("record_id", record.get("id"))
    return Row(
        _read_text(content.get("id", content)),
        _read_text(content.get("event_type")),
        _read_text(record_id),
        read_milliseconds(content.get("timestamp")),
        _read_text(customer) if isinstance(customer, str) else None,
        record,
    )


def _read_text(value: Any) -> str:
    return encode_text(value if isinstance(value, str) else json.dumps(value))


def encode_text(text: str) -> str:
    """Return *text* as SQLite and URLs can have it: lone surrogates are escaped."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def read_milliseconds(time: Any) -> int | None:
    """Return an ISO 8601 time in milliseconds since 1970, rounded down, or None."""
    try:  # `suppress` would take as long as parsing
        return (parse_time(time) - _EPOCH) // _MILLISECOND
    except (ValueError, TypeError, OverflowError):
        return None


def format_milliseconds(milliseconds: int) -> str:
    """Return the time in ISO 8601, in UTC with milliseconds."""
    return _format(milliseconds * 1_000, "milliseconds")


def format_end(milliseconds: int) -> str:
    """Return the last time before *milliseconds* since 1970.

    It has microseconds, so that a row between two milliseconds isn't left out.
    """
    return _format(milliseconds * 1_000 - 1, "microseconds")


def _format(microseconds: int, unit: str) -> str:
    time = _EPOCH + timedelta(microseconds=microseconds)
    return time.isoformat(timespec=unit).replace("+00:00", "Z")
