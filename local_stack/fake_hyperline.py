"""A fake of Hyperline's ingestion API on a loopback port, for tests and the demo.

It stores events as Hyperline does, one for each event_type and record.id, and returns
them as documented. It accepts only what is documented; everything else is an error. A
test can set the responses to the next requests.
"""

import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time
from bisect import bisect_left
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "test_local_example_key"
# https://docs.hyperline.co/developers/rate-limiting
RATE_LIMIT = 1_000
RATE_PERIOD_SECONDS = 10
# https://docs.hyperline.co/api-reference/endpoints/billable-events/ingest-billable-events
MAX_BATCH = 5_000
# https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
MAX_PAGE = 100
_DRIP_INTERVAL_SECONDS = 0.05
# Longer than any deadline, and short enough for a client to exit soon: a process waits
# for its threads, and one of them may still be reading.
_MAX_DRIP_SECONDS = 10
_MAX_GATE_SECONDS = 120


class Ending(Enum):
    """How a response ends."""

    COMPLETE = auto()
    DRIPPED = auto()  # one byte at a time, and never complete
    TRUNCATED = auto()  # shorter than its Content-Length
    CLOSED = auto()  # no response: the connection is closed
    RESET = auto()  # no response: the connection is reset
    RESET_UNREAD = auto()  # the connection is reset before the request is read


@dataclass(frozen=True)
class FakeResponse:
    """The response to one request, sent after *delay* seconds instead of Hyperline's.

    If it *stores* the events, they are stored whatever the response says. With a
    *gate*, it is sent once that is set.
    """

    status: int = 503
    body: bytes = b'{"message":"scripted failure"}'
    delay: float = 0
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = Ending.COMPLETE
    stores: bool = False
    gate: threading.Event | None = None


# https://docs.hyperline.co/fr/api-reference/docs/rate-limiting
_TOO_MANY = FakeResponse(
    429, b"Too many requests", headers={"Content-Type": "text/plain"}
)


@dataclass(frozen=True)
class Request:
    """A request that arrived, and the port of the client that sent it.

    The *path* has the query.
    """

    path: str
    client_port: int
    authorization: str
    body: bytes
    method: str = "POST"


