"""What it means that a request to Hyperline failed, and whether it is retried.

No message has the key, the body of a response, or the text of an exception, which can
contain them.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from math import inf
from typing import NamedTuple

import requests
from urllib3.exceptions import NameResolutionError, NewConnectionError

from segment_to_hyperline.errors import Error


class AccessError(Error):
    """Raised if the key or the host can't be used; the message says what to do."""


class Forbidden(AccessError):
    """Raised if the API key has no permission for a request."""


class InvalidKey(AccessError):
    """Raised if Hyperline rejects the API key."""


class Rejected(AccessError):
    """Raised if Hyperline rejects an event."""


class HyperlineUnavailable(Error):
    """Raised if Hyperline can't be read for several minutes."""


class Failure(NamedTuple):
    """Why a request failed."""

    reason: str
    """What happened, for people."""
    remedy: str = ""
    """What to do about it, if waiting doesn't help."""
    most: float = inf
    """After how many such failures in a row a retry can't help."""
    most_at_first: float = inf
    """The same, if no such request has succeeded yet."""
    retry_after: float | None = None
    """For how many seconds Hyperline asked to wait."""
    error: type[AccessError] = AccessError
    """What is raised if a retry can't help."""

    def describe(self) -> str:
        """Return the reason and the remedy."""
        return f"{self.reason}: {self.remedy}" if self.remedy else self.reason


_CHECK_HOST = "check the host, and that this machine can reach it"
_CHECK_PROXY = "check HTTPS_PROXY and NO_PROXY"
_NOT_HYPERLINE = "check that the host is Hyperline's, and whether a proxy is in between"
_LOST = Failure("the connection was lost")
_TIMEOUT = Failure("no response in time")
_NO_HOST = Failure("the host name is unknown", _CHECK_HOST, most_at_first=1)
_REFUSED = Failure("the connection is refused", _CHECK_HOST, most_at_first=1)
_UNREACHABLE = Failure(
    "the host can't be reached",
    f"{_CHECK_HOST}; some networks need HTTPS_PROXY",
    most_at_first=1,
)
_PROXY = Failure("the proxy can't be used", _CHECK_PROXY, most_at_first=1)
_TLS = Failure(
    "no encrypted connection is possible",
    f"{_CHECK_HOST}, and the files of REQUESTS_CA_BUNDLE and SSL_CERT_FILE",
    most_at_first=1,
)
_CA_FILE = Failure(
    "the file with certificates can't be read",
    "check REQUESTS_CA_BUNDLE and SSL_CERT_FILE",
    most=1,
)
_CA_REMEDY = (
    "if your network has its own certificates, set REQUESTS_CA_BUNDLE to their file"
)
# By OpenSSL's codes. https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_CERTIFICATE_REMEDIES = {
    **dict.fromkeys((9, 10), "check the clock of this machine, and the host"),
    **dict.fromkeys((62, 64), "check the host, and whether a proxy is in between"),
}

# https://docs.hyperline.co/developers/error-handling
_STATUSES: Mapping[int, Failure] = {
    400: Failure("Hyperline rejected the query (400)", "please report a bug", most=1),
    401: Failure(
        "Hyperline rejected the API key (401)",
        "use a valid key, of the environment that the host belongs to",
        most=1,
        error=InvalidKey,
    ),
    403: Failure(
        "the API key has no permission (403)",
        "add the scope to the key in Hyperline's settings",
        most=1,
        error=Forbidden,
    ),
    404: Failure("the path doesn't exist (404)", _NOT_HYPERLINE, most_at_first=1),
}
# What a status says about an event that was posted; waiting doesn't help.
_REJECTED_STATUSES = frozenset((400, 409, 413, 422))
# A gateway can return something else once; if it does so at first, it is another host.
NOT_DOCUMENTED = Failure(
    "the response isn't as documented", _NOT_HYPERLINE, most_at_first=3
)
# Hyperline ignores parameters that it doesn't know.
# https://github.com/estuary/connectors/tree/main/source-hyperline/bruno
NOT_FILTERED = Failure(
    "Hyperline returned other rows than those that were asked for",
    "please report a bug",
    most=3,
)
_HTML = Failure("the response is a web page", _NOT_HYPERLINE, most_at_first=1)


def explain_error(error: Exception) -> Failure:
    """Return why a request had no response."""
    causes = list(_list_causes(error))
    for kind, explanation in _ERRORS.items():
        if isinstance(error, kind):
            if isinstance(explanation, Failure):
                return explanation
            return explanation(causes)
    return _NO_HOST


