"""Deliver billable events to Hyperline in batches."""

import random
import time
from collections.abc import Sequence

import requests

from segment_to_hyperline.deadline import Deadline, DeadlineExceeded
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.hyperline.facts import POST_PATHS
from segment_to_hyperline.hyperline.failures import Failure, Failures, Kind
from segment_to_hyperline.hyperline.host import Host, find_host
from segment_to_hyperline.hyperline.plan import RECEIVER, Outgoing, Plan, Strategy
from segment_to_hyperline.hyperline.posts import Delivery, Posts
from segment_to_hyperline.hyperline.responses import read_response
from segment_to_hyperline.hyperline.session import post
from segment_to_hyperline.reasons import Code

_NO_RESPONSE = Failure(
    Kind.UNAVAILABLE,
    Code.NO_RESPONSE,
    "Hyperline did not respond in time",
    responded=False,
)
# Without a response, a post shows nothing if it had less time than this, or less than
# half of the usual time.
_FAIR_SECONDS = 1
_NO_TIME = Failure(
    Kind.UNAVAILABLE, Code.LATE, "the time budget was exceeded before the post"
)


def post_events(  # noqa: PLR0913 - where, with what, and how
    outgoing: Outgoing,
    url: str,
    api_key: str,
    deadline: Deadline,
    strategy: Strategy = RECEIVER,
    *,
    version: str = "v1",
) -> Delivery:
    """Post events to the host *url* in batches; the paths have this *version*.

    A rejected batch is bisected until the rejected events are alone. If the time budget
    doesn't suffice for that, the rest of the batch is to be parked, so that it makes
    progress.
    """
    host = find_host(url)
    urls = [url + path for path in POST_PATHS[version]]
    plan = Plan(outgoing, strategy, host.batch_size, random.randrange)
    seconds: list[float] = []
    obstacle = None
    fair = min(_FAIR_SECONDS, strategy.post_seconds / 2)
    while not plan.is_finished:
        if seconds and strategy.interval:
            time.sleep(max(0, min(strategy.interval, deadline.left())))
        obstacle = _find_obstacle(host, deadline)
        if obstacle:
            break
        began = time.monotonic()
        post_by = deadline.at_most(strategy.post_seconds)
        is_hurried = post_by.left() < fair
        batch = plan.next_batch()
        response = _post(batch, urls, api_key, post_by, host)
        if response == _NO_RESPONSE and is_hurried:
            response = _NO_RESPONSE._replace(is_hurried=True)
        seconds.append(time.monotonic() - began)
        plan.record(response)
        _record(response, len(batch), plan, host)
    failures = plan.finish(obstacle, is_late=deadline.left() <= 0)
    accepts_others = host.accepts_others(time.time())
    return Delivery(failures, Posts(tuple(seconds), plan.has_accepted, accepts_others))


def _find_obstacle(host: Host, deadline: Deadline) -> Failure | None:
    """Return why nothing can be posted now, or None."""
    if deadline.left() <= 0:
        return _NO_TIME
    return host.breaker.find_failure(time.time())


def _record(response: Failures | Failure, events: int, plan: Plan, host: Host) -> None:
    """Record what the *response* to a post of so many *events* shows about the host.

    The breaker ignores failures that the plan itself examines and limits.
    """
    now = time.time()
    if isinstance(response, dict):
        host.breaker.record(None, now)
        if None in response.values():
            host.record_acceptance(now)
        return
    if events == 1 and not response.is_hurried:
        host.record_failed_event()
    if not plan.can_isolate(response) and not response.is_hurried:
        host.breaker.record(response, now)


def _post(
    batch: Sequence[BillableEvent],
    urls: Sequence[str],
    api_key: str,
    deadline: Deadline,
    host: Host,
) -> Failures | Failure:
    """Post *batch* in one request, and return what the response means.

    *urls* are that for an event and that for several.
    """
    url, batch_url = urls
    body = batch[0].json
    if len(batch) > 1:
        url, body = batch_url, b"[" + b",".join(event.json for event in batch) + b"]"
    try:
        response = post(url, body, api_key, deadline)
    except (requests.Timeout, DeadlineExceeded):
        return _NO_RESPONSE
    except (requests.RequestException, ValueError) as error:
        reason = f"Hyperline can't be reached: {type(error).__name__}"
        kind, code = Kind.UNAVAILABLE, Code.UNREACHABLE
        return Failure(kind, code, reason, responded=False)
    return read_response(
        response.status_code,
        response.headers,
        response.content,
        {event.key for event in batch},
        accepts_others=host.accepts_others(time.time()),
    )