class FakeHyperline:
    """An ingestion API that listens from its creation until `close`.

    *store* has the events by event_type and record.id, and *writes* every version of
    each that was written. Events of *unknown_customers* are rejected alone, and events
    of *malformed_customers* together with their batch. *requests* are those that
    arrived, without GET requests, whose paths are in *reads*. It accepts *rate_limit*
    requests in 10 seconds; those with a response that a test has set don't count.
    """

    def __init__(
        self, host: str = "127.0.0.1", key: str = KEY, rate_limit: int = RATE_LIMIT
    ) -> None:
        self.key = key
        self.rows = Rows(self)
        self.limiter = Limiter(rate_limit)
        self.reads: list[str] = []
        self.store: dict[tuple[str, str], bytes] = {}
        self.writes: dict[tuple[str, str], set[bytes]] = defaultdict(set)
        self.unknown_customers: set[str] = set()
        self.malformed_customers: set[str] = set()
        # Whether the response to a batch names the events that were stored before.
        self.names_stored = True
        # The response to each post with an event of one of these customers.
        self.unprocessable: dict[str, FakeResponse] = {}
        self.requests: list[Request] = []
        self.scripted: deque[FakeResponse] = deque()
        # The response to every request for which none is scripted, during an outage.
        self.outage: FakeResponse | None = None
        self.closed = False
        self._server = _Server(self, host)
        self.url = f"http://{host}:{self._server.server_port}"
        threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        ).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self.closed = True
        self._server.shutdown()
        self._server.server_close()

    def respond(self, *responses: FakeResponse | int) -> None:
        """Give these responses, or statuses, to the next requests, one each."""
        self.scripted.extend(
            FakeResponse(r) if isinstance(r, int) else r for r in responses
        )

    def find_unprocessable(self, request: Request) -> FakeResponse | None:
        """Return the response to a post that Hyperline fails to process, or None."""
        if request.method != "POST" or not self.unprocessable:
            return None
        content = json.loads(request.body)
        events = content if isinstance(content, list) else [content]
        found = (self.unprocessable.get(event["customer_id"]) for event in events)
        return next(filter(None, found), None)

    def handle(self, request: Request) -> FakeResponse:
        """Store or find events, and return the response, as Hyperline would."""
        headers = self.limiter.take()
        response = _TOO_MANY if "Retry-After" in headers else self.process(request)
        return replace(response, headers=response.headers | headers)

    def process(self, request: Request) -> FakeResponse:
        """Do the same without a rate limit."""
        path, _, query = request.path.partition("?")
        if request.authorization != f"Bearer {self.key}":
            return _message(401, "Missing authentication token")
        match request.method, path:
            case "GET", "/v1/events":
                return self._read(dict(parse_qsl(query)))
            case "POST", "/v1/events":
                return self._handle_event(_parse_json(request.body))
            case "POST", "/v1/events/batch":
                return self._handle_batch(_parse_json(request.body))
            case _:
                return _message(404, "Route not found")

    def _read(self, query: dict[str, str]) -> FakeResponse:
        errors = _find_query_errors(query)
        if errors:
            return _invalid("Invalid query params", errors)
        return FakeResponse(200, json.dumps(self.rows.find(query)).encode())

    def _handle_event(self, event: Any) -> FakeResponse:
        problem = self._find_problem(event)
        if problem:
            return _invalid(problem)
        self._store_event(event)
        return FakeResponse(202, b"")

    def _handle_batch(self, events: Any) -> FakeResponse:
        if not isinstance(events, list) or not 1 <= len(events) <= MAX_BATCH:
            return _invalid("body must be an array of 1 to 5000 events")
        problem = next(filter(None, map(self._find_format_problem, events)), None)
        if problem:
            return _invalid(problem)
        failed = [event for event in events if self._find_problem(event)]
        created = [event for event in events if event not in failed]
        named = created
        if not self.names_stored:
            named = [event for event in created if _key(event) not in self.store]
        for event in created:
            self._store_event(event)
        body = json.dumps({"events_created": named, "events_failed": failed})
        return FakeResponse(201, body.encode())

    def _find_problem(self, event: Any) -> str | None:
        """Return why *event* is rejected, or None if it is accepted."""
        problem = self._find_format_problem(event)
        if not problem and event["customer_id"] in self.unknown_customers:
            return f"customer {event['customer_id']} does not exist"
        return problem

    def _find_format_problem(self, event: Any) -> str | None:
        """Return why a whole batch with *event* is rejected, or None."""
        problem = _check_format(event)
        if not problem and event["customer_id"] in self.malformed_customers:
            return f"the event of {event['customer_id']} can't be read"
        return problem

    def _store_event(self, event: dict[str, Any]) -> None:
        key = _key(event)
        self.store[key] = json.dumps(event, separators=(",", ":")).encode()
        self.rows.forget()
        self.writes[key].add(self.store[key])


