"""Read the billable events that Hyperline stored, within a share of its rate limit.

https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
https://docs.hyperline.co/developers/rate-limiting
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import requests

from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.facts import (
    EVENT_PATH,
    MAX_PAGE_EVENTS,
    MAX_REQUESTS,
    MAX_REQUESTS_SECONDS,
)
from segment_to_hyperline.hyperline.responses import parse_seconds
from segment_to_hyperline.hyperline.session import create_session
from segment_to_hyperline.segment.times import format_time, parse_time

PAGE = MAX_PAGE_EVENTS
# The share of Hyperline's rate limit to read with. Posts count towards the same limit:
# the Replayers use up to a tenth, so that at least 70% are left to the Receivers.
_SHARE = 0.2
# If posts and reads have used up more than this share, the rest is left to posts.
_MAX_USED_SHARE = 0.5
_TIMEOUT_SECONDS = 30
_ATTEMPTS = 6
_MAX_WAIT_SECONDS = 60

type Row = Mapping[str, Any]


class AccessError(Error):
    """Raised if the key or the host can't be used; the message says what to do."""


class HyperlineUnavailable(Error):
    """Raised if Hyperline can't be read; running the command again continues."""


class Window(NamedTuple):
    """The events of a type in a range of time."""

    event_type: str
    start: int
    """In milliseconds since 1970."""
    end: int
    """In milliseconds since 1970; not part of the range."""


class Page(NamedTuple):
    """A response to a query."""

    total: int
    """The number of all rows for the query."""
    rows: list[Row]
    """Those of this page."""


class Reader:
    """Reads rows from Hyperline."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url + EVENT_PATH
        self._session = create_session()
        self._session.headers["Authorization"] = f"Bearer {key}"
        self._interval = _find_interval(MAX_REQUESTS)
        self._next_at = 0.0
        self.requests = 0
        """The number of requests so far."""

    def count(self, window: Window) -> int:
        """Return the number of rows in *window*, with one request."""
        return self._get({**_query(window), "take": "0"}).total

    def rows(self, window: Window) -> list[Row]:
        """Return the rows in *window*, sorted by time."""
        return self._read_all(_query(window))

    def find(self, event_type: str, record_ids: Sequence[str]) -> list[Row]:
        """Return the rows with these *record_ids*, without commas."""
        return self._read_all(
            {"event_type": event_type, "record_id__in": ",".join(record_ids)}
        )

    def _read_all(self, query: Mapping[str, str]) -> list[Row]:
        """Return all rows for *query*; read them again if they change meanwhile."""
        query = {**query, "sort": "timestamp", "order": "asc"}
        before: list[str] = []
        for _ in range(_ATTEMPTS):
            rows: list[Row] = []
            while True:
                page = self._get({**query, "take": str(PAGE), "skip": str(len(rows))})
                rows += page.rows
                if len(rows) >= page.total or not page.rows:
                    break
            ids = [row["record_id"] for row in rows]
            is_complete = len(rows) == page.total
            # A row that is repeated, also at the next attempt, is stored twice.
            if is_complete and (len(set(ids)) == len(ids) or ids == before):
                return rows
            before = ids
        raise HyperlineUnavailable(
            "the events change while they are read; run the command again later"
        )

    def _get(self, query: Mapping[str, str]) -> Page:
        for attempt in range(_ATTEMPTS):
            time.sleep(max(0, self._next_at - time.monotonic()))
            self._next_at = time.monotonic() + self._interval
            self.requests += 1
            try:
                response = self._session.get(
                    self._url, params=query, timeout=_TIMEOUT_SECONDS
                )
            except requests.RequestException:
                self._wait(2.0**attempt)
                continue
            page = self._read(response, query, attempt)
            if page is not None:
                return page
        raise HyperlineUnavailable(
            "Hyperline doesn't respond as documented; run the command again to continue"
        )

    def _read(
        self, response: requests.Response, query: Mapping[str, str], attempt: int
    ) -> Page | None:
        """Return the page in *response*, or None to retry."""
        status = response.status_code
        if status in {401, 403}:
            raise AccessError("Hyperline rejected the API key: use a valid one")
        if status == 404:
            raise AccessError(f"{self._url} doesn't exist: correct HYPERLINE_URL")
        if status == 400:
            raise AccessError("Hyperline rejected the query (400); please report a bug")
        if status == 429 or status >= 500:
            retry_after = parse_seconds(response.headers.get("Retry-After", ""))
            self._wait(retry_after or 2.0**attempt)
            return None
        self._pace(response.headers)
        page = _parse_page(response.content, query) if status == 200 else None
        if page is None:
            self._wait(2.0**attempt)
        return page

    def _pace(self, headers: Mapping[str, str]) -> None:
        """Adapt to the rate limit in *headers*, and to how much of it is used up."""
        limit = _parse_number(headers.get("X-RateLimit-Limit")) or MAX_REQUESTS
        remaining = _parse_number(headers.get("X-RateLimit-Remaining"))
        self._interval = _find_interval(limit)
        if remaining is not None and remaining < limit * (1 - _MAX_USED_SHARE):
            self._wait(_seconds_until(headers.get("X-RateLimit-Reset")))

    def _wait(self, seconds: float) -> None:
        self._next_at = time.monotonic() + min(seconds, _MAX_WAIT_SECONDS)


def format_milliseconds(milliseconds: int) -> str:
    """Return the time in ISO 8601, in UTC."""
    return format_time(datetime.fromtimestamp(milliseconds / 1_000, UTC))


def _query(window: Window) -> dict[str, str]:
    return {
        "event_type": window.event_type,
        "timestamp_gte": format_milliseconds(window.start),
        "timestamp_lte": format_milliseconds(window.end - 1),
    }


def _find_interval(limit: int) -> float:
    """Return the seconds between two requests, with this *limit* of requests."""
    return MAX_REQUESTS_SECONDS / (limit * _SHARE)


def _parse_number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _parse_page(body: bytes, query: Mapping[str, str]) -> Page | None:
    """Return the page in a response to *query*, or None if it isn't as documented."""
    try:
        match json.loads(body):
            case {"meta": {"total": int(total)}, "data": [*rows]}:
                rows = [{**row, "record_id": _find_id(row)} for row in rows]
                return Page(total, rows) if _match(rows, query) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def _find_id(row: Row) -> str:
    """Return the id of *row*; raises `TypeError` or `KeyError` without a record."""
    if not isinstance(row["record"], dict):
        raise TypeError
    record_id = row.get("record_id", row["record"].get("id"))
    if not isinstance(record_id, str):
        raise TypeError
    return record_id


def _match(rows: Sequence[Row], query: Mapping[str, str]) -> bool:
    """Return whether Hyperline has filtered *rows* as the *query* asks.

    Its API ignores unknown parameters, and then returns rows that were not asked for.
    """
    ids = query["record_id__in"].split(",") if "record_id__in" in query else None
    start, end = (
        parse_time(query[name]) if name in query else None
        for name in ("timestamp_gte", "timestamp_lte")
    )
    return all(
        row["event_type"] == query["event_type"]
        and (ids is None or row["record_id"] in ids)
        and (start or time) <= time <= (end or time)
        for row, time in ((row, parse_time(row["timestamp"])) for row in rows)
    )


def _seconds_until(text: str | None) -> float:
    with suppress(ValueError):
        reset = datetime.fromisoformat(text or "")
        return max(0, reset.timestamp() - time.time())
    return 10
