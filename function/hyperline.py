"""Outbound: post billable events to Hyperline, and decide what its replies mean."""

import json
import ssl
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import certifi
import urllib3
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError
from urllib3.exceptions import TimeoutError as TimedOut
from urllib3.util import parse_url

from batching import fill
from billable import BillableEvent, Key
from deadline import Deadline, TimeUp

# https://docs.hyperline.co/api-reference/endpoints/billable-events/ingest-billable-events
MAX_BATCH_EVENTS = 5_000
# Hyperline names no limit in bytes; this one is ours.
MAX_BATCH_BYTES = 4_000_000


class Unavailable(Exception):
    """Let Segment send the event again: Hyperline has not said that it took it."""


class Throttled(Unavailable):
    """Let Segment send the event again, later: Hyperline is getting too many calls."""


class KeyRefused(Unavailable):
    """Read the API key again: the one we have is not, or no longer, valid."""


class Rejected(Exception):
    """Quarantine the event: Hyperline won't take it as it is.

    The second argument holds Hyperline's own words, which may quote the event.
    """


type Failure = Unavailable | Rejected

# What a status means, by itself or else by its hundreds. A refused key is ours to mend,
# so the event must survive until we have; a redirect must not be followed, because that
# turns a POST into a GET without the event.
# https://docs.hyperline.co/developers/error-handling
_BAD_KEY = "Hyperline refused the API key; put a valid one into the secret"
_MEANINGS: dict[int, tuple[type[Failure], str]] = {
    300: (Unavailable, "Hyperline redirected the call; check HYPERLINE_URL"),
    400: (Rejected, "Hyperline refused the event"),
    401: (KeyRefused, _BAD_KEY),
    403: (KeyRefused, _BAD_KEY),
    408: (Unavailable, "Hyperline gave up waiting for the call"),
    429: (Throttled, "Hyperline gets too many calls"),
    500: (Unavailable, "Hyperline failed"),
}
_ODD = (Unavailable, "Hyperline gave an answer that HTTP does not know")


def deliver(
    events: Iterable[BillableEvent], url: str, api_key: str, deadline: Deadline
) -> dict[Key, Failure | None]:
    """Return for each key None if Hyperline took its event, else why it did not.

    A refused batch is halved until the events that caused it are alone. The first
    `Unavailable` ends the delivery, since it makes Segment send all of them again; so
    does the *deadline*.
    """
    # Of two events with one key Hyperline keeps the later, so only that one is sent.
    unique = {event.key: event for event in events}
    waiting = deque(_batches(unique.values()))
    results: dict[Key, Failure | None] = {}
    while waiting:
        batch = waiting.popleft()
        try:
            results |= _post(batch, url, api_key, deadline)
        except Unavailable as failure:
            unsettled = [batch, *waiting]
            return results | {e.key: failure for batch in unsettled for e in batch}
        except Rejected as refusal:
            if len(batch) == 1:
                results[batch[0].key] = refusal
            else:
                middle = len(batch) // 2
                waiting.extendleft([batch[middle:], batch[:middle]])
    return results


def check(status: int, message: str) -> None:
    """Return if *status* says that the events were taken; raise what else it says."""
    if 200 <= status < 300:
        return
    hundreds = status // 100 * 100
    meaning, words = _MEANINGS.get(status) or _MEANINGS.get(hundreds, _ODD)
    raise meaning(f"{words} ({status})", message)


def _batches(events: Iterable[BillableEvent]) -> Iterator[list[BillableEvent]]:
    # Each event costs a comma or a bracket besides its own bytes, and "[" comes first.
    return fill(
        events,
        lambda event: len(event.json) + 1,
        most=MAX_BATCH_EVENTS,
        limit=MAX_BATCH_BYTES - 1,
    )


def _post(
    batch: Sequence[BillableEvent], url: str, api_key: str, deadline: Deadline
) -> dict[Key, Failure | None]:
    """Post *batch* in one call and return the result of each event.

    Raises `Unavailable` or `Rejected` where it is the same for all of them.
    """
    if len(batch) == 1:
        response = _send(f"{url}/v1/events", batch[0].json, api_key, deadline)
    else:
        body = b"[" + b",".join(event.json for event in batch) + b"]"
        response = _send(f"{url}/v1/events/batch", body, api_key, deadline)
    reply = _read_object(response.data)
    check(response.status, str(reply.get("message", ""))[:500])
    return _read_refusals(reply, {event.key for event in batch})


def _read_refusals(reply: dict[str, Any], keys: set[Key]) -> dict[Key, Failure | None]:
    """Return the results of a call that succeeded, in which events can have failed.

    Raises `Rejected` if the reply does not tell which of the events they are.
    """
    failed = reply.get("events_failed") or []
    refused = (
        {_read_key(item) for item in failed} if isinstance(failed, list) else {None}
    )
    if not refused <= keys:
        raise Rejected("Hyperline refused events without naming them", "")
    refusal = Rejected("Hyperline put it among the events_failed, with no reason", "")
    return {key: refusal if key in refused else None for key in keys}


def _read_key(event: Any) -> Key | None:
    match event:
        case {"event_type": str(event_type), "record": {"id": str(record_id)}}:
            return Key(event_type, record_id)
        case _:
            return None


def _read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*, or an empty one: any body will do."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}


def _send(
    url: str, body: bytes, api_key: str, deadline: Deadline
) -> urllib3.BaseHTTPResponse:
    """Post *body*; once more if the connection broke, as one does while frozen."""
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    attempt = partial(_attempt, url, body, headers, deadline)
    try:
        try:
            return attempt()
        except _BROKEN:
            return attempt()
    except (HTTPError, TimeUp) as error:
        raise Unavailable(_explain(error)) from error


def _attempt(
    url: str, body: bytes, headers: dict[str, str], deadline: Deadline
) -> urllib3.BaseHTTPResponse:
    pool, target = _find_pool(url)
    post = partial(pool.urlopen, "POST", target, body, headers)
    seconds = max(deadline.left(), 0.001)
    return deadline.run(partial(post, retries=False, redirect=False, timeout=seconds))


@lru_cache(maxsize=8)
def _find_pool(url: str) -> tuple[HTTPConnectionPool, str]:
    """Return the connections to the host of *url*, and what to ask that host for."""
    # Kept, as to read the same address for each call takes a quarter of the call.
    return _pools.connection_from_url(url), parse_url(url).request_uri


def _explain(error: Exception) -> str:
    is_late = isinstance(error, TimeUp | TimedOut)
    if is_late and not isinstance(error, NewConnectionError):
        return "Hyperline did not answer in time"
    return f"Hyperline can't be reached: {type(error).__name__}"


_BROKEN = (NewConnectionError, ProtocolError)
# Not `requests`, which is built on it: that takes twice the time for each call, and
# minds proxies and a .netrc of the environment, which must not replace our key.
# The certificates are read when the function starts, with all of a processor, since
# that takes long.
_pools = urllib3.PoolManager(
    ssl_context=ssl.create_default_context(cafile=certifi.where())
)