class Limiter:
    """Accepts a number of requests in each period of 10 seconds."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._ends = 0.0
        self._taken = 0

    def take(self) -> dict[str, str]:
        """Count a request, and return the headers of its response."""
        # https://docs.hyperline.co/developers/rate-limiting
        with self._lock:
            now = time.time()
            if now >= self._ends:
                self._ends, self._taken = now + RATE_PERIOD_SECONDS, 0
            self._taken += 1
            headers = {
                "X-RateLimit-Limit": str(self.limit),
                "X-RateLimit-Remaining": str(max(0, self.limit - self._taken)),
                "X-RateLimit-Reset": _format_time(self._ends),
            }
            if self._taken > self.limit:
                headers["Retry-After"] = str(int(self._ends - now) + 1)
            return headers


class Rows:
    """The stored events as `GET /v1/events` returns them."""

    # https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events

    def __init__(self, hyperline: "FakeHyperline") -> None:
        self._hyperline = hyperline
        # The most rows of a page, which a server can limit further.
        self.max_page = MAX_PAGE
        # Ids of events that are returned twice, as if they were stored twice.
        self.repeated: set[str] = set()
        # What is shown as the customer of an event, instead of Hyperline's id.
        self.customers: dict[str, str | None] = {}
        self._index: dict[str, list[tuple[int, str]]] | None = None

    def forget(self) -> None:
        """Read the store again for the next request, because it was changed."""
        self._index = None

    def find(self, query: dict[str, str]) -> dict[str, Any]:
        """Return the rows for a valid *query*."""
        event_type = query["event_type"]
        take, skip = int(query.get("take", "50")), int(query.get("skip", "0"))
        index = self._sort().get(event_type, [])
        start = bisect_left(index, (_to_milliseconds(query.get("timestamp_gte")), ""))
        end = bisect_left(index, (_to_milliseconds(query.get("timestamp_lte"), 1), ""))
        found = [record_id for _, record_id in index[start:end]]
        if ids := query.get("record_id__in"):
            wanted = set(ids.split(","))
            found = [record_id for record_id in found if record_id in wanted]
        if customer := query.get("customer_id"):
            found = [i for i in found if self._find_customer(event_type, i) == customer]
        if query.get("order", "desc") == "desc":
            found.reverse()
        page = found[skip : skip + min(take, self.max_page)]
        # On an empty page, `taken` repeats what was asked for.
        return {
            "meta": {"total": len(found), "taken": len(page) or take, "skipped": skip},
            "data": [self._create_row(event_type, record_id) for record_id in page],
        }

    def _sort(self) -> dict[str, list[tuple[int, str]]]:
        if self._index is None:
            index: dict[str, list[tuple[int, str]]] = defaultdict(list)
            for (event_type, record_id), body in self._hyperline.store.items():
                time = _to_milliseconds(json.loads(body)["timestamp"])
                copies = 1 + (record_id in self.repeated)
                index[event_type] += [(time, record_id)] * copies
            for rows in index.values():
                rows.sort()
            self._index = index
        return self._index

    def _find_customer(self, event_type: str, record_id: str) -> str | None:
        """Return Hyperline's id of an event's customer."""
        posted: str = self._parse(event_type, record_id)["customer_id"]
        digest = hashlib.sha256(posted.encode()).hexdigest()
        known = posted if posted.startswith("cus_") else f"cus_{digest[:13]}"
        return self.customers.get(record_id, known)

    def _create_row(self, event_type: str, record_id: str) -> dict[str, Any]:
        event = self._parse(event_type, record_id)
        key = json.dumps([event_type, record_id]).encode()
        return {
            "id": f"evt_{hashlib.sha256(key).hexdigest()[:12]}",
            "event_type": event_type,
            "timestamp": _format_time(_to_milliseconds(event["timestamp"]) / 1_000),
            "customer_id": self._find_customer(event_type, record_id),
            "record_id": record_id,
            "record": event["record"],
        }

    def _parse(self, event_type: str, record_id: str) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self._hyperline.store[event_type, record_id])
        return event


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


def _format_time(seconds: float) -> str:
    """Return a Unix timestamp in ISO 8601, in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _to_milliseconds(time: str | int | None, more: int = 0) -> int:
    """Return *time* in milliseconds since 1970, plus *more*."""
    if time is None:
        return more << 60
    if isinstance(time, int):
        return time + more
    return round(datetime.fromisoformat(time).timestamp() * 1_000) + more


def _check_format(event: Any) -> str | None:
    """Return how *event* differs from what Hyperline documents, or None."""
    # https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
    match event:
        case {
            "customer_id": str(),
            "event_type": str(event_type),
            "timestamp": str() | int() as time,
            "record": {"id": str(), **properties},
        } if event_type and (isinstance(time, int) or _is_time(time)):
            allowed = all(map(_is_allowed, properties.values()))
            return None if allowed else "record has a value of a type not allowed"
        case _:
            return "customer_id, event_type, timestamp and record.id are required"


