"""Deliver billable events to Hyperline in batches."""

import random
import time
from collections.abc import Sequence
from typing import NamedTuple

import requests

from forwarder.deadline import Deadline, DeadlineExceeded
from forwarder.hyperline.billable_event import BillableEvent
from forwarder.hyperline.facts import BATCH_PATH, EVENT_PATH
from forwarder.hyperline.host import Host, find_host
from forwarder.hyperline.plan import RECEIVER, Outgoing, Plan, Strategy
from forwarder.hyperline.responses import Deliveries, read_response
from forwarder.hyperline.session import post
from forwarder.outcomes import Failure, Outcome

_NO_RESPONSE = Failure(
    Outcome.PENDING, "Hyperline did not respond in time", responded=False
)
_NO_TIME = Failure(Outcome.PENDING, "the time budget was exceeded before the post")


class Delivery(NamedTuple):
    """What happened to each event, and the seconds that each post took.

    *has_accepted* is whether Hyperline accepted a post, and *accepts_others* whether it
    has within the last 10 minutes, also of earlier invocations.
    """

    results: Deliveries
    post_seconds: tuple[float, ...] = ()
    has_accepted: bool = False
    accepts_others: bool = False


def deliver(
    outgoing: Outgoing,
    url: str,
    api_key: str,
    deadline: Deadline,
    strategy: Strategy = RECEIVER,
) -> Delivery:
    """Post events to the host *url*; return None or the failure for each key.

    A rejected batch is bisected until the rejected events are alone. If the time budget
    doesn't suffice for that, the rest of the batch is to be parked, so that it makes
    progress.
    """
    host = find_host(url)
    plan = Plan(outgoing, strategy, host.batch_size, random.randrange)
    seconds: list[float] = []
    obstacle = None
    while not plan.is_finished:
        obstacle = _find_obstacle(host, deadline)
        if obstacle:
            break
        if seconds and strategy.interval:
            time.sleep(max(0, min(strategy.interval, deadline.left())))
        began = time.monotonic()
        post_by = deadline.at_most(strategy.post_seconds)
        response = _post(plan.next_batch(), url, api_key, post_by, host)
        seconds.append(time.monotonic() - began)
        _record(response, plan, host)
    results = plan.finish(obstacle, is_late=deadline.left() <= 0)
    accepts_others = host.accepts_others(time.time())
    return Delivery(results, tuple(seconds), plan.has_accepted, accepts_others)


def _find_obstacle(host: Host, deadline: Deadline) -> Failure | None:
    """Return why nothing can be posted now, or None."""
    if deadline.left() <= 0:
        return _NO_TIME
    return host.breaker.find_failure(time.time())


def _record(response: Deliveries | Failure, plan: Plan, host: Host) -> None:
    """Record *response* in the plan, and what it shows about the host.

    The breaker ignores failures that the plan itself examines and limits.
    """
    plan.record(response)
    if isinstance(response, dict):
        host.breaker.record(None, time.time())
        if None in response.values():
            host.accepted_at = time.time()
    elif not plan.can_isolate(response):
        host.breaker.record(response, time.time())


def _post(
    batch: Sequence[BillableEvent],
    url: str,
    api_key: str,
    deadline: Deadline,
    host: Host,
) -> Deliveries | Failure:
    """Post *batch* in one request, and return what the response means."""
    if len(batch) == 1:
        path, body = EVENT_PATH, batch[0].json
    else:
        path, body = BATCH_PATH, b"[" + b",".join(event.json for event in batch) + b"]"
    try:
        response = post(url + path, body, api_key, deadline)
    except (requests.Timeout, DeadlineExceeded):
        return _NO_RESPONSE
    except (requests.RequestException, ValueError) as error:
        name = type(error).__name__
        return Failure(
            Outcome.PENDING, f"Hyperline can't be reached: {name}", responded=False
        )
    return read_response(
        response.status_code,
        response.headers,
        response.content,
        {event.key for event in batch},
        accepts_others=host.accepts_others(time.time()),
    )