def _explain_proxy(causes: Sequence[BaseException]) -> Failure:
    for cause in causes:
        # http.client has the status of the proxy's response in the text only.
        words = str(cause).split()
        if type(cause) is OSError and words[:3] == ["Tunnel", "connection", "failed:"]:
            remedy = f"{_CHECK_PROXY}, or let the proxy allow the host"
            if words[3] == "407":
                remedy = "add your user name and password to HTTPS_PROXY"
            reason = f"the proxy rejected the connection ({words[3]})"
            return Failure(reason, remedy, most_at_first=1)
    return _PROXY


def _explain_tls(causes: Sequence[BaseException]) -> Failure:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            remedy = _CERTIFICATE_REMEDIES.get(cause.verify_code, _CA_REMEDY)
            reason = f"the certificate isn't valid ({cause.verify_message})"
            return Failure(reason, remedy, most_at_first=1)
        if isinstance(cause, ssl.SSLEOFError | ConnectionError):
            return _LOST
    return _TLS


def _explain_connection(causes: Sequence[BaseException]) -> Failure:
    for cause in causes:
        if isinstance(cause, NameResolutionError | socket.gaierror):
            return _NO_HOST
        if isinstance(cause, ConnectionRefusedError):
            return _REFUSED
    is_new = any(isinstance(cause, NewConnectionError) for cause in causes)
    return _UNREACHABLE if is_new else _LOST


# The first type counts.
_ERRORS: Mapping[
    type[Exception], Failure | Callable[[Sequence[BaseException]], Failure]
] = {
    requests.exceptions.ProxyError: _explain_proxy,
    requests.exceptions.SSLError: _explain_tls,
    requests.ConnectTimeout: _UNREACHABLE,
    requests.Timeout: _TIMEOUT,
    # The host was checked before, so these are about the proxy.
    requests.exceptions.InvalidURL: _PROXY,
    requests.exceptions.InvalidSchema: _PROXY,
    requests.exceptions.ContentDecodingError: NOT_DOCUMENTED,
    requests.RequestException: _explain_connection,
    OSError: _CA_FILE,
    # urllib3 raises it for a proxy without a host.
    TypeError: _PROXY,
}


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error*, and what libraries have wrapped into it."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in seen:
            yield cause
            seen.append(cause)
            reason = getattr(cause, "reason", None)
            waiting += [*cause.args, reason, cause.__cause__, cause.__context__]


def explain_response(
    response: requests.Response, method: str, permission: str
) -> Failure | None:
    """Return what is wrong with the *response* to a request, or None.

    *permission* says what the key must be allowed to do.
    """
    status = response.status_code
    # A firewall's page can have the status 403, which says nothing about the key.
    if status < 500 and status != 429 and is_web_page(response):
        return _HTML._replace(reason=f"{_HTML.reason} ({status})")
    if method == "POST" and status in _REJECTED_STATUSES:
        reason = f"Hyperline rejected the event ({status})"
        return Failure(reason, most=1, error=Rejected)
    if failure := _STATUSES.get(status):
        is_forbidden = failure.error is Forbidden
        reason = f"{failure.reason} to {permission}" if is_forbidden else failure.reason
        return failure._replace(reason=reason)
    if status == 429 or status >= 500:
        name = "Hyperline's rate limit is reached" if status == 429 else "server error"
        return Failure(f"{name} ({status})", retry_after=read_wait(response.headers))
    if not 200 <= status < 300:
        reason = f"the response has the status {status}"
        return Failure(reason, _NOT_HYPERLINE, most_at_first=1)
    return None


def is_web_page(response: requests.Response) -> bool:
    """Return whether a response is a proxy's or a firewall's, and not Hyperline's."""
    kind = response.headers.get("Content-Type", "").lower()
    return "html" in kind or response.content[:100].lstrip().startswith(b"<")


def read_wait(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds Hyperline asks to wait, or None; it can be negative.

    https://docs.hyperline.co/developers/rate-limiting
    """
    with suppress(KeyError, ValueError):
        return float(int(headers["Retry-After"]))
    with suppress(KeyError, ValueError, OverflowError):
        reset = datetime.fromisoformat(headers["X-RateLimit-Reset"])
        return reset.timestamp() - time.time()
    return None
