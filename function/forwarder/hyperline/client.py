"""Deliver billable events to Hyperline in batches."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import NamedTuple

import requests

from forwarder.batching import group_items
from forwarder.deadline import Deadline, DeadlineExceeded
from forwarder.hyperline.billable_event import BillableEvent, Key
from forwarder.hyperline.breaker import Breaker
from forwarder.hyperline.facts import BATCH_PATH, EVENT_PATH, MAX_BATCH_EVENTS
from forwarder.hyperline.responses import Deliveries, read_response
from forwarder.hyperline.session import post
from forwarder.outcomes import Failure, Outcome

# Hyperline documents no limit in bytes; this one is ours.
MAX_BATCH_BYTES = 4_000_000

_NO_RESPONSE = Failure(
    Outcome.PENDING, "Hyperline did not respond in time", responded=False
)
_NO_TIME = Failure(Outcome.PENDING, "the time budget was exceeded before the post")
_NOT_BISECTED = Failure(
    Outcome.PARKED, "Hyperline rejected the batch, and there was no time to bisect it"
)


class Delivery(NamedTuple):
    """What happened to each event, and the seconds that each post took."""

    results: Deliveries
    post_seconds: tuple[float, ...] = ()


@cache
def find_breaker(_url: str) -> Breaker:
    """Return the breaker for the host *url*; there is one in each sandbox of Lambda."""
    return Breaker()


def deliver(
    events: Iterable[BillableEvent],
    url: str,
    api_key: str,
    deadline: Deadline,
    *,
    interval: float = 0,
) -> Delivery:
    """Post *events* to the host *url*; return None or the failure for each key.

    A rejected batch is bisected until the rejected events are alone. If the time budget
    doesn't suffice for that, the rest of the batch is to be parked, so that it makes
    progress. Any other failure ends the delivery. There are at least *interval* seconds
    between two posts.
    """
    # If two events share a key, Hyperline keeps the later one, so only that is sent.
    unique = {event.key: event for event in events}
    waiting = deque((batch, False) for batch in _batches(unique.values()))
    deliveries: Deliveries = {}
    seconds: list[float] = []
    while waiting:
        batch, is_part = waiting.popleft()
        response = _post(batch, url, api_key, deadline, seconds)
        match response:
            case dict():
                deliveries |= response
            case Failure(outcome=Outcome.QUARANTINED) if len(batch) > 1:
                middle = len(batch) // 2
                waiting.extendleft([(batch[middle:], True), (batch[:middle], True)])
            case Failure(outcome=Outcome.QUARANTINED):
                deliveries[batch[0].key] = response
            case _:
                deliveries |= _fail([(batch, is_part), *waiting], response, deadline)
                break
        if waiting and interval:
            time.sleep(max(0, min(interval, deadline.left())))
    return Delivery(deliveries, tuple(seconds))


def _fail(
    undelivered: Iterable[tuple[Sequence[BillableEvent], bool]],
    failure: Failure,
    deadline: Deadline,
) -> Deliveries:
    """Return *failure* for all events of the batches that were not delivered.

    What remains of a rejected batch is parked if the time budget is used up.
    """
    out_of_time = deadline.left() <= 0
    return {
        event.key: _NOT_BISECTED if is_part and out_of_time else failure
        for batch, is_part in undelivered
        for event in batch
    }


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
    batch: Sequence[BillableEvent],
    url: str,
    api_key: str,
    deadline: Deadline,
    seconds: list[float],
) -> Deliveries | Failure:
    """Post *batch* in one request, and return what the response means.

    How long the request took is appended to *seconds*.
    """
    if len(batch) == 1:
        path, body = EVENT_PATH, batch[0].json
    else:
        path, body = BATCH_PATH, b"[" + b",".join(event.json for event in batch) + b"]"
    if deadline.left() <= 0:
        return _NO_TIME
    breaker = find_breaker(url)
    failure = breaker.find_failure(time.monotonic())
    if failure:
        return failure
    began = time.monotonic()
    response = _exchange(url + path, body, api_key, deadline, {e.key for e in batch})
    ended = time.monotonic()
    seconds.append(ended - began)
    breaker.record(response if isinstance(response, Failure) else None, ended)
    return response


def _exchange(
    url: str, body: bytes, api_key: str, deadline: Deadline, posted: AbstractSet[Key]
) -> Deliveries | Failure:
    try:
        response = post(url, body, api_key, deadline)
    except (requests.Timeout, DeadlineExceeded):
        return _NO_RESPONSE
    except (requests.RequestException, ValueError) as error:
        name = type(error).__name__
        return Failure(
            Outcome.PENDING, f"Hyperline can't be reached: {name}", responded=False
        )
    return read_response(
        response.status_code, response.headers, response.content, posted
    )
