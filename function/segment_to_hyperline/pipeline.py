"""The path of events.

To process events is to bill them, to park what is old, and to store what can't be
billed. To bill is to map and to deliver, to deliver is to post with a valid API key,
and to post is to send requests to Hyperline.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from segment_to_hyperline import config
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.delivery import deliver_events
from segment_to_hyperline.event_tester import preview_failed_test, withhold_test
from segment_to_hyperline.hyperline.facts import PRODUCTION, SANDBOX
from segment_to_hyperline.hyperline.failures import Failure, Failures
from segment_to_hyperline.hyperline.plan import RECEIVER, Outgoing, Strategy
from segment_to_hyperline.hyperline.posts import Delivery
from segment_to_hyperline.mapping.apply import iterate_billable
from segment_to_hyperline.mapping.expressions import UnmappableEvent
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.outcomes import AFTER_FAILURE, Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import Result, Results, isolate
from segment_to_hyperline.secret import Secret
from segment_to_hyperline.segment.events import DecodedEvent, Event
from segment_to_hyperline.storage import store_results

if TYPE_CHECKING:
    from segment_to_hyperline.hyperline.billable_event import BillableEvent

# Share of the time budget that is reserved for SQS: 0.75 s of 3 s.
QUEUE_SHARE = 1 / 4
# A time that is further in the future says nothing about the age of an event.
_MAX_CLOCK_SKEW_SECONDS = 60
# The most bytes of billable events of a request. It is more than a request of Segment
# leads to, unless each of its events is billed as many.
MAX_BILLABLE_BYTES = 20_000_000
# Share of the rest that is reserved for Hyperline.
DELIVERY_SHARE = 1 / 2

# What to do about events that were stored for the other environment, by the one of the
# key in use.
_WRONG_ENVIRONMENT = {
    PRODUCTION: (
        "stored for another environment of Hyperline than production, to which the API"
        " key belongs: delete the message if it is a test; to bill it anyway, send its"
        " body to Replay without the attribute Environment"
    ),
    SANDBOX: (
        "stored for another environment of Hyperline than the sandbox, to which the API"
        " key belongs: put the production key (prod_…) into the secret, then move the"
        " message from Quarantine to Replay"
    ),
}

_TOO_MUCH = "the billable events of the request don't fit into memory"
_LATE = "the time budget was exceeded before the event was mapped"


def process_events(
    events: Iterable[DecodedEvent], rules: Rules, secret: Secret, deadline: Deadline
) -> Results:
    """Return the result of each event of a request, once it is delivered or stored.

    A problem with one event doesn't raise an exception; it is part of that event's
    result. What iterating over *events* raises is raised before any event is posted.
    """
    bill_by = deadline.earlier(deadline.left() * QUEUE_SHARE)
    billed = bill_events(events, rules, secret, bill_by)
    now = time.time()
    isolates = billed.posts.accepts_others
    parked = [_park_old(result, now, isolates=isolates) for result in billed.all]
    return billed._replace(all=store_results(parked, secret.environment, deadline))


def bill_events(
    events: Iterable[DecodedEvent],
    rules: Rules,
    secret: Secret,
    deadline: Deadline,
    strategy: Strategy = RECEIVER,
) -> Results:
    """Map *events*, deliver them, and return the results; doesn't write to a queue."""
    map_by = deadline.earlier(deadline.left() * DELIVERY_SHARE)
    environment = secret.environment
    results = [
        withhold_test(result, environment)
        for result in _map_events(events, rules, environment, map_by)
    ]
    outgoing = _collect_outgoing(results)
    delivery = (
        deliver_events(outgoing, secret, deadline, strategy)
        if outgoing.all_events()
        else Delivery({})
    )
    finished = [
        preview_failed_test(
            _add_failures(result, delivery.failures, is_replay=strategy.isolates)
        )
        for result in results
    ]
    return Results(finished, delivery.posts)


def _collect_outgoing(results: Iterable[Result]) -> Outgoing:
    """Return the billable events of *results* that are not decided yet."""
    events: list[BillableEvent] = []
    isolated: list[Sequence[BillableEvent]] = []
    for result in results:
        if result.outcome is not Outcome.PENDING:
            continue
        if result.event.attributes.isolated_at:
            isolated.append(result.billable_events)
        else:
            events += result.billable_events
    return Outgoing(events, isolated)


