"""The pages of the core API's lists: by position, or by a cursor.

https://docs.hyperline.co/api-reference/docs/pagination
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_stack.fake_api import FakeResponse, create_validation_error

MAX_PAGE = 100
# https://docs.hyperline.co/api-reference/docs/upgrades
MAX_OFFSET = 10_000
_DEFAULT_PAGE = 50

type Row = Mapping[str, Any]
type Query = Mapping[str, str]
type Errors = dict[str, list[str]]


def create_error(errors: Errors) -> FakeResponse:
    """Return the response to a request with invalid parameters."""
    return create_validation_error("Invalid query params", errors)


def create_json(content: Any) -> FakeResponse:
    """Return a successful response with *content*."""
    return FakeResponse(200, json.dumps(content).encode())


def find_page_errors(query: Query, max_offset: int | None = None) -> Errors:
    """Return what is invalid in `take` and `skip`, whose sum can have a limit."""
    take, skip = query.get("take", str(_DEFAULT_PAGE)), query.get("skip", "0")
    errors = {}
    if not take.isdecimal() or int(take) > MAX_PAGE:
        errors["take"] = [f"Invalid input: {take}"]
    if not skip.isdecimal():
        errors["skip"] = [f"Invalid input: {skip}"]
    if not errors and max_offset is not None and int(skip) + int(take) > max_offset:
        errors["skip"] = [f"skip + take must be at most {max_offset}"]
    return errors


def create_page(
    rows: Sequence[Row], query: Query, complete: Callable[[Row], Row] = dict
) -> FakeResponse:
    """Return the page of *rows* that a valid *query* asks for, each row completed."""
    take, skip = int(query.get("take", _DEFAULT_PAGE)), int(query.get("skip", 0))
    page = [complete(row) for row in rows[skip : skip + take]]
    # On an empty page, `taken` repeats what was asked for.
    meta = {"total": len(rows), "taken": len(page) or take, "skipped": skip}
    return create_json({"meta": meta, "data": page})


def find_cursor_errors(query: Query, sorts: Sequence[str] = ()) -> Errors:
    """Return what is invalid in `limit`, `order`, `sort` and `cursor`."""
    limit = query.get("limit", str(_DEFAULT_PAGE))
    errors: Errors = {}
    if not (limit.isdecimal() and 1 <= int(limit) <= MAX_PAGE):
        errors["limit"] = [f"Invalid input: {limit}"]
    if "cursor" in query and _decode(query["cursor"]) is None:
        errors["cursor"] = ["Invalid cursor"]
    options: dict[str, Sequence[str]] = {"order": ("asc", "desc")} | (
        {"sort": sorts} if sorts else {}
    )
    return errors | find_option_errors(query, options)


def find_option_errors(query: Query, options: Mapping[str, Sequence[str]]) -> Errors:
    """Return which parameters don't have one of their *options*."""
    return {
        name: ["Invalid option: expected one of " + "|".join(map(json.dumps, known))]
        for name, known in options.items()
        if name in query and query[name] not in known
    }


def create_cursor_page(
    rows: Sequence[Row], query: Query, complete: Callable[[Row], Row] = dict
) -> FakeResponse:
    """Return the page of *rows* after the cursor of a valid *query*.

    The cursor has the last row's id and the order, as in live responses.
    https://github.com/estuary/connectors/tree/main/source-hyperline/bruno
    """
    start = 0
    if "cursor" in query:
        last = _decode(query["cursor"])
        ids = [row["id"] for row in rows]
        start = ids.index(last) + 1 if last in ids else len(ids)
    end = start + int(query.get("limit", _DEFAULT_PAGE))
    content: dict[str, Any] = {
        "data": [complete(row) for row in rows[start:end]],
        "next_cursor": _encode(rows[end - 1], query) if end < len(rows) else None,
        "has_more": end < len(rows),
    }
    if query.get("include_total") == "true":
        content["total"] = len(rows)
    return create_json(content)


def _encode(last: Row, query: Query) -> str:
    sort, order = query.get("sort", "created_at"), query.get("order", "desc")
    content = json.dumps({"i": last["id"], "s": sort, "o": order})
    return urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str | None:
    """Return the id in a *cursor*, or None if it isn't one."""
    try:
        content = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        return None
    match content:
        case {"i": str(last)}:
            return last
        case _:
            return None
