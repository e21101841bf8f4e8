"""A fake of Hyperline's core API on a loopback port: what reconciliations read.

It returns what is documented and what was recorded from live responses. Parameters that
an endpoint doesn't know are ignored, so the unfiltered list is returned.
https://github.com/estuary/connectors/tree/main/source-hyperline/bruno
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from local_stack.fake_api import (
    KEY,
    FakeApi,
    FakeResponse,
    Request,
    create_message,
    create_validation_error,
)

# https://docs.hyperline.co/developers/rate-limiting
RATE_LIMIT = 200
# https://docs.hyperline.co/api-reference/docs/pagination
MAX_PAGE = 100
_DEFAULT_PAGE = 50
_MAX_OFFSET = 10_000

type Row = Mapping[str, Any]


class FakeCoreApi(FakeApi):
    """A fake of the core API, with rows that a test has set."""

    def __init__(
        self, host: str = "127.0.0.1", key: str = KEY, rate_limit: int = RATE_LIMIT
    ) -> None:
        super().__init__(host, key, rate_limit)
        self.customers: list[Row] = []
        self.invoicing_entities: list[Row] = []
        # Whether the list of customers doesn't know its filters any more.
        self.ignores_filters = False
        # The paths that the key may not read.
        self.forbidden: set[str] = set()

    def add_customer(
        self, customer_id: str, external_id: str | None, **fields: Any
    ) -> None:
        """Add a customer with Hyperline's id `cus_…` and the owner's id."""
        self.customers.append(
            {
                "id": customer_id,
                "external_id": external_id,
                "name": external_id or customer_id,
                "type": "corporate",
                "status": "active",
                "currency": "EUR",
                "timezone": "Europe/Paris",
                "deleted_at": None,
            }
            | fields
        )

    def route(self, request: Request) -> FakeResponse:
        """Return the list that *request* asks for."""
        path, _, query = request.path.partition("?")
        if path in self.forbidden:
            return create_message(403, "Forbidden")
        match request.method, path:
            case "GET", "/v1/customers":
                return _list(self.customers, dict(parse_qsl(query)), ("external_id",))
            case "GET", "/v2/customers":
                return self._list_customers(dict(parse_qsl(query)))
            case "GET", "/v1/invoicing-entities":
                return _list(self.invoicing_entities, dict(parse_qsl(query)), ())
            case _:
                return create_message(404, "Route not found")

    def _list_customers(self, query: Mapping[str, str]) -> FakeResponse:
        """Return a page of customers, by a cursor; the newest one is first.

        https://docs.hyperline.co/api-reference/endpoints/customers/list-customers-1
        """
        limit = query.get("limit", str(_DEFAULT_PAGE))
        if not (limit.isdecimal() and 1 <= int(limit) <= MAX_PAGE):
            return create_validation_error(
                "Invalid query params", {"limit": [f"Invalid input: {limit}"]}
            )
        filters = () if self.ignores_filters else ("external_id",)
        found = [c for c in self.customers[::-1] if _is_match(c, query, filters)]
        ids = [row["id"] for row in found]
        start = ids.index(query["cursor"]) if query.get("cursor") in ids else 0
        end = start + int(limit)
        content = {
            "data": found[start:end],
            "next_cursor": ids[end] if end < len(ids) else None,
            "has_more": end < len(ids),
        }
        if query.get("include_total") == "true":
            content["total"] = len(found)
        return FakeResponse(200, json.dumps(content).encode())


# https://docs.hyperline.co/api-reference/docs/pagination
# `in` is not among those that the vendor's own command line knows for `external_id`.
_OPERATORS: Mapping[str, Callable[[Any, str], bool]] = {
    "equals": lambda value, text: bool(value == text),
    "not": lambda value, text: bool(value != text),
    "contains": lambda value, text: text in (value or ""),
    "startsWith": lambda value, text: (value or "").startswith(text),
    "isNull": lambda value, _: value is None,
    "isNotNull": lambda value, _: value is not None,
}


def _list(
    rows: Sequence[Row], query: Mapping[str, str], filters: Sequence[str]
) -> FakeResponse:
    """Return a page of the *rows* that match the *query*."""
    take, skip = query.get("take", str(_DEFAULT_PAGE)), query.get("skip", "0")
    errors = {
        name: [f"Invalid input: {value}"]
        for name, value, most in (("take", take, MAX_PAGE), ("skip", skip, _MAX_OFFSET))
        if not value.isdecimal() or int(value) > most
    }
    if not errors and int(skip) + int(take) > _MAX_OFFSET:
        errors["skip"] = [f"skip + take must be at most {_MAX_OFFSET}"]
    if errors:
        return create_validation_error("Invalid query params", errors)
    found = [row for row in rows if _is_match(row, query, filters)]
    page = found[int(skip) : int(skip) + int(take)]
    meta = {"total": len(found), "taken": len(page) or int(take), "skipped": int(skip)}
    return FakeResponse(200, json.dumps({"meta": meta, "data": page}).encode())


def _is_match(row: Row, query: Mapping[str, str], filters: Sequence[str]) -> bool:
    return all(
        _OPERATORS[operator](row.get(name), text)
        for parameter, text in query.items()
        for name, _, operator in [parameter.partition("__")]
        if name in filters and operator in _OPERATORS
    )
