"""The result of one event: its outcome, and why; and those of many events."""

from collections.abc import Iterable
from typing import NamedTuple

from segment_to_hyperline.attributes import write_time
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.segment.events import Event
from segment_to_hyperline.segment.facts import MAX_MESSAGE_ID_LENGTH


class Result(NamedTuple):
    """The outcome of *event*, and the reason if it was not delivered or filtered.

    *reason* contains no values of the event. *detail* may, so it is stored in the queue
    and not logged. *billable_events* is what the mapping makes of the event.
    *retry_after* is how many seconds Hyperline asked to wait; *key_rejected* is whether
    it rejected the API key. An event that was posted alone and failed *is_alone*.
    """

    event: Event
    outcome: Outcome
    reason: str = ""
    detail: str = ""
    billable_events: tuple[BillableEvent, ...] = ()
    retry_after: float = 0
    key_rejected: bool = False
    is_alone: bool = False

    @property
    def message_id(self) -> str | None:
        """The event's `messageId`, cut off at the length that Segment allows."""
        message_id = self.event.message_id
        return message_id and message_id[:MAX_MESSAGE_ID_LENGTH]


class Results(NamedTuple):
    """The results of events that were billed together.

    *post_seconds* has the duration of each request to Hyperline, *has_accepted* is
    whether it accepted any, and *accepts_others* whether it has lately.
    """

    events: list[Result]
    post_seconds: tuple[float, ...] = ()
    has_accepted: bool = False
    accepts_others: bool = False


def isolate(result: Result, now: float) -> Result:
    """Return *result*, whose event is isolated since the Unix timestamp *now*."""
    attributes = result.event.attributes._replace(isolated_at=write_time(now))
    return result._replace(event=result.event._replace(attributes=attributes))


def count_billable_events(results: Iterable[Result]) -> int:
    """Return the number of billable events of the delivered events.

    It differs from their own number if a rule has `each`.
    """
    return sum(
        len(result.billable_events)
        for result in results
        if result.outcome is Outcome.DELIVERED
    )
