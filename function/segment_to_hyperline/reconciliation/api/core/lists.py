"""Read the lists of the core API.

https://docs.hyperline.co/api-reference/docs/pagination
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from math import inf
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.events import TooManyRows
from segment_to_hyperline.reconciliation.api.failures import (
    NOT_DOCUMENTED,
    NOT_FILTERED,
    AccessError,
    Failure,
    HyperlineUnavailable,
)

MAX_PAGE = 100
# Some lists show no rows beyond this one.
MAX_ROWS = 10_000
# How often a list is read that changes, or changes its order, while it is read.
_MAX_PASSES = 5

type Fields = dict[str, Any]


class _Page(NamedTuple):
    rows: list[Fields]
    total: int


class _CursorPage(NamedTuple):
    rows: list[Fields]
    cursor: str | None
    """What to ask for the next page with, if there is one."""


def read_list(
    client: Client,
    endpoint: Endpoint,
    query: Mapping[str, str] = MappingProxyType({}),
    identify: Callable[[Fields], Hashable] = itemgetter("id"),
    most: float = inf,
) -> list[Fields]:
    """Return the rows of a list with `take` and `skip`; raises as `Client.get`.

    Each has a text `id`. Rows can move to another page while the pages are read, so
    the list is read again if rows are left out, by what identifies them. Raises
    `TooManyRows` if there are more than *most*.
    """
    found: dict[Hashable, Fields] = {}
    for number in range(_MAX_PASSES):
        take, skip = MAX_PAGE - number, 0
        while True:
            paged = {**query, "take": str(take), "skip": str(skip)}
            page = _get_page(client, endpoint, paged, skip + take)
            if page.total > most:
                raise TooManyRows
            found |= {identify(row): row for row in page.rows}
            skip += take
            if skip >= page.total or not page.rows:
                break
        if len(found) >= page.total:
            return list(found.values())
    raise HyperlineUnavailable(
        f"{endpoint.path}: Hyperline counts {page.total:,} rows, but returns"
        f" {len(found):,} of them; run the command again later"
    )


def _get_page(
    client: Client, endpoint: Endpoint, query: Mapping[str, str], last: int
) -> _Page:
    try:
        return client.get(endpoint, query, _parse_page)
    except AccessError as error:
        if last <= MAX_ROWS:
            raise
        shown = f"{endpoint.path}: Hyperline shows {MAX_ROWS:,} rows of this list"
        raise AccessError(shown) from error


def read_cursor_list(
    client: Client,
    endpoint: Endpoint,
    query: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Fields]:
    """Yield the rows of a list with `limit` and `cursor`; raises as `Client.get`."""
    asked = {**query, "limit": str(MAX_PAGE)}
    seen: set[str] = set()
    while True:
        page = client.get(endpoint, asked, partial(_parse_cursor_page, seen))
        yield from page.rows
        if page.cursor is None:
            return
        seen.add(page.cursor)
        asked["cursor"] = page.cursor


def read_id(value: Any) -> str | None:
    """Return the id that a field has, or that the object in it has."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def read_text(value: Any) -> str:
    """Return a text, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def _parse_page(content: Any) -> _Page | Failure:
    match content:
        case {"meta": {"total": int(total)}, "data": [*rows]} if _have_ids(rows):
            return _Page(rows, total)
        case _:
            return NOT_DOCUMENTED


def _parse_cursor_page(seen: AbstractSet[str], content: Any) -> _CursorPage | Failure:
    """Return a page, if its cursor leads to one that wasn't *seen* before."""
    match content:
        case {"data": [*rows]} if _have_ids(rows):
            cursor = content.get("next_cursor") or None
            is_text = isinstance(cursor, str)
            if not (is_text or (cursor is None and not content.get("has_more"))):
                return NOT_DOCUMENTED
            return NOT_FILTERED if cursor in seen else _CursorPage(rows, cursor)
        case _:
            return NOT_DOCUMENTED


def _have_ids(rows: list[Any]) -> bool:
    return all(isinstance(row, dict) and read_id(row) for row in rows)
