"""A fake of Hyperline's ingestion API on a loopback port, for tests and the demo.

It stores events as Hyperline does, one for each event_type and record.id, and returns
them as documented. It accepts only what is documented; everything else is an error.
Where the documentation leaves it open, `behaviour` decides. A test can set the
responses to the next requests.
"""

import hashlib
import json
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl
from zlib import crc32

from local_stack.behaviour import (
    DELAY_SECONDS,
    LARGEST_BODY,
    UNKNOWN_CUSTOMER,
    change,
    create_behaviour,
    find_problem,
)
from local_stack.fake_api import (
    KEY,
    FakeApi,
    FakeResponse,
    Request,
    create_message,
    create_validation_error,
    format_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# https://docs.hyperline.co/developers/rate-limiting
RATE_LIMIT = 1_000
# https://docs.hyperline.co/api-reference/endpoints/billable-events/ingest-billable-events
MAX_BATCH = 5_000
# https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
MAX_PAGE = 100
# https://docs.hyperline.co/api-reference/endpoints/billable-events/delete-billable-events
MAX_DELETED = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FakeHyperline(FakeApi):
    """A fake of the ingestion API."""

    def __init__(
        self, host: str = "127.0.0.1", key: str = KEY, rate_limit: int = RATE_LIMIT
    ) -> None:
        super().__init__(host, key, rate_limit)
        # What is assumed where the documentation leaves it open; see behaviour.py.
        self.behaviour = create_behaviour()
        # A key without the scope to write billable events, if any.
        self.limited_key = ""
        self.rows = Rows(self)
        # The events by event_type and record.id, and every version of each.
        self.store: dict[tuple[str, str], bytes] = {}
        self.writes: dict[tuple[str, str], set[bytes]] = defaultdict(set)
        # The customers that exist, or None if all do. Events of others are treated as
        # those of unknown customers.
        self.customers: set[str] | None = None
        # Events of these customers are rejected alone, or together with their batch.
        self.unknown_customers: set[str] = set()
        self.malformed_customers: set[str] = set()
        # Whether the response to a batch names the events that were stored before.
        self.names_stored = True
        # The response to each post with an event of one of these customers.
        self.unprocessable: dict[str, FakeResponse] = {}

    def find_failure(self, request: Request) -> FakeResponse | None:
        """Return the response to a post that Hyperline fails to process, or None."""
        if request.method != "POST" or not self.unprocessable:
            return None
        content = json.loads(request.body)
        events = content if isinstance(content, list) else [content]
        found = (self.unprocessable.get(event["customer_id"]) for event in events)
        return next(filter(None, found), None)

    def handle(self, request: Request) -> FakeResponse:
        """Process *request*, and return the response."""
        response = super().handle(request)
        if self.behaviour["rate limit headers"] == "none":
            headers = response.headers.items()
            rest = {k: v for k, v in headers if not k.startswith("X-RateLimit")}
            return replace(response, headers=rest)
        return response

    def process(self, request: Request) -> FakeResponse:
        """Reject the posts of the limited key, and process other requests."""
        is_limited = request.authorization == f"Bearer {self.limited_key}"
        if self.limited_key and is_limited:
            return create_message(int(self.behaviour["key without scope"]), "No scope")
        return super().process(request)

    def route(self, request: Request) -> FakeResponse:
        """Store, find or delete events, and return the response."""
        path, _, query = request.path.partition("?")
        match request.method, path:
            case "GET", "/v1/events":
                return self._read(dict(parse_qsl(query)))
            case "POST", _:
                return self._post(path, request.body)
            case "DELETE", "/v1/events":
                return self._delete(_parse_json(request.body))
            case _:
                return create_message(404, "Route not found")

    def _post(self, path: str, body: bytes) -> FakeResponse:
        version, _, rest = path.removeprefix("/").partition("/")
        paths = self.behaviour["paths"]
        if paths == "neither" or version not in paths.split(" and "):
            return create_message(404, "Route not found")
        if len(body) > LARGEST_BODY[self.behaviour["largest body"]]:
            return create_message(413, "Payload too large")
        if rest == "events":
            return self._handle_event(_parse_json(body))
        if rest == "events/batch":
            return self._handle_batch(_parse_json(body), version)
        return create_message(404, "Route not found")

    def _delete(self, content: Any) -> FakeResponse:
        """Delete the events with these ids, whatever their types are."""
        # https://docs.hyperline.co/api-reference/endpoints/billable-events/delete-billable-events
        match content:
            case {"matching": "record_ids", "record_ids": [*ids]} if 1 <= len(
                ids
            ) <= MAX_DELETED and all(isinstance(i, str) for i in ids):
                wanted = set(ids)
                keys = [key for key in self.store if key[1] in wanted]
                for key in keys:
                    del self.store[key]
                self.rows.repeated -= wanted
                self.rows.forget()
                return FakeResponse(200, json.dumps(len(keys)).encode())
            case _:
                return create_validation_error("matching and record_ids are required")

    def _read(self, query: dict[str, str]) -> FakeResponse:
        errors = _find_query_errors(query)
        if errors:
            return create_validation_error("Invalid query params", errors)
        return FakeResponse(200, json.dumps(self.rows.find(query)).encode())

    def _handle_event(self, event: Any) -> FakeResponse:
        problem = self._find_format_problem(event)
        if problem:
            return create_validation_error(problem)
        if self._is_unknown(event):
            return self._handle_unknown(event)
        return self._store_alone(event)

    def _handle_unknown(self, event: dict[str, Any]) -> FakeResponse:
        """Return the response to an event of a customer who doesn't exist."""
        answer = self.behaviour["unknown customer"]
        if answer == "listed as failed":
            content = {"events_created": [], "events_failed": [event]}
            return FakeResponse(201, json.dumps(content).encode())
        if status := UNKNOWN_CUSTOMER.get(answer):
            message = f"customer {event['customer_id']} does not exist"
            is_invalid = status == 400
            return (
                create_validation_error(message)
                if is_invalid
                else create_message(status, message)
            )
        return self._store_alone(event)

    def _store_alone(self, event: dict[str, Any]) -> FakeResponse:
        if not self._accept_event(event):
            return create_message(409, "an event with this id exists")
        return self._accept()

    def _accept(self) -> FakeResponse:
        """Return the response to an event that was posted alone and accepted."""
        bodies = {"empty": b"", "an object": b"{}", "something else": b"accepted"}
        return FakeResponse(202, bodies[self.behaviour["response to an event"]])

    def _handle_batch(self, events: Any, version: str) -> FakeResponse:
        if not isinstance(events, list) or not 1 <= len(events) <= MAX_BATCH:
            return create_validation_error("body must be an array of 1 to 5000 events")
        bad = [event for event in events if self._find_format_problem(event)]
        is_rejected = self.behaviour["bad event in a batch"] == "the batch is rejected"
        if bad and is_rejected:
            problem = self._find_format_problem(bad[0])
            return create_validation_error(problem or "")
        failed = self._find_failed(events, bad)
        if failed is None:
            return create_validation_error("all events must have the same event_type")
        good = [event for event in events if event not in failed and event not in bad]
        named = good
        if not self.names_stored:
            named = [event for event in good if _key(event) not in self.store]
        refused = [event for event in good if not self._accept_event(event)]
        named = [event for event in named if event not in refused]
        if bad and self.behaviour["bad event in a batch"] == "the others are stored":
            return create_validation_error(self._find_format_problem(bad[0]) or "")
        return self._respond_to_batch(named, failed + refused, version)

    def _find_failed(self, events: list[Any], bad: list[Any]) -> list[Any] | None:
        """Return the events that are listed as failed, or None for the whole batch.

        *bad* are those that don't have the documented format.
        """
        is_listed = self.behaviour["bad event in a batch"] == "listed as failed"
        failed = bad if is_listed else []
        good = [event for event in events if event not in bad]
        failed = failed + list(filter(self._is_failed, good))
        others = [e for e in good if e["event_type"] != good[0]["event_type"]]
        answer = self.behaviour["two event types"]
        if others and answer == "rejected":
            return None
        if answer == "listed as failed":
            failed += [event for event in others if event not in failed]
        return failed

    def _is_failed(self, event: dict[str, Any]) -> bool:
        """Return whether an event of a batch is listed as failed."""
        stored = ("a customer is created", "stored without a customer", "not stored")
        is_stored = self.behaviour["unknown customer"] in stored
        return self._is_unknown(event) and not is_stored

    def _respond_to_batch(
        self, created: list[Any], failed: list[Any], version: str
    ) -> FakeResponse:
        answer = self.behaviour["response to a batch"]
        if answer == "empty":
            return FakeResponse(201, b"")
        if answer == "something else":
            return FakeResponse(201, b"accepted")
        if version == "v2":
            answer = "events_accepted"
        named = {} if answer == "not at all" else {answer: created}
        body = json.dumps(named | {"events_failed": failed})
        return FakeResponse(201, body.encode())

    def _is_unknown(self, event: dict[str, Any]) -> bool:
        """Return whether the customer of *event* doesn't exist."""
        customer = event["customer_id"]
        is_unknown = self.customers is not None and customer not in self.customers
        return is_unknown or customer in self.unknown_customers

    def _find_format_problem(self, event: Any) -> str | None:
        """Return why *event* is invalid, or None."""
        problem = _check_format(event) or find_problem(self.behaviour, event)
        if not problem and event["customer_id"] in self.malformed_customers:
            return f"the event of {event['customer_id']} can't be read"
        return problem

    def _accept_event(self, event: dict[str, Any]) -> bool:
        """Store *event*, if its customer allows, and return whether it is accepted."""
        if self._is_unknown(event):
            answer = self.behaviour["unknown customer"]
            if answer == "not stored":
                return True
            if answer == "stored without a customer":
                self.rows.customers[event["record"]["id"]] = None
        return self._store_event(event)

    def _store_event(self, event: dict[str, Any]) -> bool:
        """Store *event*, and return whether it is accepted."""
        key = _key(event)
        new = json.dumps(change(self.behaviour, event), separators=(",", ":")).encode()
        if key in self.store:
            answer = self._find_answer(json.loads(self.store[key]), event)
            if answer == "stored twice":
                self.rows.repeated.add(key[1])
            elif answer != "replaced" and new != self.store[key]:
                return answer == "the first one stays"
        self.store[key] = new
        self.rows.stored_at[key] = time.time()
        self.rows.forget()
        self.writes[key].add(self.store[key])
        return True

    def _find_answer(self, old: dict[str, Any], new: dict[str, Any]) -> str:
        """Return what happens to an event whose id exists."""
        times = [_to_microseconds(event["timestamp"]) for event in (new, old)]
        is_older = times[0] < times[1]
        return self.behaviour["older timestamp" if is_older else "repeated id"]


class OddRow(NamedTuple):
    """A row that another writer stored, with fields that we would never post."""

    event_type: str
    time: int
    """In microseconds since 1970."""
    content: dict[str, Any]
    """What is returned."""


class StoredEvent(NamedTuple):
    """An event as the core API reads it."""

    time: int
    """In microseconds since 1970."""
    row: dict[str, Any]
    """What `GET /v1/events` returns."""


type _Groups = dict[str | None, list[StoredEvent]]


class Rows:
    """The stored events as `GET /v1/events` returns them."""

    # https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events

    def __init__(self, hyperline: "FakeHyperline") -> None:
        self._hyperline = hyperline
        # The most rows of a page, which a server can limit further.
        self.max_page = MAX_PAGE
        # Ids of events that are stored twice.
        self.repeated: set[str] = set()
        # What is shown as the customer of an event, instead of Hyperline's id.
        self.customers: dict[str, str | None] = {}
        self.odd: list[OddRow] = []
        # What the order of rows with the same time depends on, since it isn't
        # documented. By default, it is always the same.
        self.order_ties: Callable[[dict[str, str]], object] = lambda _: None
        # When each event was stored (`time.time`), by event_type and record.id.
        self.stored_at: dict[tuple[str, str], float] = {}
        # Called before each response; it can change what is stored.
        self.before_read: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._index: dict[str, list[_Entry]] | None = None
        self._groups: dict[tuple[object, ...], _Groups] = {}

    def forget(self) -> None:
        """Read the store again for the next request, because it was changed."""
        self._index = None
        self._groups = {}

    def read(self, event_type: str, customer_id: str) -> list[StoredEvent]:
        """Return the events of a type and a customer, by Hyperline's id, by time."""
        with self._lock:
            key = (event_type, *self.customers.items())
            if key not in self._groups:
                self._groups[key] = self._group(event_type)
            return self._groups[key].get(customer_id, [])

    def _group(self, event_type: str) -> _Groups:
        groups: _Groups = defaultdict(list)
        for entry in self._sort().get(event_type, []):
            row = self._create_row(event_type, entry)
            groups[row.get("customer_id")].append(StoredEvent(entry.time, row))
        return groups

    def find(self, query: dict[str, str]) -> dict[str, Any]:
        """Return the rows for a valid *query*."""
        with self._lock:
            self.before_read()
            return self._find(query)

    def _find(self, query: dict[str, str]) -> dict[str, Any]:
        take, skip = int(query.get("take", "50")), int(query.get("skip", "0"))
        found = self._filter(query)
        behaviour = self._hyperline.behaviour
        if seconds := DELAY_SECONDS[behaviour["delay"]]:
            event_type = query["event_type"]
            found = [e for e in found if self._is_older(event_type, e, seconds)]
        reason = self.order_ties(query)
        if behaviour["equal times"] == "in another order":
            reason = (take, skip)
        if reason is not None:
            found.sort(key=lambda e: (e.time, crc32(f"{reason} {e}".encode())))
        if query.get("order", "desc") == "desc":
            found.reverse()
        page = found[skip : skip + min(take, self.max_page)]
        # On an empty page, `taken` repeats what was asked for.
        return {
            "meta": {"total": len(found), "taken": len(page) or take, "skipped": skip},
            "data": [self._create_row(query["event_type"], entry) for entry in page],
        }

    def _filter(self, query: dict[str, str]) -> "list[_Entry]":
        """Return the rows that are asked for, sorted by time."""
        index = self._sort().get(query["event_type"], [])
        start, end = 0, len(index)
        if "timestamp_gte" in query:
            time = _to_microseconds(query["timestamp_gte"])
            start = bisect_left(index, (time,))
        if "timestamp_lte" in query:
            time = _to_microseconds(query["timestamp_lte"])
            end = bisect_left(index, (time + 1,))
        found = index[start:end]
        if ids := query.get("record_id__in"):
            wanted = set(ids.split(","))
            found = [entry for entry in found if entry.record_id in wanted]
        if customer := query.get("customer_id"):
            found = [e for e in found if self._find_customer(query, e) == customer]
        return found

    def _is_older(self, event_type: str, entry: "_Entry", seconds: float) -> bool:
        """Return whether an event was stored more than *seconds* ago."""
        stored_at = self.stored_at.get((event_type, entry.record_id), 0)
        return time.time() - stored_at > seconds

    def _sort(self) -> "dict[str, list[_Entry]]":
        if self._index is None:
            index: dict[str, list[_Entry]] = defaultdict(list)
            for (event_type, record_id), body in self._hyperline.store.items():
                time = _to_microseconds(json.loads(body)["timestamp"])
                for copy in range(1 + (record_id in self.repeated)):
                    index[event_type].append(_Entry(time, record_id, copy))
            for number, odd in enumerate(self.odd):
                shown = odd.content.get("record_id")
                # What isn't text doesn't equal any id in a query.
                text = shown if isinstance(shown, str) else ""
                entry = _Entry(odd.time, text, number, is_odd=True)
                index[odd.event_type].append(entry)
            for rows in index.values():
                rows.sort()
            self._index = index
        return self._index

    def _find_customer(self, query: dict[str, str], entry: "_Entry") -> Any:
        return self._create_row(query["event_type"], entry).get("customer_id")

    def _create_row(self, event_type: str, entry: "_Entry") -> dict[str, Any]:
        if entry.is_odd:
            return self.odd[entry.copy].content
        record_id = entry.record_id
        event = json.loads(self._hyperline.store[event_type, record_id])
        key = json.dumps([event_type, record_id, entry.copy]).encode()
        customer = find_customer_id(event["customer_id"])
        precision = self._hyperline.behaviour["microseconds"]
        more = 500 if precision == "rounded" else 0
        shown = format_time((entry.time + more) // 1_000 / 1_000)
        if precision == "kept":
            shown = f"{shown.removesuffix('Z')}{entry.time % 1_000:03}Z"
        return {
            "id": f"evt_{hashlib.sha256(key).hexdigest()[:12]}",
            "event_type": event_type,
            "timestamp": shown,
            "customer_id": self.customers.get(record_id, customer),
            "record_id": record_id,
            "record": event["record"],
        }


class _Entry(NamedTuple):
    time: int
    """In microseconds since 1970."""
    record_id: str
    copy: int
    """Which of several rows with this id; or which of the odd rows."""
    is_odd: bool = False


def find_customer_id(posted: str) -> str:
    """Return Hyperline's id of a customer, by the id that was posted."""
    if posted.startswith("cus_"):
        return posted
    return f"cus_{hashlib.sha256(posted.encode()).hexdigest()[:13]}"


def _find_query_errors(query: dict[str, str]) -> dict[str, list[str]]:
    """Return the problems of each parameter of a GET request; unknown ones are ignored.

    https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
    """
    checks: dict[str, Callable[[str], bool]] = {
        "take": lambda text: text.isdecimal() and int(text) <= MAX_PAGE,
        "skip": str.isdecimal,
        "order": {"asc", "desc"}.__contains__,
        "sort": {"timestamp"}.__contains__,
        "timestamp_gte": _is_time,
        "timestamp_lte": _is_time,
    }
    errors = {
        name: [f"Invalid input: {query[name]}"]
        for name, is_valid in checks.items()
        if name in query and not is_valid(query[name])
    }
    return errors | ({} if "event_type" in query else {"event_type": ["Required"]})


def _is_time(text: str) -> bool:
    """Return whether *text* is an ISO 8601 date and time with a time zone."""
    with suppress(ValueError):
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    return False


def _to_microseconds(time: str | int) -> int:
    """Return *time*, also if it is in milliseconds since 1970, in microseconds."""
    if isinstance(time, int):
        return time * 1_000
    return (datetime.fromisoformat(time) - _EPOCH) // timedelta(microseconds=1)


def _check_format(event: Any) -> str | None:
    """Return how *event* differs from what Hyperline documents, or None."""
    # https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
    match event:
        case {
            "customer_id": str(),
            "event_type": str(event_type),
            "timestamp": str() | int() as time,
            "record": {"id": str()},
        } if event_type and (isinstance(time, int) or _is_time(time)):
            return None
        case _:
            return "customer_id, event_type, timestamp and record.id are required"


def _key(event: dict[str, Any]) -> tuple[str, str]:
    return event["event_type"], event["record"]["id"]


def _parse_json(body: bytes) -> Any:
    """Return the value in *body*, or None if it isn't JSON, which has no NaN."""
    with suppress(ValueError, RecursionError):
        return json.loads(body, parse_constant=int)
    return None
