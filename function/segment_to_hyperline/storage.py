"""Store parked and quarantined events in their queues."""

import json
import time
from collections.abc import Mapping, Sequence

from segment_to_hyperline import config
from segment_to_hyperline.attributes import Attributes, write_time
from segment_to_hyperline.aws.messages import MAX_EVENT_BYTES, StoredEvent, event_size
from segment_to_hyperline.aws.queues import Queue, store_events
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.results import Result

# How much of an event that is too large for a message is stored. Segment's own limit
# for an event is 32 KB.
_BEGINNING_CHARACTERS = 32_000
_TOO_LARGE = (
    "the event is too large for a message of SQS, so only its beginning is stored: find"
    " out what sends it, since Segment accepts at most 32 KB, and bill it by hand"
)


def store_results(
    results: Sequence[Result], environment: str, deadline: Deadline
) -> list[Result]:
    """Store parked and quarantined events; one that can't be stored becomes pending.

    *environment* is that of the API key that was in use for the events, or nothing.
    Of one that is too large for any message, the beginning is quarantined. If it became
    pending instead, Segment would retry its whole batch, and drop it after 4 hours.
    """
    queues = {
        Outcome.QUARANTINED: ("Quarantine", config.quarantine_queue_url),
        Outcome.PARKED: ("Replay", config.replay_queue_url),
    }
    new = Attributes(stored_at=write_time(time.time()), environment=environment)
    stored = [_shorten(result) for result in results]
    for outcome, (name, find_url) in queues.items():
        if any(result.outcome is outcome for result in stored):
            queue = Queue(name, find_url())
            stored = _store_outcome(outcome, stored, queue, new, deadline)
    return stored


def _store_outcome(
    outcome: Outcome,
    results: Sequence[Result],
    queue: Queue,
    new: Attributes,
    deadline: Deadline,
) -> list[Result]:
    to_store = {
        position: _to_store(result, new)
        for position, result in enumerate(results)
        if result.outcome is outcome
    }
    unstored = store_events(to_store.values(), queue, deadline)
    return [
        _make_pending(result, unstored, to_store.get(position))
        for position, result in enumerate(results)
    ]


def _shorten(result: Result) -> Result:
    """Return *result*, quarantined with the beginning of the event if it is too large.

    The beginning is a string, which is never billed, also if it is moved to Replay.
    """
    text = result.event.text
    is_stored = result.outcome in {Outcome.QUARANTINED, Outcome.PARKED}
    if not is_stored or event_size(text) <= MAX_EVENT_BYTES:
        return result
    beginning = f"{result.message_id}: {text[:_BEGINNING_CHARACTERS]}"
    return result._replace(
        event=result.event._replace(text=json.dumps(beginning)),
        outcome=Outcome.QUARANTINED,
        reason=f"{_TOO_LARGE}: {result.reason}",
    )


def _to_store(result: Result, new: Attributes) -> StoredEvent:
    """Return the event of *result* for a queue; it gets *new* attributes once.

    In Quarantine it is no longer isolated, so that it is tried like any other if its
    owner moves it to Replay.
    """
    reason = ": ".join(filter(None, (result.reason, result.detail)))
    known = result.event.attributes
    attributes = (
        known if known.stored_at else new._replace(isolated_at=known.isolated_at)
    )
    if result.outcome is Outcome.QUARANTINED:
        attributes = attributes._replace(isolated_at="")
    return StoredEvent(result.event.text, reason, attributes)


def _make_pending(
    result: Result, unstored: Mapping[StoredEvent, str], stored: StoredEvent | None
) -> Result:
    if stored is None or stored not in unstored:
        return result
    return Result(result.event, Outcome.PENDING, unstored[stored])
