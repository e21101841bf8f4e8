"""A proxy in front of a local AWS that denies an operation, or breaks its response."""

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

import requests

from tests.aws_requests import AwsRequest, read_request


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

    The operation "*" is every one. *operations* has those that arrived, and *arrived*
    the permissions that they need.
    """

    def __init__(self, endpoint: str) -> None:
        self.faults: dict[str, Fault] = {}
        # What is replaced in responses.
        self.replaced: dict[str, str] = {}
        # The next responses to an operation, one each.
        self.queues: dict[str, list[Fault]] = {}
        self.operations: set[str] = set()
        self.arrived: set[AwsRequest] = set()
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
    ) -> tuple[int, dict[str, str], bytes]:
        """Return the status, the headers and the body of the response."""
        request = read_request(method, path, headers, body)
        operation = request.operation
        self.operations.add(operation)
        self.arrived.add(request)
        queue = self.queues.get(operation)
        fault = queue.pop(0) if queue else self.faults.get(operation)
        fault = fault or self.faults.get("*")
        if fault is None:
            return self._forward(method, path, headers, body)
        if fault.page:
            return fault.status, {"Content-Type": "text/html"}, fault.page.encode()
        if "x-www-form" in headers.get("Content-Type", ""):
            error = f"<Error><Code>{fault.code}</Code></Error>"
            text = f"<ErrorResponse>{error}</ErrorResponse>"
            return fault.status, {"Content-Type": "text/xml"}, text.encode()
        text = f'{{"__type":"{fault.code}","message":"no"}}'
        kind = "application/x-amz-json-1.1"
        return fault.status, {"Content-Type": kind}, text.encode()

    def _forward(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        response = requests.request(
            method,
            self._endpoint + path,
            headers=_keep(headers),
            data=body,
            stream=True,  # so that it stays compressed
            timeout=30,
        )
        content = response.raw.read()
        for old, new in self.replaced.items():
            content = content.replace(old.encode(), new.encode())
        return response.status_code, _keep(response.headers), content

    def _create_handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length)
                headers = dict(self.headers.items())
                status, kept, content = answer(self.command, self.path, headers, body)
                self.send_response_only(status)
                for name, value in kept.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            # As the library names them.
            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Write no log."""

        return Handler


def _keep(headers: Mapping[str, str]) -> dict[str, str]:
    """Return *headers* without those that are about the connection."""
    connection = {"content-length", "connection", "transfer-encoding", "keep-alive"}
    return {k: v for k, v in headers.items() if k.lower() not in connection}
