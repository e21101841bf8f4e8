"""Post to Hyperline over connections that are kept open."""

import ssl
from functools import lru_cache, partial
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.utils import default_headers
from urllib3 import HTTPConnectionPool

from segment_to_hyperline import USER_AGENT
from segment_to_hyperline.deadline import Deadline

# Connections that are kept open; one invocation uses one at a time.
_POOL_SIZE = 10
# Reading the certificates takes long. Here it happens during Lambda's init phase, which
# has a full CPU.
_TLS = ssl.create_default_context(cafile=certifi.where())
# A kept-alive connection can break while Lambda freezes the function between requests.
_BROKEN_CONNECTION = (
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
)
# http.client returns a response before the final one, such as 103, as if it were final.
# https://www.rfc-editor.org/rfc/rfc9110#name-informational-1xx
_FIRST_FINAL_STATUS = 200


class _Adapter(HTTPAdapter):
    """Verifies every server with `_TLS`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_TLS, **kwargs)

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: requests would read the certificates for each connection."""

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_: Any, **__: Any
    ) -> HTTPConnectionPool:
        """Return the connections to the host of *request*, without a proxy."""
        return _find_connections(request.url)


# Used without a `requests.Session`, which takes as long as the rest of a post. By
# default, a session also follows redirects, stores cookies, sends the API key to a
# proxy of the environment, and replaces it with a password from .netrc.
_adapter = _Adapter(pool_maxsize=_POOL_SIZE, max_retries=0)


@lru_cache
def _find_connections(url: str) -> HTTPConnectionPool:
    """Return the connections to the host of *url*; requests parses it for each post."""
    pool: HTTPConnectionPool = _adapter.poolmanager.connection_from_url(url)
    return pool


def post(url: str, body: bytes, api_key: str, deadline: Deadline) -> requests.Response:
    """Post *body*, and retry once immediately after a broken connection.

    Redirects are not followed. Raises `requests.RequestException`, `DeadlineExceeded`,
    or ValueError for an invalid URL.
    """
    # A copy, because a late post may still be reading its own in a thread.
    request = _prepare(url, api_key).copy()
    request.prepare_body(body, None)
    try:
        return _run(request, deadline)
    except _BROKEN_CONNECTION:
        return _run(request, deadline)


@lru_cache
def _prepare(url: str, api_key: str) -> requests.PreparedRequest:
    """Return a request without a body; preparing one takes longer than copying it."""
    headers = default_headers()
    headers["User-Agent"] = USER_AGENT
    headers["Authorization"] = f"Bearer {api_key}"
    headers["Content-Type"] = "application/json"
    return requests.Request("POST", url, headers).prepare()


def _run(request: requests.PreparedRequest, deadline: Deadline) -> requests.Response:
    # The timeout ends the thread; the deadline ends the waiting for it.
    seconds = max(deadline.left(), 0.001)
    return deadline.run(partial(_send, request, seconds))


def _send(request: requests.PreparedRequest, seconds: float) -> requests.Response:
    response = _adapter.send(request, timeout=seconds)
    if response.status_code < _FIRST_FINAL_STATUS:
        # The final response, if it follows, must not become that of the next post.
        response.close()
    _ = response.content  # read here, where the deadline applies
    return response
