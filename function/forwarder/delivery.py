"""Deliver billable events with the API key from the secret."""

from collections.abc import Sequence

from forwarder import tester
from forwarder.deadline import Deadline
from forwarder.hyperline import client
from forwarder.hyperline.billable_event import BillableEvent
from forwarder.hyperline.client import Delivery
from forwarder.outcomes import Failure, Outcome
from forwarder.secret import Secret, SecretError
from forwarder.secret_cache import refresh_secret


def deliver_events(
    events: Sequence[BillableEvent],
    secret: Secret,
    deadline: Deadline,
    post_interval: float,
) -> Delivery:
    """Deliver *events*; return None or the failure for each key.

    If the API key is rejected, retries once with a refreshed secret, unless its key is
    one of the other environment: the events may not belong there, which is decided at
    the next attempt. There are at least *post_interval* seconds between two posts.
    """
    first = _deliver_with(secret, events, deadline, post_interval)
    rejected = [event for event in events if _is_key_rejected(first.results[event.key])]
    if not rejected:
        return first
    try:
        refreshed = refresh_secret(secret, deadline)
    except SecretError as error:
        failed = _fail(rejected, error)
        return first._replace(results=first.results | failed.results)
    if refreshed is None or refreshed.environment not in {"", secret.environment}:
        return first
    second = _deliver_with(refreshed, rejected, deadline, post_interval)
    return Delivery(
        first.results | second.results, first.post_seconds + second.post_seconds
    )


def _deliver_with(
    secret: Secret,
    events: Sequence[BillableEvent],
    deadline: Deadline,
    post_interval: float,
) -> Delivery:
    try:
        endpoint = secret.endpoint()
    except SecretError as error:
        return _fail(events, error)
    withheld = tester.withhold_tests(events, is_sandbox=endpoint.is_sandbox)
    sent = [event for event in events if event.key not in withheld]
    delivery = client.deliver(
        sent, endpoint.url, endpoint.api_key, deadline, interval=post_interval
    )
    return delivery._replace(results={**delivery.results, **withheld})


def _is_key_rejected(failure: Failure | None) -> bool:
    return failure is not None and failure.key_rejected


def _fail(events: Sequence[BillableEvent], error: SecretError) -> Delivery:
    failure = Failure(Outcome.PENDING, str(error))
    return Delivery({event.key: failure for event in events})
