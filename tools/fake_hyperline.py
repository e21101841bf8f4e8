"""A stand-in for Hyperline's ingest API on a loopback port, for tests and the demo.

It keeps events as Hyperline does, one for each event_type and record.id, and can be
told what to answer to the next requests.
"""

import json
import os
import socket
import struct
import sys
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

KEY = "test_local_example_key"
DRIP_SECONDS = 0.05


class Manner(Enum):
    """How an answer is given."""

    WHOLE = auto()
    DRIPPED = auto()  # a byte at a time, and without an end
    TORN = auto()  # ends before the length that was announced
    DROPPED = auto()  # the connection is closed instead
    RESET = auto()  # the connection is reset instead
    RESET_UNREAD = auto()  # the connection is reset before the request is read


@dataclass(frozen=True)
class Answer:
    """What to answer to one request, in the place of what Hyperline would."""

    status: int = 503
    body: bytes = b'{"message":"as told"}'
    delay: float = 0
    headers: dict[str, str] = field(default_factory=dict)
    manner: Manner = Manner.WHOLE
    stores: bool = False  # the events are taken all the same


@dataclass(frozen=True)
class Request:
    """A request as it arrived: its path, the client's port, and what it carried."""

    path: str
    client_port: int
    authorization: str
    body: bytes


class FakeHyperline:
    """An ingest API that listens from its creation until `close`."""

    def __init__(self, host: str = "127.0.0.1", key: str = KEY) -> None:
        self.key = key
        self.store: dict[tuple[str, str], bytes] = {}
        self.writes: dict[tuple[str, str], set[bytes]] = defaultdict(set)
        # Customers whose events fail: in a batch alone, or with the whole batch.
        self.refuses: set[str] = set()
        self.poison: set[str] = set()
        self.requests: list[Request] = []
        self.script: deque[Answer] = deque()
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

    def answers(self, *answers: Answer | int) -> None:
        """Give these answers, or statuses, to the next requests, one each."""
        self.script.extend(Answer(a) if isinstance(a, int) else a for a in answers)

    def reply(self, request: Request) -> Answer:
        """Return what Hyperline would answer, having stored what it would store."""
        if request.authorization != f"Bearer {self.key}":
            return _message(401, "Missing authentication token")
        try:
            content = json.loads(request.body)
        except ValueError:
            return _message(400, "Malformed JSON")
        if request.path == "/v1/events":
            return self._take_one(content)
        if request.path == "/v1/events/batch":
            return self._take_batch(content)
        return _message(404, "Not found")

    def _take_one(self, event: Any) -> Answer:
        fault = self._fault(event)
        if fault:
            return _message(400, fault)
        self._keep(event)
        return Answer(202, b"")

    def _take_batch(self, events: Any) -> Answer:
        if not isinstance(events, list) or not 1 <= len(events) <= 5000:
            return _message(400, "body must be an array of 1 to 5000 events")
        unreadable = next(filter(None, map(self._unreadable, events)), None)
        if unreadable:
            return _message(400, unreadable)
        failed = [event for event in events if self._fault(event)]
        created = [event for event in events if event not in failed]
        for event in created:
            self._keep(event)
        body = json.dumps({"events_created": created, "events_failed": failed})
        return Answer(201, body.encode())

    def _fault(self, event: Any) -> str | None:
        unreadable = self._unreadable(event)
        if not unreadable and event["customer_id"] in self.refuses:
            return f"customer {event['customer_id']} does not exist"
        return unreadable

    def _unreadable(self, event: Any) -> str | None:
        malformed = _malformed(event)
        if not malformed and event["customer_id"] in self.poison:
            return f"the event of {event['customer_id']} can't be read"
        return malformed

    def _keep(self, event: dict[str, Any]) -> None:
        key = event["event_type"], event["record"]["id"]
        self.store[key] = json.dumps(event, separators=(",", ":")).encode()
        self.writes[key].add(self.store[key])


def _malformed(event: Any) -> str | None:
    """Return what Hyperline's documentation has against *event*, if anything."""
    match event:
        case {
            "customer_id": str(),
            "event_type": str(event_type),
            "timestamp": str(),
            "record": {"id": str(), **properties},
        } if event_type:
            allowed = all(map(_is_allowed, properties.values()))
            return None if allowed else "record holds a value of a type not allowed"
        case _:
            return "customer_id, event_type, timestamp and record.id are required"


def _is_allowed(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, str | int | float) for item in items)


def _message(status: int, message: str) -> Answer:
    return Answer(status, json.dumps({"message": message}).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hyperline: FakeHyperline, host: str) -> None:
        self.hyperline = hyperline
        super().__init__((host, 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that does not wait for its answer is what some tests are about.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        hyperline = self.server.hyperline
        events = map(json.loads, hyperline.store.values())
        self._answer(Answer(200, json.dumps(list(events), indent=2).encode()))

    def do_POST(self) -> None:
        hyperline = self.server.hyperline
        told = hyperline.script.popleft() if hyperline.script else None
        if told and told.manner is Manner.RESET_UNREAD:
            self._reset()
            return
        length = int(self.headers["Content-Length"])
        request = Request(
            self.path,
            self.client_address[1],
            self.headers.get("Authorization", ""),
            self.rfile.read(length),
        )
        hyperline.requests.append(request)
        if told is None:
            self._answer(hyperline.reply(request))
            return
        if told.stores:
            hyperline.reply(request)
        time.sleep(told.delay)
        if told.manner is Manner.RESET:
            self._reset()
        elif told.manner is Manner.DROPPED:
            self.close_connection = True
        else:
            self._answer(told)

    def _answer(self, answer: Answer) -> None:
        torn = answer.manner is Manner.TORN
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) + torn))
        if answer.manner is Manner.DRIPPED:
            self._drip()
            return
        self.end_headers()
        self.wfile.write(answer.body)
        if torn:
            self.close_connection = True

    def _drip(self) -> None:
        # A header that does not end: the connection is never idle and never done.
        self.flush_headers()
        self.wfile.write(b"X-Drip: ")
        with suppress(OSError):
            while not self.server.hyperline.closed:
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(DRIP_SECONDS)
        self.close_connection = True

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        os.close(self.connection.detach())
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Stay quiet; who wants to know looks at `requests`."""
