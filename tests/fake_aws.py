"""A fake Secrets Manager and SQS on a loopback port: moto, with faults on request."""

import io
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import make_server

type Environ = dict[str, Any]
type StartResponse = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True)
class Fault:
    """The response to one request, sent after *delay* seconds and instead of moto's."""

    status: str = "500 Internal Server Error"
    body: bytes = b'{"__type":"InternalServiceError"}'
    delay: float = 0


class FakeAws:
    """A fake AWS that listens from its creation until the process ends.

    *requests* has the operation of each request that arrived, such as "GetSecretValue".
    *bodies* has the body of the last request of an operation that got a `Fault`. With
    *tls*, it is reached by HTTPS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self.requests: list[str] = []
        self.bodies: dict[str, bytes] = {}
        self._moto = DomainDispatcherApplication(create_backend_app)
        server = make_server(
            "127.0.0.1", 0, self._handle, threaded=True, ssl_context=tls
        )
        self.url = f"http{'s' * (tls is not None)}://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def fail(self, operation: str, *faults: Fault) -> None:
        """Respond to the next requests of *operation* with *faults*, one each."""
        self.faults[operation].extend(faults)

    def _handle(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        if environ["PATH_INFO"].endswith("/invocations"):
            operation = "Invoke"
        elif (
            environ["REQUEST_METHOD"] == "GET" and "/functions/" in environ["PATH_INFO"]
        ):
            operation = "GetFunction"
        if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form"):
            operation = _read_action(environ)
        self.requests.append(operation)
        if not self.faults[operation]:
            response: Iterable[bytes] = self._moto(environ, start_response)
            return response
        fault = self.faults[operation].popleft()
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.bodies[operation] = body
        time.sleep(fault.delay)
        start_response(fault.status, [("Content-Type", "application/x-amz-json-1.1")])
        return [fault.body]


def _read_action(environ: Environ) -> str:
    """Return the operation of a request to CloudFormation, whose body is a form."""
    body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    environ["wsgi.input"] = io.BytesIO(body)
    return parse_qs(body.decode())["Action"][0]
