"""Store parked and quarantined events in their queues."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from forwarder import config
from forwarder.aws.messages import StoredEvent
from forwarder.aws.queues import Queue, store_events
from forwarder.deadline import Deadline
from forwarder.outcomes import Outcome
from forwarder.results import Result


def store_results(results: Sequence[Result], deadline: Deadline) -> list[Result]:
    """Store parked and quarantined events; one that can't be stored becomes pending."""
    queues = {
        Outcome.QUARANTINED: ("Quarantine", config.quarantine_queue_url),
        Outcome.PARKED: ("Replay", config.replay_queue_url),
    }
    stored = list(results)
    for outcome, (name, find_url) in queues.items():
        if any(result.outcome is outcome for result in stored):
            queue = Queue(name, find_url())
            stored = _store_outcome(outcome, stored, queue, deadline)
    return stored


def _store_outcome(
    outcome: Outcome, results: Sequence[Result], queue: Queue, deadline: Deadline
) -> list[Result]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    to_store = {
        position: _to_store(result, now)
        for position, result in enumerate(results)
        if result.outcome is outcome
    }
    unstored = store_events(to_store.values(), queue, deadline)
    return [
        _make_pending(result, unstored, to_store.get(position))
        for position, result in enumerate(results)
    ]


def _to_store(result: Result, now: str) -> StoredEvent:
    reason = ": ".join(filter(None, (result.reason, result.detail)))
    return StoredEvent(result.event.text, reason, result.event.stored_at or now)


def _make_pending(
    result: Result, unstored: Mapping[StoredEvent, str], stored: StoredEvent | None
) -> Result:
    if stored is None or stored not in unstored:
        return result
    return Result(result.event, Outcome.PENDING, unstored[stored])
