"""Deliver billable events with the API key from the secret."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from forwarder import tester
from forwarder.deadline import Deadline
from forwarder.hyperline import client
from forwarder.hyperline.billable_event import BillableEvent
from forwarder.hyperline.client import Delivery
from forwarder.hyperline.plan import Strategy
from forwarder.outcomes import Failure, Outcome
from forwarder.secret import Secret, SecretError
from forwarder.secret_cache import refresh_secret


class Batch(NamedTuple):
    """Billable events to deliver together.

    Those of an event that Hyperline could not process are *isolated*: each such event
    has a sequence of its own.
    """

    events: Sequence[BillableEvent]
    isolated: Sequence[Sequence[BillableEvent]] = ()

    def keep(self, accepts: Callable[[BillableEvent], bool]) -> "Batch":
        """Return the events that *accepts* returns true for."""
        isolated = [list(filter(accepts, own)) for own in self.isolated]
        return Batch(list(filter(accepts, self.events)), isolated)

    def all_events(self) -> Iterator[BillableEvent]:
        """Yield all events, isolated or not."""
        yield from self.events
        for own in self.isolated:
            yield from own


def deliver_events(
    batch: Batch, secret: Secret, deadline: Deadline, strategy: Strategy
) -> Delivery:
    """Deliver the events of *batch*; return None or the failure for each key.

    If the API key is rejected, retries once with a refreshed secret.
    """
    first = _deliver_with(secret, batch, deadline, strategy)
    rejected = batch.keep(lambda event: _is_key_rejected(first.results[event.key]))
    if not any(rejected.all_events()):
        return first
    try:
        refreshed = refresh_secret(secret, deadline)
    except SecretError as error:
        failed = _fail(rejected, error)
        return first._replace(results=first.results | failed.results)
    if refreshed is None:
        return first
    second = _deliver_with(refreshed, rejected, deadline, strategy)
    return Delivery(
        first.results | second.results,
        first.post_seconds + second.post_seconds,
        first.has_accepted or second.has_accepted,
    )


def _deliver_with(
    secret: Secret, batch: Batch, deadline: Deadline, strategy: Strategy
) -> Delivery:
    try:
        endpoint = secret.endpoint()
    except SecretError as error:
        return _fail(batch, error)
    withheld = tester.withhold_tests(
        batch.all_events(), is_sandbox=endpoint.is_sandbox
    )
    sent = batch.keep(lambda event: event.key not in withheld)
    delivery = client.deliver(
        sent.events,
        endpoint.url,
        endpoint.api_key,
        deadline,
        isolated=sent.isolated,
        strategy=strategy,
    )
    return delivery._replace(results={**delivery.results, **withheld})


def _is_key_rejected(failure: Failure | None) -> bool:
    return failure is not None and failure.key_rejected


def _fail(batch: Batch, error: SecretError) -> Delivery:
    failure = Failure(Outcome.PENDING, str(error))
    return Delivery({event.key: failure for event in batch.all_events()})
