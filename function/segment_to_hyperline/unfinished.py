"""What happens to events of Replay that are not finished, and when they are retried."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, Self

from segment_to_hyperline.attributes import NO_ATTRIBUTES, Attributes, write_time
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.results import Result, Results, isolate
from segment_to_hyperline.segment.times import parse_time

_HOUR = 60 * 60
# SQS deletes a message after 14 days, and moves it to Quarantine after 1,000 receives.
_MAX_AGE_SECONDS = 12 * 24 * _HOUR
_MAX_RECEIVES = 900
# An isolated event is quarantined at the first attempt after this time in which
# Hyperline accepts others.
_MAX_ISOLATED_SECONDS = 24 * _HOUR
# An event is quarantined after this time if there is no other to compare it with.
_MAX_LONELY_SECONDS = 48 * _HOUR
# The delay doubles with each receive, from 1 to 15 times BACKOFF_SECONDS: 1 to 15
# minutes. That of an isolated event, whose posts can last 8 seconds each, goes on from
# there, up to 4 hours.
_BACKOFF_FACTORS = (1, 15)
_ISOLATED_BACKOFF_FACTORS = (15, 240)
_MAX_DOUBLINGS = 4
# A longer Retry-After would delay too many messages beyond the end of the outage.
_MAX_RETRY_AFTER_SECONDS = _HOUR

_EXPIRED = "not delivered for too long"
_HOPELESS = "not accepted for 24 hours, while Hyperline accepts other events"
_LONELY = "not accepted for 48 hours, without other events to compare it with"


class ReceivedMessage(NamedTuple):
    """A message as SQS delivered it; *sent_at* is a Unix timestamp."""

    id: str
    receipt_handle: str
    body: str
    sent_at: float
    receives: int
    attributes: Attributes = NO_ATTRIBUTES

    @property
    def first_sent_at(self) -> float:
        """When its events were first stored, as a Unix timestamp."""
        return _parse(self.attributes.stored_at, self.sent_at)

    @property
    def event_attributes(self) -> Attributes:
        """The attributes of its events; those of version 0.1.0 had no time."""
        if self.attributes.stored_at:
            return self.attributes
        return self.attributes._replace(stored_at=write_time(self.sent_at))

    @property
    def isolated_at(self) -> float | None:
        """Since when its event is isolated, as a Unix timestamp; None if it isn't."""
        text = self.attributes.isolated_at
        return _parse(text, self.sent_at) if text else None


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
        others = (r for r in results.events if not r.event.attributes.isolated_at)
        is_complete = all(result.is_alone or _is_final(result) for result in others)
        return cls(now, results.has_accepted, is_complete)


def decide(
    message: ReceivedMessage, results: Sequence[Result], attempt: Attempt
) -> list[Result]:
    """Return *results*, with what is to happen to the events that are not finished.

    The events stay in *message* if all of them do. If another event is finished or
    isolated, they are moved to a message of their own. They are quarantined if SQS
    would soon delete them, or if there is no hope for an isolated event.
    """
    reason = _find_end(message, results, attempt)
    if reason:
        return [_quarantine(result, reason) for result in results]
    isolates = attempt.has_accepted and message.isolated_at is None
    if not any(_is_final(r) or (isolates and r.is_alone) for r in results):
        return [result._replace(outcome=Outcome.PENDING) for result in results]
    return [_park(result, attempt.now, isolates=isolates) for result in results]


def choose_delay(
    message: ReceivedMessage, backoff: float, jitter: float, retry_after: float
) -> int:
    """Return for how many seconds *message* is delayed before the next attempt.

    *backoff* is the delay after the first attempt, *jitter* a factor close to 1, and
    *retry_after* how long Hyperline asked to wait.
    """
    is_isolated = message.isolated_at is not None
    least, most = _ISOLATED_BACKOFF_FACTORS if is_isolated else _BACKOFF_FACTORS
    doublings = min(max(message.receives - 1, 0), _MAX_DOUBLINGS)
    delay = backoff * min(least * 2.0**doublings, most) * jitter
    return round(max(delay, min(retry_after, _MAX_RETRY_AFTER_SECONDS)))


def _find_end(
    message: ReceivedMessage, results: Sequence[Result], attempt: Attempt
) -> str:
    """Return why the events are to be quarantined that are not finished; or ""."""
    age = attempt.now - message.sent_at
    if age > _MAX_AGE_SECONDS or message.receives > _MAX_RECEIVES:
        return _EXPIRED
    if not any(result.is_alone for result in results):
        return ""
    if attempt.has_accepted:
        isolated_at = message.isolated_at or attempt.now
        is_hopeless = attempt.now - isolated_at > _MAX_ISOLATED_SECONDS
        return _HOPELESS if is_hopeless else ""
    # After a redrive, the time in Quarantine doesn't count.
    since = message.isolated_at or message.sent_at
    is_lonely = attempt.is_complete and attempt.now - since > _MAX_LONELY_SECONDS
    return _LONELY if is_lonely else ""


def _quarantine(result: Result, reason: str) -> Result:
    if _is_final(result):
        return result
    reason = f"{reason}: {result.reason}"
    return result._replace(outcome=Outcome.QUARANTINED, reason=reason)


def _park(result: Result, now: float, *, isolates: bool) -> Result:
    """Return *result*, to be stored in another message if it isn't final.

    If it *isolates*, an event that was posted alone gets a message of its own.
    """
    if _is_final(result):
        return result
    parked = result._replace(outcome=Outcome.PARKED)
    return isolate(parked, now) if isolates and result.is_alone else parked


def _is_final(result: Result) -> bool:
    return result.outcome.value.final


def _parse(text: str, default: float) -> float:
    with suppress(ValueError):
        return parse_time(text).timestamp()
    return default
