"""Read, post and delete billable events in Hyperline.

https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, NamedTuple
from urllib.parse import quote

from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.facts import EVENT_PATH, MAX_PAGE_EVENTS
from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.failures import (
    NOT_DOCUMENTED,
    NOT_FILTERED,
    Failure,
    HyperlineUnavailable,
)
from segment_to_hyperline.reconciliation.api.rows import (
    Page,
    Row,
    Window,
    format_end,
    format_milliseconds,
    parse_page,
    read_milliseconds,
)

# How often rows are read that change, or change their order, while they are read.
_MAX_PASSES = 20
# The most bytes of ids in a query, since a URL can't have any length.
_MAX_BYTES = 4_000
# https://docs.hyperline.co/api-reference/endpoints/billable-events/delete-billable-events
MAX_DELETED = 5_000
_READ = Endpoint("GET", EVENT_PATH, "read billable events")
_POST = Endpoint("POST", EVENT_PATH, "write billable events")
_DELETE = Endpoint("DELETE", EVENT_PATH, "delete billable events")


class TooManyRows(Error):
    """Raised if a query has more rows than can be used."""


class Events:
    """The billable events at the ingestion API."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def check(self) -> None:
        """Raise what `Client.get` raises, if billable events can't be read."""
        self.count(Window("any", 0, 1))

    def count(self, window: Window) -> int:
        """Return the number of rows in *window*, with one request."""
        return self._get({**_query(window), "take": "0"}).total

    def read(self, window: Window, most: float = inf) -> list[Row]:
        """Return the rows in *window*; raise `TooManyRows` above this number."""
        return self._read_all(_query(window), most)

    def find(self, event_type: str, record_ids: Sequence[str]) -> list[Row]:
        """Return the rows with these *record_ids*, all of which `can_find`."""
        query = {"event_type": event_type, "record_id__in": ",".join(record_ids)}
        return self._read_all(query)

    def delete(self, record_ids: Sequence[str]) -> None:
        """Delete the rows with these ids, whatever their event types are.

        These are at least one, and at most `MAX_DELETED`.
        """
        content = {"matching": "record_ids", "record_ids": list(record_ids)}
        self.client.send(_DELETE, content)

    def post(self, body: bytes) -> None:
        """Post the billable event with this JSON; raises `Rejected` among others."""
        self.client.post(_POST, body)

    def _read_all(self, query: Mapping[str, str], most: float = inf) -> list[Row]:
        """Return all rows for *query*.

        Rows with the same time can have another order on each page. What one pass
        leaves out is found by another one, with other pages. If rows come and go, those
        that were there all the time are found.
        """
        every: dict[str, Row] = {}
        found: dict[str, Row] = {}
        total, has_changed = -1, False
        for number in range(_MAX_PASSES):
            read = self._read_pass(query, MAX_PAGE_EVENTS - number, most)
            rows = {row.id: row for row in read.rows}
            if not (read.is_steady and read.total == total):
                has_changed |= total != -1
                found, total = {}, read.total
            found |= rows
            every |= rows
            if read.is_steady and len(found) == total:
                return list(found.values())
            if len(found) > total:
                found, has_changed = rows, True
        if has_changed:
            return list(every.values())
        raise HyperlineUnavailable(
            f"Hyperline counts {total:,} events, but returns {len(found):,} of them;"
            " run the command again later"
        )

    def _read_pass(self, query: Mapping[str, str], take: int, most: float) -> "_Pass":
        """Return the rows of all pages, each with *take* rows."""
        rows: list[Row] = []
        query = {**query, "sort": "timestamp", "order": "asc", "take": str(take)}
        total, is_steady = 0, True
        while True:
            page = self._get({**query, "skip": str(len(rows))})
            if page.total > most:
                raise TooManyRows
            rows += page.rows
            is_steady &= page.total >= total
            total = page.total
            if len(rows) >= total or not page.rows:
                return _Pass(rows, total, is_steady)

    def _get(self, query: Mapping[str, str]) -> Page:
        return self.client.get(_READ, query, partial(_parse, query))


class _Pass(NamedTuple):
    """What was read page by page."""

    rows: list[Row]
    """A row that moves to another page meanwhile can be repeated or left out."""
    total: int
    """The number of rows, by the last page."""
    is_steady: bool
    """Whether no page had a lower number than the one before: none were deleted."""


def can_find(record_id: str) -> bool:
    """Return whether `Events.find` finds this id.

    In a query, ids are separated by commas, and a lone surrogate can't be in a URL.
    """
    is_plain = record_id == record_id.strip() and r"\ud" not in record_id
    return is_plain and "," not in record_id and 0 < _measure(record_id) < _MAX_BYTES


def fit_queries(record_ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield the *record_ids* in groups that fit a query."""
    group: list[str] = []
    length = 0
    for record_id in record_ids:
        length += _measure(record_id)
        if len(group) == MAX_PAGE_EVENTS or length > _MAX_BYTES:
            yield group
            group, length = [], _measure(record_id)
        group.append(record_id)
    if group:
        yield group


def _measure(record_id: str) -> int:
    """Return how many bytes of a query an id needs, with the comma after it."""
    return len(quote(record_id, safe="")) + len("%2C") if record_id else 0


def _query(window: Window) -> dict[str, str]:
    return {
        "event_type": window.event_type,
        "timestamp_gte": format_milliseconds(window.start),
        "timestamp_lte": format_end(window.end),
    }


def _parse(query: Mapping[str, str], content: Any) -> Page | Failure:
    """Return the page in a response to *query*, or what is wrong with it.

    Hyperline ignores parameters that it doesn't know, and then returns other rows.
    """
    page = parse_page(content)
    if page is None:
        return NOT_DOCUMENTED
    return page if _has_only(page.rows, query) else NOT_FILTERED


def _has_only(rows: Sequence[Row], query: Mapping[str, str]) -> bool:
    """Return whether *rows* are among those that *query* asks for."""
    if any(row.event_type != query["event_type"] for row in rows):
        return False
    if "record_id__in" in query:
        ids = set(query["record_id__in"].split(","))
        return all(row.record_id in ids for row in rows)
    # A row that is shown with milliseconds can be rounded.
    first = (read_milliseconds(query["timestamp_gte"]) or 0) - 1
    last = (read_milliseconds(query["timestamp_lte"]) or 0) + 1
    return all(row.time is None or first <= row.time <= last for row in rows)