def _key(event: dict[str, Any]) -> tuple[str, str]:
    return event["event_type"], event["record"]["id"]


def _is_allowed(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str | int | float) for item in items)


def _parse_json(body: bytes) -> Any:
    """Return the value in *body*, or None if it isn't JSON, which has no NaN."""
    with suppress(ValueError, RecursionError):
        return json.loads(body, parse_constant=int)
    return None


def _message(status: int, message: str) -> FakeResponse:
    # https://docs.hyperline.co/developers/error-handling
    return FakeResponse(status, json.dumps({"message": message}).encode())


def _invalid(message: str, errors: dict[str, list[str]] | None = None) -> FakeResponse:
    """Return the response to an invalid request, as live responses have it.

    https://github.com/estuary/connectors/tree/main/source-hyperline/bruno
    """
    content = {"statusCode": 400, "type": "ValidationError", "message": message}
    body = json.dumps(content | {"errors": errors or {}})
    return FakeResponse(400, body.encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hyperline: FakeHyperline, host: str) -> None:
        self.hyperline = hyperline
        super().__init__((host, 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Some tests close the connection before the response.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def parse_request(self) -> bool:
        """Handle all methods in the same way: only documented ones are accepted."""
        is_valid = super().parse_request()
        if is_valid:
            setattr(self, f"do_{self.command}", self._handle)
        return is_valid

    def finish(self) -> None:
        """Close the connection's files, also if the client is gone."""
        try:
            super().finish()
        finally:
            self.rfile.close()

    def _handle(self) -> None:
        hyperline = self.server.hyperline
        scripted = (
            hyperline.scripted.popleft() if hyperline.scripted else hyperline.outage
        )
        if scripted and scripted.ending is Ending.RESET_UNREAD:
            self._reset()
            return
        request = self._read_request()
        if request.method == "GET":
            hyperline.reads.append(request.path)
        else:
            hyperline.requests.append(request)
        failure = hyperline.find_unprocessable(request)
        # What can't be processed isn't stored, so the response must not say that it is.
        response = failure if scripted is None or scripted.stores else None
        response = response or scripted
        if response is None:
            self._send(hyperline.handle(request))
            return
        if response.stores and not failure:
            hyperline.process(request)
        self._end(response)

    def _end(self, scripted: FakeResponse) -> None:
        """Send a response that a test has set, or close the connection."""
        time.sleep(scripted.delay)
        if scripted.gate:
            scripted.gate.wait(_MAX_GATE_SECONDS)
        if scripted.ending is Ending.RESET:
            self._reset()
        elif scripted.ending is Ending.CLOSED:
            self.close_connection = True
        else:
            self._send(scripted)

    def _read_request(self) -> Request:
        length = int(self.headers.get("Content-Length", "0"))
        return Request(
            path=self.path,
            client_port=self.client_address[1],
            authorization=self.headers.get("Authorization", ""),
            body=self.rfile.read(length),
            method=self.command,
        )

    def _send(self, response: FakeResponse) -> None:
        is_incomplete = response.ending in {Ending.TRUNCATED, Ending.DRIPPED}
        self.send_response(response.status)
        headers = {"Content-Type": "application/json"} if response.body else {}
        for name, value in (headers | response.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body) + is_incomplete))
        if response.ending is Ending.DRIPPED:
            self._drip_header()
        else:
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)
        if is_incomplete:
            self.close_connection = True

    def _drip_header(self) -> None:
        """Send a header that never ends, so that the connection is never idle."""
        self.flush_headers()
        self.wfile.write(b"X-Drip: ")
        end = time.monotonic() + _MAX_DRIP_SECONDS
        with suppress(OSError):
            while not self.server.hyperline.closed and time.monotonic() < end:
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(_DRIP_INTERVAL_SECONDS)

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        os.close(self.connection.detach())
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Write no log; `FakeHyperline.requests` has the requests."""
