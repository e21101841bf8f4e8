"""The result of one event: its outcome, and why; and those of many events."""

from collections.abc import Iterable
from typing import NamedTuple

from segment_to_hyperline.attributes import write_time
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.hyperline.failures import Failure
from segment_to_hyperline.hyperline.posts import Posts
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.segment.events import Event
from segment_to_hyperline.segment.facts import MAX_MESSAGE_ID_LENGTH


class Result(NamedTuple):
    """What happened to an event."""

    event: Event
    outcome: Outcome
    code: Code | None = None
    """The code of the reason; None if the event was delivered or filtered."""
    reason: str = ""
    """Why it was not delivered, without values of the event."""
    billable_events: tuple[BillableEvent, ...] = ()
    """What the mapping makes of the event."""
    failure: Failure | None = None
    """Why Hyperline did not accept one of its billable events."""

    @property
    def message_id(self) -> str | None:
        """The event's `messageId`, cut off at the length that Segment allows."""
        message_id = self.event.message_id
        return message_id and message_id[:MAX_MESSAGE_ID_LENGTH]

    @property
    def is_alone(self) -> bool:
        """Whether the event was posted alone and failed."""
        return self.failure is not None and self.failure.is_alone


class Results(NamedTuple):
    """The results of events that were billed together, and the posts for them."""

    all: list[Result]
    """In the order of the events."""
    posts: Posts = Posts()


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


def describe_billable_events(results: Iterable[Result]) -> dict[str, int]:
    """Return the number of billable events, if it isn't that of the delivered ones."""
    delivered = [r for r in results if r.outcome is Outcome.DELIVERED]
    number = count_billable_events(delivered)
    return {"billable_events": number} if number != len(delivered) else {}