def _map_events(
    events: Iterable[DecodedEvent],
    rules: Rules,
    environment: str,
    deadline: Deadline,
) -> Iterator[Result]:
    """Yield the result of mapping each event, as far as they fit into memory.

    An event that was stored for another than this *environment* is not mapped.
    """
    available = MAX_BILLABLE_BYTES
    for event, data in events:
        result = _check_environment(event, environment)
        if result is None and available < 0:
            result = Result(event, Outcome.PENDING, Code.TOO_MUCH, _TOO_MUCH)
        result = result or _map_event(event, data, rules, deadline)
        for billable in result.billable_events:
            available -= len(billable.json)
        yield result


def _check_environment(event: Event, environment: str) -> Result | None:
    """Return the result of an event that belongs to another environment, or None."""
    if not environment or event.attributes.environment in ("", environment):
        return None
    reason = _WRONG_ENVIRONMENT[environment]
    return Result(event, Outcome.QUARANTINED, Code.WRONG_ENVIRONMENT, reason)


def _map_event(event: Event, data: Any, rules: Rules, deadline: Deadline) -> Result:
    """Return the result of mapping *data*, which is pending if it is to be billed."""
    billable_events: list[BillableEvent] = []
    if deadline.left() <= 0:
        return Result(event, Outcome.PENDING, Code.LATE, _LATE)
    try:
        for billable in iterate_billable(rules, data):
            if billable_events and deadline.left() <= 0:
                return Result(event, Outcome.PENDING, Code.LATE, _LATE)
            billable_events.append(billable)
    except UnmappableEvent as error:
        return Result(event, Outcome.QUARANTINED, Code.UNMAPPABLE, str(error))
    except Exception as error:  # noqa: BLE001 - a bug must not fail the other events
        reason = f"the mapping failed with {type(error).__name__}"
        return Result(event, Outcome.QUARANTINED, Code.MAPPING_FAILED, reason)
    if not billable_events:
        return Result(event, Outcome.FILTERED)
    return Result(event, Outcome.PENDING, billable_events=tuple(billable_events))


def _add_failures(result: Result, failures: Failures, *, is_replay: bool) -> Result:
    """Return *result* with the outcome of its billable events.

    A failure after which they are posted again comes first: the rest is then delivered
    before the event is quarantined. But a replay without the time to bisect them would
    never have it, because it begins from zero.
    """
    if result.outcome is not Outcome.PENDING or not result.billable_events:
        return result
    own = [
        failure
        for event in result.billable_events
        if (failure := failures[event.key]) is not None
    ]
    if not own:
        return Result(
            result.event,
            Outcome.DELIVERED,
            billable_events=result.billable_events,
        )
    last = Outcome.PARKED if is_replay else Outcome.QUARANTINED
    failure = min(own, key=partial(_rank, last=last))
    return result._replace(
        outcome=AFTER_FAILURE[failure.kind],
        code=failure.code,
        reason=failure.reason,
        failure=failure,
    )


def _rank(failure: Failure, *, last: Outcome) -> tuple[bool, bool, bool]:
    """Return the rank of *failure* among those of an event; the lowest decides."""
    outcome = AFTER_FAILURE[failure.kind]
    return outcome is last, outcome.is_final, not failure.is_alone


def _park_old(result: Result, now: float, *, isolates: bool) -> Result:
    """Return *result*, parked if it is pending and old, or if its age is unknown.

    Segment retries younger events. That is enough for a short outage, and leaves the
    Replay queue empty. If it *isolates*, an event that was posted alone and failed gets
    a message of its own.
    """
    if result.outcome.is_unfinished:
        if _is_young(result.event.received_at, now, config.park_after_seconds()):
            return result
        result = result._replace(outcome=Outcome.PARKED)
    is_isolated = isolates and result.is_alone and result.outcome is Outcome.PARKED
    return isolate(result, now) if is_isolated else result


def _is_young(received_at: float | None, now: float, limit: float) -> bool:
    if received_at is None or not limit:
        return False
    return -_MAX_CLOCK_SKEW_SECONDS <= now - received_at < limit
