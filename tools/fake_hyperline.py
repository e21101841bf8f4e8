"""A fake of Hyperline's API for events on a loopback port, for tests and the demo.

It stores events as Hyperline does, one for each event_type and record.id, and returns
them as documented. A test can set the responses to the next requests.
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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

KEY = "test_local_example_key"
# https://docs.hyperline.co/developers/rate-limiting
READ_LIMIT = 200
READ_PERIOD_SECONDS = 10
# https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
MAX_PAGE = 100
_DRIP_INTERVAL_SECONDS = 0.05
# Longer than any deadline, and short enough for a client to exit soon: a process waits
# for its threads, and one of them may still be reading.
_MAX_DRIP_SECONDS = 10


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

    If it *stores* the events, they are stored whatever the response says.
    """

    status: int = 503
    body: bytes = b'{"message":"scripted failure"}'
    delay: float = 0
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = Ending.COMPLETE
    stores: bool = False


@dataclass(frozen=True)
class Request:
    """A request that arrived, and the port of the client that sent it."""

    path: str
    client_port: int
    authorization: str
    body: bytes


class FakeHyperline:
    """An ingest API that listens from its creation until `close`.

    *store* has the events by event_type and record.id, and *writes* every version of
    each that was written. Events of *unknown_customers* are rejected alone, and events
    of *malformed_customers* together with their batch. It accepts *read_limit* reads
    in 10 seconds.
    """

    def __init__(
        self, host: str = "127.0.0.1", key: str = KEY, read_limit: int = READ_LIMIT
    ) -> None:
        self.key = key
        self.rows = Rows(self)
        self.limiter = Limiter(read_limit)
        self.reads: list[str] = []
        self.store: dict[tuple[str, str], bytes] = {}
        self.writes: dict[tuple[str, str], set[bytes]] = defaultdict(set)
        self.unknown_customers: set[str] = set()
        self.malformed_customers: set[str] = set()
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

    def find_unprocessable(self, body: bytes) -> FakeResponse | None:
        """Return the response to a post that Hyperline fails to process, or None."""
        if not self.unprocessable:
            return None
        content = json.loads(body)
        events = content if isinstance(content, list) else [content]
        found = (self.unprocessable.get(event["customer_id"]) for event in events)
        return next(filter(None, found), None)

    def handle(self, request: Request) -> FakeResponse:
        """Store the events of *request* and return the response, as Hyperline would."""
        if request.authorization != f"Bearer {self.key}":
            return _message(401, "Missing authentication token")
        try:
            content = json.loads(request.body)
        except ValueError:
            return _message(400, "Malformed JSON")
        if request.path == "/v1/events":
            return self._handle_event(content)
        if request.path == "/v1/events/batch":
            return self._handle_batch(content)
        return _message(404, "Not found")

    def read(self, path: str, authorization: str) -> FakeResponse:
        """Return the response to a GET request for *path*, with its query."""
        url = urlsplit(path)
        if authorization != f"Bearer {self.key}":
            return _message(401, "Missing authentication token")
        if url.path != "/v1/events":
            return _message(404, "Not found")
        headers = self.limiter.take()
        if "Retry-After" in headers:
            return FakeResponse(
                429, b'{"message":"Too many requests"}', headers=headers
            )
        try:
            content = self.rows.find(dict(parse_qsl(url.query)))
        except ValueError as error:
            return _message(400, str(error))
        return FakeResponse(200, json.dumps(content).encode(), headers=headers)

    def _handle_event(self, event: Any) -> FakeResponse:
        problem = self._find_problem(event)
        if problem:
            return _message(400, problem)
        self._store_event(event)
        return FakeResponse(202, b"")

    def _handle_batch(self, events: Any) -> FakeResponse:
        if not isinstance(events, list) or not 1 <= len(events) <= 5000:
            return _message(400, "body must be an array of 1 to 5000 events")
        problem = next(filter(None, map(self._find_format_problem, events)), None)
        if problem:
            return _message(400, problem)
        failed = [event for event in events if self._find_problem(event)]
        created = [event for event in events if event not in failed]
        for event in created:
            self._store_event(event)
        body = json.dumps({"events_created": created, "events_failed": failed})
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
        key = event["event_type"], event["record"]["id"]
        self.store[key] = json.dumps(event, separators=(",", ":")).encode()
        self.rows.forget()
        self.writes[key].add(self.store[key])


