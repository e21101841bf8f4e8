"""What happens to the events of Replay that can't be finished, and when they are retried.

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
# An event that makes its posts fail is quarantined after this time if Hyperline accepts
# other events at that time, and after the second one if there are none.
_MAX_ISOLATED_SECONDS = 24 * _HOUR
_MAX_ISOLATED_SECONDS_ALONE = 48 * _HOUR
# The backoff doubles with each receive, up to 15 times the first: 1 to 15 minutes. That
# of an isolated event grows further, up to an hour.
_MAX_BACKOFF_FACTOR = 15
_MAX_ISOLATED_BACKOFF_FACTOR = 60
_MAX_DOUBLINGS = 6
# A longer Retry-After would delay too many messages beyond the end of the outage.
_MAX_DELAY_SECONDS = _HOUR

_EXPIRED = "not delivered for too long"
_HOPELESS = "not accepted for 24 hours, while Hyperline accepts other events"
_HOPELESS_ALONE = "not accepted for 48 hours, without any other event to compare it with"


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


def decide(
    message: ReceivedMessage, results: Sequence[Result], now: float, *, accepts: bool
) -> list[Result]:
    """Return *results*, with what is to happen to the events that are not finished.

    *now* is a Unix timestamp, and *accepts* whether Hyperline accepted a post of the
    same invocation. The events stay in *message* if all of them do. If another event is
    finished or isolated, they are moved to a message of their own. They are quarantined
    if SQS would soon delete them, or if there is no hope for an isolated event.
    """
    quarantine_reason = _find_end(message, results, now, accepts=accepts)
    if quarantine_reason:
        return [_quarantine(result, quarantine_reason) for result in results]
    isolates = accepts and message.isolated_at is None
    if not any(_is_final(r) or (isolates and r.is_alone) for r in results):
        return [result._replace(outcome=Outcome.PENDING) for result in results]
    return [_park(result, now, isolates=isolates) for result in results]


def choose_delay(
    message: ReceivedMessage, first: float, jitter: float, retry_after: float
) -> int:
    """Return for how many seconds *message* is delayed before the next attempt.

    *first* is the delay after the first attempt, *jitter* a factor close to 1, and
    *retry_after* how long Hyperline asked to wait.
    """
    is_isolated = message.isolated_at is not None
    limit = _MAX_ISOLATED_BACKOFF_FACTOR if is_isolated else _MAX_BACKOFF_FACTOR
    doublings = min(max(message.receives - 1, 0), _MAX_DOUBLINGS)
    backoff = first * min(2.0**doublings, limit) * jitter
    return min(round(max(backoff, retry_after)), _MAX_DELAY_SECONDS)


def _find_end(
    message: ReceivedMessage, results: Sequence[Result], now: float, *, accepts: bool
) -> str:
    """Return why the events are to be quarantined that are not finished; or ""."""
    if now - message.sent_at > _MAX_AGE_SECONDS or message.receives > _MAX_RECEIVES:
        return _EXPIRED
    isolated_at = message.isolated_at
    if isolated_at is None or not any(result.is_alone for result in results):
        return ""
    if accepts:
        return _HOPELESS if now - isolated_at > _MAX_ISOLATED_SECONDS else ""
    return _HOPELESS_ALONE if now - isolated_at > _MAX_ISOLATED_SECONDS_ALONE else ""


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
