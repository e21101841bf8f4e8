"""Post to Hyperline over connections that are kept open."""

import ssl
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter

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


class _Adapter(HTTPAdapter):
    """Verifies every server with `_TLS`."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=_TLS, **kwargs)

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: requests would read the certificates for each connection."""


class _Session(requests.Session):
    """Ignores redirects; requests would parse the Location, which can be invalid."""

    def get_redirect_target(self, _response: requests.Response) -> str | None:
        return None


def create_session() -> requests.Session:
    """Return a session that sends the API key to the requested host only."""
    session = _Session()
    # A proxy or a .netrc in the environment must neither receive nor replace the key.
    session.trust_env = False
    session.headers["User-Agent"] = USER_AGENT
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = _Adapter(pool_maxsize=_POOL_SIZE, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


_session = create_session()


def post(url: str, body: bytes, api_key: str, deadline: Deadline) -> requests.Response:
    """Post *body*, and retry once immediately after a broken connection.

    Redirects are not followed. Raises `requests.RequestException`, `DeadlineExceeded`,
    or ValueError for an invalid URL or Location header.
    """
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    send = partial(_session.post, url, body, headers=headers, allow_redirects=False)
    try:
        return _run(send, deadline)
    except _BROKEN_CONNECTION:
        return _run(send, deadline)


def _run(send: "partial[requests.Response]", deadline: Deadline) -> requests.Response:
    # The timeout ends the thread; the deadline ends the waiting for it.
    seconds = max(deadline.left(), 0.001)
    return deadline.run(partial(send, timeout=seconds))
