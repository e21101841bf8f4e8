"""What the fakes of Hyperline's APIs have in common: the server, and scripted faults.

A fake listens on a loopback port, counts requests against the rate limit, and records
them. A test can set the responses to the next requests.
"""

import json
import os
import socket
import struct
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

KEY = "test_local_example_key"
RATE_PERIOD_SECONDS = 10
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
    headers: dict[str, str] = field(default_factory=dict)


class FakeApi:
    """An API that listens from its creation until `close`, by default on a free port.

    It accepts *rate_limit* requests in 10 seconds; those with a response that a test
    has set don't count.
    """

    def __init__(self, host: str, key: str, rate_limit: int, port: int = 0) -> None:
        self.key = key
        self.limiter = Limiter(rate_limit)
        # The paths of the GET requests that arrived, and all other requests.
        self.reads: list[str] = []
        self.requests: list[Request] = []
        self.scripted: deque[FakeResponse] = deque()
        # The response to every request for which none is scripted, during an outage.
        self.outage: FakeResponse | None = None
        self.closed = False
        self._server = _Server(self, host, port)
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

    def handle(self, request: Request) -> FakeResponse:
        """Process *request* within the rate limit, and return the response."""
        headers = self.limiter.take()
        response = _TOO_MANY if "Retry-After" in headers else self.process(request)
        return replace(response, headers=response.headers | headers)

    def process(self, request: Request) -> FakeResponse:
        """Do the same without a rate limit."""
        if request.authorization != f"Bearer {self.key}":
            return create_message(401, "Missing authentication token")
        return self.route(request)

    def route(self, request: Request) -> FakeResponse:
        """Return the response to a *request* with a valid key."""
        raise NotImplementedError

    def find_failure(self, _request: Request) -> FakeResponse | None:
        """Return the response to a request that can't be processed, or None."""
        return None


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
                "X-RateLimit-Reset": format_time(self._ends),
            }
            if self._taken > self.limit:
                headers["Retry-After"] = str(int(self._ends - now) + 1)
            return headers


def format_time(seconds: float) -> str:
    """Return a Unix timestamp in ISO 8601, in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def create_message(status: int, message: str) -> FakeResponse:
    """Return a response with an error message."""
    # https://docs.hyperline.co/developers/error-handling
    return FakeResponse(status, json.dumps({"message": message}).encode())


def create_validation_error(
    message: str, errors: dict[str, list[str]] | None = None
) -> FakeResponse:
    """Return the response to an invalid request, as live responses have it.

    https://github.com/estuary/connectors/tree/main/source-hyperline/bruno
    """
    content = {"statusCode": 400, "type": "ValidationError", "message": message}
    body = json.dumps(content | {"errors": errors or {}})
    return FakeResponse(400, body.encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: FakeApi, host: str, port: int) -> None:
        self.api = api
        super().__init__((host, port), _Handler)

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
        api = self.server.api
        scripted = api.scripted.popleft() if api.scripted else api.outage
        if scripted and scripted.ending is Ending.RESET_UNREAD:
            self._reset()
            return
        request = self._read_request()
        if request.method == "GET":
            api.reads.append(request.path)
        else:
            api.requests.append(request)
        failure = api.find_failure(request)
        # What can't be processed isn't stored, so the response must not say that it is.
        response = failure if scripted is None or scripted.stores else None
        response = response or scripted
        if response is None:
            self._send(api.handle(request))
            return
        if response.stores and not failure:
            api.process(request)
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
            headers=dict(self.headers),
        )

    def _send(self, response: FakeResponse) -> None:
        is_incomplete = response.ending in {Ending.TRUNCATED, Ending.DRIPPED}
        self.send_response_only(response.status)
        headers = {"Date": self.date_time_string()}
        if response.body:
            headers["Content-Type"] = "application/json"
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
            while not self.server.api.closed and time.monotonic() < end:
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(_DRIP_INTERVAL_SECONDS)

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        os.close(self.connection.detach())
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Write no log; `FakeApi.requests` has the requests."""
