"""Store parked and quarantined events in their queues."""

import json
import time
from collections import defaultdict
from collections.abc import Sequence

from segment_to_hyperline import config
from segment_to_hyperline.attributes import Attributes, write_time
from segment_to_hyperline.aws.messages import MAX_EVENT_BYTES, StoredEvent, event_size
from segment_to_hyperline.aws.queues import Queue, store_events
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
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
    stored = [_shorten(result) for result in results]
    by_queue: defaultdict[str, list[int]] = defaultdict(list)
    for position, result in enumerate(stored):
        if result.outcome.value.queue:
            by_queue[result.outcome.value.queue].append(position)
    if not by_queue:
        return stored
    new = Attributes(stored_at=write_time(time.time()), environment=environment)
    for name, positions in sorted(by_queue.items()):
        events = [_to_store(stored[position], new) for position in positions]
        queue = Queue(name, config.queue_url(name))
        for number, why in store_events(events, queue, deadline).items():
            event = stored[positions[number]].event
            stored[positions[number]] = Result(
                event, Outcome.PENDING, Code.QUEUE_UNAVAILABLE, why
            )
    return stored


def _shorten(result: Result) -> Result:
    """Return *result*, quarantined with the beginning of the event if it is too large.

    The beginning is a string, which is never billed, also if it is moved to Replay.
    """
    text = result.event.text
    if not result.outcome.value.queue or event_size(text) <= MAX_EVENT_BYTES:
        return result
    beginning = f"{result.message_id}: {text[:_BEGINNING_CHARACTERS]}"
    return result._replace(
        event=result.event._replace(text=json.dumps(beginning)),
        outcome=Outcome.QUARANTINED,
        code=Code.EVENT_TOO_LARGE,
        reason=f"{_TOO_LARGE}: {result.reason}",
    )


def _to_store(result: Result, new: Attributes) -> StoredEvent:
    """Return the event of *result* for a queue; it gets *new* attributes once.

    In Quarantine it is no longer isolated, so that it is tried like any other if its
    owner moves it to Replay.
    """
    detail = result.failure.detail if result.failure else ""
    reason = ": ".join(filter(None, (result.reason, detail)))
    known = result.event.attributes
    attributes = (
        known if known.stored_at else new._replace(isolated_at=known.isolated_at)
    )
    if result.outcome is Outcome.QUARANTINED:
        attributes = attributes._replace(isolated_at="")
    return StoredEvent(result.event.text, reason, attributes, result.code)
