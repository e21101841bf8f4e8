"""A fake S3 on a loopback port: moto, with faults on request."""

import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qs
from uuid import uuid4

import boto3
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import make_server

type Environ = dict[str, Any]
type StartResponse = Callable[[str, list[tuple[str, str]]], object]

_SCOPE = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/s3/")


class Request(NamedTuple):
    """A request that arrived."""

    operation: str
    """ListObjectsV2, GetObject, or the HTTP method."""
    target: str
    """The prefix or the path."""
    range: str
    """The header Range."""
    region: str
    """The region for which it is signed."""


class Fault(NamedTuple):
    """The response to one request, instead of moto's."""

    status: str
    code: str
    message: str = ""
    region: str = ""
    """The region of the bucket."""


class Cut(NamedTuple):
    """Moto's response to one request, of which so many bytes arrive."""

    size: int


class FakeS3:
    """A fake S3 that listens from its creation until the process ends."""

    def __init__(self) -> None:
        self.faults: defaultdict[str, deque[Fault | Cut | None]] = defaultdict(deque)
        self.requests: list[Request] = []
        self._moto = DomainDispatcherApplication(create_backend_app)
        server = make_server("127.0.0.1", 0, self._handle, threaded=True)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._client: Any = boto3.client("s3", endpoint_url=self.url)

    def create_bucket(self) -> str:
        """Return the name of a new bucket."""
        name = f"bucket-{uuid4()}"
        self._client.create_bucket(Bucket=name)
        return name

    def put(self, bucket: str, *keys: str, body: bytes = b"{}", **options: str) -> None:
        """Store objects."""
        for key in keys:
            self._client.put_object(Bucket=bucket, Key=key, Body=body, **options)

    def read(self, bucket: str, key: str) -> bytes:
        """Return the content of an object."""
        content: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def list_keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys that begin with *prefix*."""
        page = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [listed["Key"] for listed in page.get("Contents", ())]

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""
        self._client.delete_object(Bucket=bucket, Key=key)

    def fail(self, operation: str, *faults: Fault | Cut | None) -> None:
        """Respond to the next requests of *operation* with *faults*, one each.

        None is moto's response.
        """
        self.faults[operation].extend(faults)

    def find(self, operation: str) -> list[Request]:
        """Return the requests of *operation*."""
        return [r for r in self.requests if r.operation == operation]

    def _handle(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        request = _read_request(environ)
        self.requests.append(request)
        faults = self.faults[request.operation]
        fault = faults.popleft() if faults else None
        if isinstance(fault, Fault):
            headers = [("x-amz-bucket-region", fault.region)] if fault.region else []
            start_response(fault.status, [("Content-Type", "text/xml"), *headers])
            return [_write_error(fault)]
        response: Iterable[bytes] = self._moto(environ, start_response)
        # The server closes the connection after each response.
        return [b"".join(response)[: fault.size]] if fault else response


def _read_request(environ: Environ) -> Request:
    query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    operation, target = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if "list-type" in query:
        operation, target = "ListObjectsV2", query["prefix"][0]
    elif operation == "GET":
        operation = "GetObject"
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    region = scope[1] if scope else ""
    return Request(operation, target, environ.get("HTTP_RANGE", ""), region)


def _write_error(fault: Fault) -> bytes:
    region = f"<Region>{fault.region}</Region>" if fault.region else ""
    return (
        f"<Error><Code>{fault.code}</Code><Message>{fault.message}</Message>{region}"
        "</Error>"
    ).encode()
