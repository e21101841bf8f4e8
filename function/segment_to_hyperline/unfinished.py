"""What happens to events of Replay that can't be finished."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

from segment_to_hyperline.aws.messages import ReceivedMessage
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import Result, Results, isolate

_HOUR = 60 * 60
# SQS deletes a message after 14 days, and moves it to Quarantine after 1,000 receives.
_MAX_AGE_SECONDS = 12 * 24 * _HOUR
_MAX_RECEIVES = 900
# An isolated event is quarantined at the first attempt after this time in which
# Hyperline accepts others.
_MAX_ISOLATED_SECONDS = 24 * _HOUR
# An event is quarantined after this time if there is no other to compare it with.
_MAX_LONELY_SECONDS = 48 * _HOUR
# Why an event is quarantined that is not finished.
_EXPIRED = Code.EXPIRED, "not delivered for too long"
_HOPELESS = (
    Code.NOT_ACCEPTED,
    "not accepted for 24 hours, while Hyperline accepts other events",
)
_LONELY = (
    Code.NOT_ACCEPTED,
    "not accepted for 48 hours, without other events to compare it with",
)


def has_failed_before(messages: Iterable[ReceivedMessage]) -> bool:
    """Return whether any of *messages* was not finished at an earlier attempt.

    Hyperline may still be down then, and a single event is enough to see it. That an
    isolated event has failed says nothing about others.
    """
    return any(m.receives > 1 and m.isolated_at is None for m in messages)


class Attempt(NamedTuple):
    """An invocation's attempt to deliver events."""

    now: float
    """When it ended, as a Unix timestamp."""
    has_accepted: bool
    """Whether Hyperline accepted any post."""
    is_complete: bool
    """Whether each event that isn't isolated is finished, or was posted alone."""

    @classmethod
    def create(cls, results: Results, now: float) -> Self:
        """Return the attempt with these *results*."""
        others = (r for r in results.all if not r.event.attributes.isolated_at)
        is_complete = all(
            result.is_alone or result.outcome.is_final for result in others
        )
        return cls(now, results.posts.has_accepted, is_complete)


def decide(
    message: ReceivedMessage, results: Sequence[Result], attempt: Attempt
) -> list[Result]:
    """Return *results*, with what is to happen to the events that are not finished.

    The events stay in *message* if all of them do. If another event is finished or
    isolated, they are moved to a message of their own. They are quarantined if SQS
    would soon delete them, or if there is no hope for an isolated event.
    """
    end = _find_end(message, results, attempt)
    if end:
        return [_quarantine(result, *end) for result in results]
    isolates = attempt.has_accepted and message.isolated_at is None
    if not any(r.outcome.is_final or (isolates and r.is_alone) for r in results):
        return [result._replace(outcome=Outcome.PENDING) for result in results]
    return [_park(result, attempt.now, isolates=isolates) for result in results]


def _find_end(
    message: ReceivedMessage, results: Sequence[Result], attempt: Attempt
) -> tuple[Code, str] | None:
    """Return why the events are to be quarantined that are not finished, or None."""
    age = attempt.now - message.sent_at
    if age > _MAX_AGE_SECONDS or message.receives > _MAX_RECEIVES:
        return _EXPIRED
    if not any(result.is_alone for result in results):
        return None
    if attempt.has_accepted:
        isolated_at = message.isolated_at or attempt.now
        is_hopeless = attempt.now - isolated_at > _MAX_ISOLATED_SECONDS
        return _HOPELESS if is_hopeless else None
    # After a redrive, the time in Quarantine doesn't count.
    since = message.isolated_at or message.sent_at
    is_lonely = attempt.is_complete and attempt.now - since > _MAX_LONELY_SECONDS
    return _LONELY if is_lonely else None


def _quarantine(result: Result, code: Code, reason: str) -> Result:
    if result.outcome.is_final:
        return result
    reason = f"{reason}: {result.reason}"
    return result._replace(outcome=Outcome.QUARANTINED, code=code, reason=reason)


def _park(result: Result, now: float, *, isolates: bool) -> Result:
    """Return *result*, to be stored in another message if it isn't final.

    If it *isolates*, an event that was posted alone gets a message of its own.
    """
    if result.outcome.is_final:
        return result
    parked = result._replace(outcome=Outcome.PARKED)
    return isolate(parked, now) if isolates and result.is_alone else parked
