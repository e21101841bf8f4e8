"""What happens to events of Replay that can't be finished, and when they are retried.

Pure: no network, no environment, no clock.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from forwarder.attributes import NO_ATTRIBUTES, Attributes
from forwarder.outcomes import Outcome
from forwarder.results import Result
from forwarder.segment.times import parse_time

_HOUR = 60 * 60
# SQS deletes a message after 14 days, and moves it to Quarantine after 1,000 receives.
_MAX_AGE_SECONDS = 12 * 24 * _HOUR
_MAX_RECEIVES = 900
# For how long an isolated event is retried, and why it is then quarantined: by whether
# Hyperline accepts other events at that time.
_HOPELESS = {
    True: (24 * _HOUR, "not accepted for 24 hours, while Hyperline accepts others"),
    False: (48 * _HOUR, "not accepted for 48 hours, without any other to compare with"),
}
# After so many receives, in about two hours, an event is isolated although there is no
# other that Hyperline accepts.
_MAX_RECEIVES_ALONE = 10
# The delay doubles with each receive, from 1 to 15 times BACKOFF_SECONDS: 1 to 15
# minutes. That of an isolated event, whose posts can take 10 seconds each, goes on from
# there, up to 4 hours.
_BACKOFF_FACTORS = (1, 15)
_ISOLATED_BACKOFF_FACTORS = (15, 240)
_MAX_DOUBLINGS = 4
# A longer Retry-After would delay too many messages beyond the end of the outage.
_MAX_RETRY_AFTER_SECONDS = _HOUR

_EXPIRED = "not delivered for too long"


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
    def isolated_at(self) -> float | None:
        """Since when its event is isolated, as a Unix timestamp; None if it isn't."""
        text = self.attributes.isolated_at
        return _parse(text, self.sent_at) if text else None


class Attempt(NamedTuple):
    """An invocation's attempt to deliver events."""

    now: float
    """When it ended, as a Unix timestamp."""
    has_accepted: bool
    """Whether Hyperline accepted any post."""
    is_complete: bool
    """Whether each event was accepted, or posted alone."""


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
    isolates = _isolates(message, attempt)
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
    isolated_at = message.isolated_at
    if isolated_at is None or not any(result.is_alone for result in results):
        return ""
    seconds, reason = _HOPELESS[attempt.has_accepted]
    return reason if attempt.now - isolated_at > seconds else ""


def _isolates(message: ReceivedMessage, attempt: Attempt) -> bool:
    """Return whether an event of *message* that was posted alone is to be isolated.

    If Hyperline accepts others, that event is the cause. If there are no others, it is
    assumed to be after some attempts.
    """
    if message.isolated_at is not None:
        return False
    is_assumed = attempt.is_complete and message.receives > _MAX_RECEIVES_ALONE
    return attempt.has_accepted or is_assumed


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
    event = result.event
    if isolates and result.is_alone:
        time = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        attributes = event.attributes._replace(isolated_at=time)
        event = event._replace(attributes=attributes)
    return result._replace(event=event, outcome=Outcome.PARKED)


def _is_final(result: Result) -> bool:
    return result.outcome.value.final


def _parse(text: str, default: float) -> float:
    with suppress(ValueError):
        return parse_time(text).timestamp()
    return default
