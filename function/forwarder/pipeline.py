"""The path of events: map, deliver, park what is old, quarantine what is rejected."""

import time
from collections.abc import Sequence

from forwarder import config, tester
from forwarder.aws.queues import QueuedEvent, store_events
from forwarder.deadline import Deadline
from forwarder.hyperline import client
from forwarder.hyperline.billable_event import BillableEvent
from forwarder.hyperline.responses import Deliveries
from forwarder.mapping.apply import apply_rules
from forwarder.mapping.expressions import UnmappableEvent
from forwarder.mapping.rules import Rules
from forwarder.outcomes import Failure, Outcome
from forwarder.results import Result
from forwarder.secret import Secret, SecretError, refresh_secret
from forwarder.segment.events import Event

# Share of the time budget that is reserved for SQS: 0.5 s of 3 s.
QUEUE_SHARE = 1 / 6


def process_events(
    events: Sequence[Event], rules: Rules, secret: Secret, deadline: Deadline
) -> list[Result]:
    """Return the result of each of the *events* of a request, once they are stored.

    A problem with one event doesn't raise an exception; it is part of that event's
    result.
    """
    reserved = deadline.left() * QUEUE_SHARE
    results = bill_events(events, rules, secret, deadline.earlier(reserved))
    now = time.time()
    return _quarantine([_park(result, now) for result in results], deadline)


def bill_events(
    events: Sequence[Event], rules: Rules, secret: Secret, deadline: Deadline
) -> list[Result]:
    """Map *events*, deliver them, and return the results; doesn't write to a queue."""
    results = [_map_event(event, rules) for event in events]
    billable = [r.billable_event for r in results if r.billable_event]
    deliveries = _deliver(billable, secret, deadline) if billable else {}
    return [
        tester.preview_failed_test(_add_delivery(result, deliveries))
        for result in results
    ]


def _map_event(event: Event, rules: Rules) -> Result:
    """Return the result of mapping *event*, which is pending if it is to be billed."""
    try:
        billable_event = apply_rules(rules, event.data)
    except UnmappableEvent as error:
        return Result(event, Outcome.QUARANTINED, str(error))
    except Exception as error:  # noqa: BLE001 - a bug must not fail the other events
        reason = f"the mapping failed with {type(error).__name__}"
        return Result(event, Outcome.QUARANTINED, reason)
    if billable_event is None:
        return Result(event, Outcome.FILTERED)
    return Result(event, Outcome.PENDING, billable_event=billable_event)


def _deliver(
    events: Sequence[BillableEvent], secret: Secret, deadline: Deadline
) -> Deliveries:
    """Deliver *events*; retry once with a refreshed secret if the key was rejected."""
    deliveries = _deliver_with(secret, events, deadline)
    rejected = [event for event in events if _is_key_rejected(deliveries[event.key])]
    if not rejected:
        return deliveries
    try:
        refreshed = refresh_secret(secret, deadline)
    except SecretError as error:
        return deliveries | _fail(rejected, error)
    if refreshed is None:
        return deliveries
    return deliveries | _deliver_with(refreshed, rejected, deadline)


def _deliver_with(
    secret: Secret, events: Sequence[BillableEvent], deadline: Deadline
) -> Deliveries:
    try:
        endpoint = secret.endpoint()
    except SecretError as error:
        return _fail(events, error)
    withheld = tester.withhold_tests(events, is_sandbox=endpoint.is_sandbox)
    sent = [event for event in events if event.key not in withheld]
    return client.deliver(sent, endpoint.url, endpoint.api_key, deadline) | withheld


def _is_key_rejected(failure: Failure | None) -> bool:
    return failure is not None and failure.key_rejected


def _fail(events: Sequence[BillableEvent], error: SecretError) -> Deliveries:
    return {event.key: Failure(Outcome.PENDING, str(error)) for event in events}


def _add_delivery(result: Result, deliveries: Deliveries) -> Result:
    if result.billable_event is None:
        return result
    failure = deliveries[result.billable_event.key]
    if failure is None:
        return result._replace(outcome=Outcome.DELIVERED)
    return result._replace(
        outcome=failure.outcome, reason=failure.reason, detail=failure.detail
    )


def _park(result: Result, now: float) -> Result:
    """Return *result*, quarantined if Segment may soon give up on a pending event."""
    if result.outcome not in {Outcome.PENDING, Outcome.THROTTLED}:
        return result
    received_at = result.event.received_at
    if received_at is not None and now - received_at <= config.park_after_seconds():
        return result
    return result._replace(
        outcome=Outcome.QUARANTINED, reason=f"parked: {result.reason}"
    )


def _quarantine(results: Sequence[Result], deadline: Deadline) -> list[Result]:
    """Store the events to be quarantined; one that can't be stored becomes pending."""
    queued = {
        position: _to_queue(result)
        for position, result in enumerate(results)
        if result.outcome is Outcome.QUARANTINED
    }
    if not queued:
        return list(results)
    unstored = store_events(queued.values(), config.quarantine_queue_url(), deadline)
    return [
        Result(result.event, Outcome.PENDING, unstored[queued[position]])
        if queued.get(position) in unstored
        else result
        for position, result in enumerate(results)
    ]


def _to_queue(result: Result) -> QueuedEvent:
    reason = ": ".join(filter(None, (result.reason, result.detail)))
    return QueuedEvent(result.event.text, reason)
