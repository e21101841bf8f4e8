"""Post billable events to Hyperline."""

import ssl
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter

from forwarder.batching import group_items
from forwarder.deadline import Deadline, DeadlineExceeded
from forwarder.hyperline.billable_event import BillableEvent
from forwarder.hyperline.facts import BATCH_PATH, EVENT_PATH, MAX_BATCH_EVENTS
from forwarder.hyperline.responses import Deliveries, read_response
from forwarder.outcomes import Failure, Outcome

# Hyperline documents no limit in bytes; this one is ours.
MAX_BATCH_BYTES = 4_000_000

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


def _create_session() -> requests.Session:
    session = _Session()
    # A proxy or a .netrc in the environment must neither receive nor replace the key.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = _Adapter(pool_maxsize=_POOL_SIZE, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


_session = _create_session()


def deliver(
    events: Iterable[BillableEvent], url: str, api_key: str, deadline: Deadline
) -> Deliveries:
    """Post *events* to the host *url*; return None or the failure for each key.

    A rejected batch is bisected until the rejected events are alone. Any other failure
    ends the delivery, because Segment then retries the whole request.
    """
    # If two events share a key, Hyperline keeps the later one, so only that is sent.
    unique = {event.key: event for event in events}
    waiting = deque(_batches(unique.values()))
    deliveries: Deliveries = {}
    while waiting:
        batch = waiting.popleft()
        response = _post(batch, url, api_key, deadline)
        match response:
            case dict():
                deliveries |= response
            case Failure(outcome=Outcome.QUARANTINED) if len(batch) > 1:
                middle = len(batch) // 2
                waiting.extendleft([batch[middle:], batch[:middle]])
            case Failure(outcome=Outcome.QUARANTINED):
                deliveries[batch[0].key] = response
            case _:
                keys = [event.key for group in (batch, *waiting) for event in group]
                return deliveries | dict.fromkeys(keys, response)
    return deliveries


def _batches(events: Iterable[BillableEvent]) -> Iterator[list[BillableEvent]]:
    # Besides its own bytes, each event takes a comma or the closing bracket, and the
    # opening bracket takes one byte more.
    return group_items(
        events,
        lambda event: len(event.json) + 1,
        max_items=MAX_BATCH_EVENTS,
        max_bytes=MAX_BATCH_BYTES - 1,
    )


def _post(
    batch: Sequence[BillableEvent], url: str, api_key: str, deadline: Deadline
) -> Deliveries | Failure:
    """Post *batch* in one request, and return what the response means."""
    if len(batch) == 1:
        path, body = EVENT_PATH, batch[0].json
    else:
        path, body = BATCH_PATH, b"[" + b",".join(event.json for event in batch) + b"]"
    try:
        response = _send(url + path, body, api_key, deadline)
    except (requests.Timeout, DeadlineExceeded):
        return Failure(Outcome.PENDING, "Hyperline did not respond in time")
    except (requests.RequestException, ValueError) as error:
        name = type(error).__name__
        return Failure(Outcome.PENDING, f"Hyperline can't be reached: {name}")
    posted = {event.key for event in batch}
    return read_response(response.status_code, response.content, posted)


def _send(url: str, body: bytes, api_key: str, deadline: Deadline) -> requests.Response:
    """Post *body*, and retry once immediately after a broken connection."""
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    post = partial(_session.post, url, body, headers=headers, allow_redirects=False)
    try:
        return _run(post, deadline)
    except _BROKEN_CONNECTION:
        return _run(post, deadline)


def _run(post: "partial[requests.Response]", deadline: Deadline) -> requests.Response:
    # The timeout ends the thread; the deadline ends the waiting for it.
    seconds = max(deadline.left(), 0.001)
    return deadline.run(partial(post, timeout=seconds))
