"""Serve the page on this machine only, to who knows its address."""

import contextlib
import json
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from segment_to_hyperline.errors import Error
from segment_to_hyperline.studio.studio import Studio

MAX_BYTES = 200 * 1024 * 1024
_LOOPBACK = "127.0.0.1"
_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
# Scripts and styles are files of this package, and nothing else is loaded.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# What a request can raise because of its content, such as a deeply nested event.
_PROBLEMS = (Error, OSError, LookupError, ValueError, TypeError, RecursionError)
# How many pages are told that a newer evaluation of theirs has begun.
_MAX_PAGES = 100


class Server(ThreadingHTTPServer):
    """Serves the page of a *studio*; raises OSError if the *port* is in use."""

    daemon_threads = True

    def __init__(self, studio: Studio, port: int = 0) -> None:
        super().__init__((_LOOPBACK, port), _Handler)
        self.studio = studio
        self.token = secrets.token_urlsafe(32)
        self._lock = Lock()
        self._latest: dict[str, int] = {}

    @property
    def url(self) -> str:
        """Return the address of the page, which only its owner knows."""
        return f"http://{_LOOPBACK}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> set[str]:
        """Return what a browser on this machine calls this server."""
        return {f"{name}:{self.server_port}" for name in (_LOOPBACK, "localhost")}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error, unless the page closed the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def start_evaluation(self, page: str, number: int) -> Callable[[], bool]:
        """Return what says whether no later evaluation of the *page* has begun."""
        with self._lock:
            self._latest[page] = max(number, self._latest.pop(page, number))
            while len(self._latest) > _MAX_PAGES:
                del self._latest[next(iter(self._latest))]
        return lambda: self._latest.get(page, number) == number


class RefusedRequest(Error):
    """Raised when a request is refused, with its status and the reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "segment-to-hyperline"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        """Respond with a file, or with what the page begins with."""
        self._respond(self._get)

    def do_POST(self) -> None:
        """Respond with the result of an action."""
        self._respond(self._post)

    def log_message(self, *_: Any) -> None:
        """Print nothing, because the address is a secret."""

    def _respond(self, create: Callable[[str], tuple[str, bytes]]) -> None:
        status = HTTPStatus.OK
        try:
            kind, body = create(self._check())
        except _PROBLEMS as error:
            is_refused = isinstance(error, RefusedRequest)
            status = error.status if is_refused else HTTPStatus.BAD_REQUEST  # type: ignore[union-attr]
            # What of the request was not read can't be the next request.
            self.close_connection = True
            kind, body = _to_json({"problem": str(error)})
        with contextlib.suppress(ConnectionError):  # the page no longer waits
            self._send(status, kind, body)

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _check(self) -> str:
        """Return the path below the token; raise `RefusedRequest` for others' requests.

        Another site can't know the token. If it did, its requests would have another
        origin, or, if its name leads to this machine, another host.
        """
        host = self.headers.get("Host", "")
        if host not in self.server.hosts:
            raise RefusedRequest(HTTPStatus.FORBIDDEN, "this is another host")
        origin = self.headers.get("Origin")
        if origin != f"http://{host}" and (origin or self.command == "POST"):
            raise RefusedRequest(HTTPStatus.FORBIDDEN, "the request is of another site")
        _, token, path = (*urlsplit(self.path).path.split("/", 2), "", "")[:3]
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise RefusedRequest(HTTPStatus.NOT_FOUND, "open the printed address")
        return path

    def _get(self, path: str) -> tuple[str, bytes]:
        if path in _STATES:
            return _to_json(_STATES[path](self.server.studio))
        file = (_STATIC / (path or "index.html")).resolve()
        if not (file.is_relative_to(_STATIC.resolve()) and file.is_file()):
            raise RefusedRequest(HTTPStatus.NOT_FOUND, "there is no such file")
        return _TYPES.get(file.suffix, "text/plain; charset=utf-8"), file.read_bytes()

    def _post(self, path: str) -> tuple[str, bytes]:
        length = int(self.headers.get("Content-Length", ""))
        if length < 0:
            # All that the connection has would be read.
            raise RefusedRequest(HTTPStatus.BAD_REQUEST, "the length is negative")
        if length > MAX_BYTES:
            raise RefusedRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the page accepts {MAX_BYTES >> 20} MiB; start the command with the"
                " name of the file",
            )
        body = self.rfile.read(length)
        studio = self.server.studio
        if path == "events":
            (name,) = parse_qs(urlsplit(self.path).query).get("name", ["pasted"])
            studio.events.read(name, body)
            return _to_json(studio.events.kept.to_json())
        if path not in _ACTIONS:
            raise RefusedRequest(HTTPStatus.NOT_FOUND, "there is no such action")
        return _to_json(_ACTIONS[path](self.server, json.loads(body)))


def _to_json(content: Any) -> tuple[str, bytes]:
    # ASCII, because an event can have a lone surrogate.
    return "application/json", json.dumps(content).encode()


def _clear(server: Server, _: Any) -> Any:
    server.studio.events.clear()
    return server.studio.events.kept.to_json()


def _evaluate(server: Server, asked: Any) -> Any:
    is_needed = server.start_evaluation(asked["page"], asked["number"])
    return server.studio.evaluate(asked["text"], is_needed)


_STATES: dict[str, Callable[[Studio], Any]] = {
    "state": lambda studio: studio.describe(),
    "events": lambda studio: studio.events.kept.to_json(),
}
_ACTIONS: dict[str, Callable[[Server, Any], Any]] = {
    "clear": _clear,
    "evaluate": _evaluate,
    "explain": lambda s, a: s.studio.explain(a["text"], a["index"]),
    "save": lambda s, a: s.studio.save(a["text"], a["version"], force=a["force"]),
    "propose": lambda s, a: s.studio.propose_test(a["text"], a["index"], a["name"]),
    "save-test": lambda s, a: s.studio.save_test(a["toml"]),
}