class Limiter:
    """Accepts a number of requests in each period of 10 seconds."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._ends = 0.0
        self._left = limit

    def take(self) -> dict[str, str]:
        """Count a request, and return the headers of its response."""
        # https://docs.hyperline.co/developers/rate-limiting
        with self._lock:
            now = time.time()
            if now >= self._ends:
                self._ends, self._left = now + READ_PERIOD_SECONDS, self.limit
            headers = (
                {} if self._left else {"Retry-After": str(int(self._ends - now) + 1)}
            )
            self._left = max(0, self._left - 1)
            reset = datetime.fromtimestamp(self._ends, UTC).isoformat()
            return headers | {
                "X-RateLimit-Limit": str(self.limit),
                "X-RateLimit-Remaining": str(self._left),
                "X-RateLimit-Reset": reset,
            }


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
        """Return the rows for *query*; raise ValueError if it is invalid."""
        event_type, take, skip = query.get("event_type"), *_read_page(query)
        if not event_type:
            raise ValueError("event_type is required")
        index = self._sort().get(event_type, [])
        start = bisect_left(index, (_to_milliseconds(query.get("timestamp_gte")), ""))
        end = bisect_left(index, (_to_milliseconds(query.get("timestamp_lte"), 1), ""))
        found = [record_id for _, record_id in index[start:end]]
        if ids := query.get("record_id__in"):
            wanted = set(ids.split(","))
            found = [record_id for record_id in found if record_id in wanted]
        if customer := query.get("customer_id"):
            found = [i for i in found if self._customer(event_type, i) == customer]
        if query.get("order") == "desc":
            found.reverse()
        page = found[skip : skip + min(take, self.max_page)]
        return {
            "meta": {"total": len(found), "taken": len(page), "skipped": skip},
            "data": [self._row(event_type, record_id) for record_id in page],
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

    def _customer(self, event_type: str, record_id: str) -> str:
        event = json.loads(self._hyperline.store[event_type, record_id])
        return str(event["customer_id"])

    def _row(self, event_type: str, record_id: str) -> dict[str, Any]:
        event = json.loads(self._hyperline.store[event_type, record_id])
        digest = hashlib.sha256(event["customer_id"].encode()).hexdigest()
        row: dict[str, Any] = event | {"record_id": record_id}
        customer = self.customers.get(record_id, f"cus_{digest[:13]}")
        return row | {"customer_id": customer}


def _read_page(query: dict[str, str]) -> tuple[int, int]:
    take, skip = int(query.get("take", "50")), int(query.get("skip", "0"))
    if not 0 <= take <= MAX_PAGE or skip < 0:
        raise ValueError("take must be from 0 to 100, and skip at least 0")
    return take, skip


def _to_milliseconds(text: str | None, more: int = 0) -> int:
    """Return the time *text* in milliseconds since 1970, plus *more*."""
    if text is None:
        return more << 60
    return round(datetime.fromisoformat(text).timestamp() * 1_000) + more


def _check_format(event: Any) -> str | None:
    """Return how *event* differs from what Hyperline documents, or None."""
    # https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
    match event:
        case {
            "customer_id": str(),
            "event_type": str(event_type),
            "timestamp": str(),
            "record": {"id": str(), **properties},
        } if event_type:
            allowed = all(map(_is_allowed, properties.values()))
            return None if allowed else "record has a value of a type not allowed"
        case _:
            return "customer_id, event_type, timestamp and record.id are required"


def _is_allowed(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str | int | float) for item in items)


def _message(status: int, message: str) -> FakeResponse:
    return FakeResponse(status, json.dumps({"message": message}).encode())


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

    def do_GET(self) -> None:
        hyperline = self.server.hyperline
        hyperline.reads.append(self.path)
        scripted = self._next_scripted()
        authorization = self.headers.get("Authorization", "")
        if scripted and scripted.ending is Ending.CLOSED:
            self.close_connection = True
        elif scripted:
            self._send(scripted)
        else:
            self._send(hyperline.read(self.path, authorization))

    def _next_scripted(self) -> FakeResponse | None:
        hyperline = self.server.hyperline
        return hyperline.scripted.popleft() if hyperline.scripted else hyperline.outage

    def do_POST(self) -> None:
        hyperline = self.server.hyperline
        scripted = self._next_scripted()
        if scripted and scripted.ending is Ending.RESET_UNREAD:
            self._reset()
            return
        request = self._read_request()
        hyperline.requests.append(request)
        scripted = scripted or hyperline.find_unprocessable(request.body)
        if scripted is None:
            self._send(hyperline.handle(request))
            return
        if scripted.stores:
            hyperline.handle(request)
        time.sleep(scripted.delay)
        if scripted.ending is Ending.RESET:
            self._reset()
        elif scripted.ending is Ending.CLOSED:
            self.close_connection = True
        else:
            self._send(scripted)

    def _read_request(self) -> Request:
        length = int(self.headers["Content-Length"])
        return Request(
            path=self.path,
            client_port=self.client_address[1],
            authorization=self.headers.get("Authorization", ""),
            body=self.rfile.read(length),
        )

    def _send(self, response: FakeResponse) -> None:
        is_incomplete = response.ending in {Ending.TRUNCATED, Ending.DRIPPED}
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body) + is_incomplete))
        if response.ending is Ending.DRIPPED:
            self._drip_header()
        else:
            self.end_headers()
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
