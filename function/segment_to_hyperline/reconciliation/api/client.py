"""Send requests to one of Hyperline's APIs, and survive outages of several minutes."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter

from segment_to_hyperline import USER_AGENT
from segment_to_hyperline.reconciliation.api.failures import (
    NOT_DOCUMENTED,
    AccessError,
    Failure,
    HyperlineUnavailable,
    explain_error,
    explain_response,
)
from segment_to_hyperline.reconciliation.api.pace import Pace

# How many requests can be in flight.
MAX_CONNECTIONS = 24
_MIN_WAIT_SECONDS = 1.0
_MAX_WAIT_SECONDS = 30.0
# Hyperline's periods have 10 seconds, so it doesn't ask for more.
_MAX_RETRY_AFTER_SECONDS = 60.0


class Patience(NamedTuple):
    """For how many seconds something is waited for."""

    success: float = 5 * 60
    """A success: as long, failed requests are retried."""
    connection: float = 10
    response: float = 30


PATIENCE = Patience()


class Endpoint(NamedTuple):
    """What is requested."""

    method: str
    path: str
    permission: str
    """What the API key must be allowed to do, such as "read customers"."""


def ignore_wait(_reason: str, _seconds: float) -> None:
    """Show nothing while a request waits to be retried."""


class Client:
    """Sends requests with an API key; several threads can use it.

    *url* is the host. *report_wait* is called with the reason and the seconds before
    each retry. Raises `AccessError` if the key can't be sent.
    """

    def __init__(
        self,
        url: str,
        key: str,
        pace: Pace,
        report_wait: Callable[[str, float], None] = ignore_wait,
        patience: Patience = PATIENCE,
    ) -> None:
        self.url = url
        # How many requests were sent.
        self.requests = 0
        # The clock of this machine minus Hyperline's, in seconds, if it is known.
        self.clock_difference: float | None = None
        self._session = create_key_session(url, key)
        self._pace = pace
        self._report_wait = report_wait
        self._patience = patience
        self._lock = threading.Lock()
        self._succeeded: set[Endpoint] = set()
        self._failing_since: float | None = None

    def get[Content](
        self,
        endpoint: Endpoint,
        query: Mapping[str, str],
        parse: Callable[[Any], Content | Failure],
    ) -> Content:
        """Return what *parse* makes of the JSON, if that is not a failure.

        Raises `AccessError` or `HyperlineUnavailable`.
        """
        return self._send(endpoint, {"params": query}, partial(_parse_json, parse))

    def post(self, endpoint: Endpoint, event: bytes) -> None:
        """Post an *event*. Raises the same, and `Rejected`."""
        options = {"data": event, "headers": {"Content-Type": "application/json"}}
        self._send(endpoint, options, _check_accepted)

    def send(self, endpoint: Endpoint, content: Any) -> None:
        """Send *content* as JSON; an empty response, or one with JSON, confirms it.

        Raises the same as `get`.
        """
        self._send(endpoint, {"json": content}, _check_confirmed)

    def _send[Content](
        self,
        endpoint: Endpoint,
        options: Mapping[str, Any],
        parse: Callable[[bytes], Content | Failure],
    ) -> Content:
        failures = Counter[str]()
        while True:
            self._pace.wait()
            content = self._try(endpoint, options, parse)
            if not isinstance(content, Failure):
                self._record_success(endpoint)
                return content
            failures[content.reason] += 1
            elapsed = self._give_up_or_continue(
                endpoint, content, failures[content.reason]
            )
            seconds = _find_wait(content, elapsed)
            self._report_wait(content.reason, seconds)
            self._pace.pause(seconds)

    def _try[Content](
        self,
        endpoint: Endpoint,
        options: Mapping[str, Any],
        parse: Callable[[bytes], Content | Failure],
    ) -> Content | Failure:
        """Send one request; return its content, or why there is none."""
        with self._lock:
            self.requests += 1
        try:
            response = self._session.request(
                endpoint.method,
                self.url + endpoint.path,
                timeout=(self._patience.connection, self._patience.response),
                # Another host must not receive the key.
                allow_redirects=False,
                **options,
            )
        except (OSError, ValueError, TypeError) as error:
            return explain_error(error)
        with suppress(KeyError, ValueError):
            date = parsedate_to_datetime(response.headers["Date"])
            self.clock_difference = time.time() - date.timestamp()
        if failure := explain_response(response, endpoint.method, endpoint.permission):
            return failure
        self._pace.adapt(response.headers)
        return parse(response.content)

    def _record_success(self, endpoint: Endpoint) -> None:
        with self._lock:
            self._succeeded.add(endpoint)
            self._failing_since = None

    def _give_up_or_continue(
        self, endpoint: Endpoint, failure: Failure, number: int
    ) -> float:
        """Return for how many seconds requests have failed, if a retry can help.

        *number* is how often this request failed for this reason.
        """
        problem = f"{self.url}{endpoint.path}: {failure.describe()}"
        with self._lock:
            is_first = endpoint not in self._succeeded
            now = time.monotonic()
            if self._failing_since is None:
                self._failing_since = now
            elapsed = now - self._failing_since
        most = min(failure.most, failure.most_at_first) if is_first else failure.most
        if number >= most:
            raise failure.error(problem)
        if elapsed > self._patience.success:
            raise HyperlineUnavailable(f"{problem}; run the command again later")
        return elapsed


def _find_wait(failure: Failure, elapsed: float) -> float:
    """Return the seconds until the next request, after *elapsed* ones of failures."""
    if failure.retry_after is None:
        return min(max(elapsed, _MIN_WAIT_SECONDS), _MAX_WAIT_SECONDS)
    return min(max(failure.retry_after, _MIN_WAIT_SECONDS), _MAX_RETRY_AFTER_SECONDS)


def _parse_json[Content](
    parse: Callable[[Any], Content | Failure], body: bytes
) -> Content | Failure:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return NOT_DOCUMENTED
    return parse(content)


def _check_confirmed(body: bytes) -> Failure | None:
    """Return None if a response with this *body* is Hyperline's."""
    return _parse_json(lambda _: None, body) if body.strip() else None


def _check_accepted(body: bytes) -> Failure | None:
    """Return None if a response with this *body* says that all is well.

    An accepted event has an empty response, others an object. A proxy's page can have
    the status 200 too.
    """
    return _parse_json(_find_error, body) if body.strip() else None


def _find_error(content: Any) -> Failure | None:
    is_well = isinstance(content, dict) and not (
        content.get("error") or content.get("errors")
    )
    return None if is_well else NOT_DOCUMENTED


def create_session(url: str) -> requests.Session:
    """Return a session for *url*, with the environment's proxy and certificates.

    Unlike `hyperline.session`, which runs on Lambda, it runs in offices. The
    environment is only read here, so that .netrc can't replace the key.
    REQUESTS_CA_BUNDLE counts before SSL_CERT_FILE.
    """
    session = requests.Session()
    session.verify = os.environ.get("SSL_CERT_FILE") or True
    found = session.merge_environment_settings(url, {}, None, None, None)
    session.trust_env = False
    session.proxies, session.verify = found["proxies"], found["verify"]
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = HTTPAdapter(pool_maxsize=MAX_CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def create_key_session(url: str, key: str) -> requests.Session:
    """Return a session that sends the API key to the host *url*."""
    # The exception for a header that can't be sent would have the key.
    if not (key and key.isascii() and key.isprintable() and " " not in key):
        raise AccessError("the API key can't be one: copy it again, without spaces")
    session = create_session(url)
    session.headers["Authorization"] = f"Bearer {key}"
    session.headers["User-Agent"] = USER_AGENT
    return session
