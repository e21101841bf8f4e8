"""A proxy in front of a local AWS that denies an operation, or breaks its response."""

import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs

import requests

# Operations of Lambda, which only the path and the method name.
_LAMBDA = {
    r"/2015-03-31/functions/[^/]+": "GetFunction",
    r"/2015-03-31/event-source-mappings/[^/]+": "GetEventSourceMapping",
    r"/2016-08-19/account-settings/?": "GetAccountSettings",
    r"/2019-09-30/functions/[^/]+/concurrency": "GetFunctionConcurrency",
}


class Fault(NamedTuple):
    """A response instead of AWS's."""

    status: int
    code: str
    """AWS's code for the error."""
    page: str = ""
    """Another body, such as a proxy's page."""


DENIED = Fault(403, "AccessDenied")
EXPIRED = Fault(403, "ExpiredTokenException")
PAGE = Fault(200, "", "<html>Please sign in</html>")


class AwsProxy:
    """A proxy on a loopback port, with the `Fault` of each operation in *faults*.

    The operation "*" is every one. *operations* has those that arrived.
    """

    def __init__(self, endpoint: str) -> None:
        self.faults: dict[str, Fault] = {}
        # What is replaced in responses.
        self.replaced: dict[str, str] = {}
        # The next responses to an operation, one each.
        self.queues: dict[str, list[Fault]] = {}
        self.operations: set[str] = set()
        self._endpoint = endpoint
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._create_handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        ).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, bytes]:
        """Return the status, the type and the body of the response."""
        operation = _find_operation(path, headers, body)
        self.operations.add(operation)
        queue = self.queues.get(operation)
        fault = queue.pop(0) if queue else self.faults.get(operation)
        fault = fault or self.faults.get("*")
        if fault is None:
            sent = {k: v for k, v in headers.items() if k.lower() != "content-length"}
            response = requests.request(
                method, self._endpoint + path, headers=sent, data=body, timeout=30
            )
            kind = response.headers.get("Content-Type", "")
            content = response.content
            for old, new in self.replaced.items():
                content = content.replace(old.encode(), new.encode())
            return response.status_code, kind, content
        if fault.page:
            return fault.status, "text/html", fault.page.encode()
        if "x-www-form" in headers.get("Content-Type", ""):
            error = f"<Error><Code>{fault.code}</Code></Error>"
            text = f"<ErrorResponse>{error}</ErrorResponse>"
            return fault.status, "text/xml", text.encode()
        text = f'{{"__type":"{fault.code}","message":"no"}}'
        return fault.status, "application/x-amz-json-1.1", text.encode()

    def _create_handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length)
                headers = dict(self.headers.items())
                status, kind, content = answer(self.command, self.path, headers, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _handle  # noqa: N815 - as the library names them

            def log_message(self, *_: Any) -> None:
                """Write no log."""

        return Handler


def _find_operation(path: str, headers: Mapping[str, str], body: bytes) -> str:
    lowered = {name.lower(): value for name, value in headers.items()}
    if target := lowered.get("x-amz-target"):
        return target.rpartition(".")[2]
    if "/operation/" in path:
        return path.rpartition("/")[2]
    if "x-www-form" in lowered.get("content-type", ""):
        return parse_qs(body.decode())["Action"][0]
    bare = path.partition("?")[0]
    matches = (name for pattern, name in _LAMBDA.items() if re.fullmatch(pattern, bare))
    return next(matches, "")
