"""Why events are not delivered: a code for programs, beside the sentence for people."""

from enum import StrEnum, auto


class Code(StrEnum):
    """The code of a reason, which stays the same if the sentence is improved.

    It is in the log, in responses and in the messages of the queues.
    """

    # The event, or the mapping
    UNMAPPABLE = auto()
    """The mapping selects the event, and can't be applied to it."""
    MAPPING_FAILED = auto()
    """The mapping failed with an error that is a bug of this application."""
    EVENT_REJECTED = auto()
    """Hyperline rejected the event."""
    EVENT_FAILED = auto()
    """Hyperline listed the event in `events_failed`, without a reason."""
    EVENT_TOO_LARGE = auto()
    """The event is too large for a message of SQS."""
    WRONG_ENVIRONMENT = auto()
    """The event was stored while the API key was one of the other environment."""
    TEST_EVENT = auto()
    """A test event of Segment's, which is only sent with a sandbox key."""

    # The secret
    SECRET_UNUSABLE = auto()
    """The secret can't be read, or a field of it is missing or invalid."""
    PREVIOUS_SECRET = auto()
    """Only the previous version of the secret authenticates the request."""
    KEY_REJECTED = auto()
    """Hyperline rejected the API key."""

    # Hyperline
    REQUEST_REJECTED = auto()
    """Hyperline rejected the event, and has accepted no other lately."""
    FORBIDDEN = auto()
    """Hyperline or a firewall rejected the request, and accepts others."""
    THROTTLED = auto()
    """Hyperline's rate limit is exceeded."""
    HYPERLINE_FAILED = auto()
    """Hyperline responded with an error."""
    NO_RESPONSE = auto()
    """Hyperline didn't respond in time."""
    UNREACHABLE = auto()
    """There is no connection to Hyperline."""
    REDIRECTED = auto()
    """Hyperline's host redirected the request."""
    UNKNOWN_STATUS = auto()
    """The response has an HTTP status that Hyperline doesn't document."""
    FOREIGN_RESPONSE = auto()
    """The response is not Hyperline's, but for example a proxy's."""
    UNCONFIRMED = auto()
    """The response to a batch doesn't name the event."""

    # This application
    LATE = auto()
    """The time budget was exceeded."""
    TOO_MUCH = auto()
    """The billable events of the request don't fit into memory."""
    QUEUE_UNAVAILABLE = auto()
    """The event couldn't be stored in its queue."""
    EXPIRED = auto()
    """The event was not delivered for so long that SQS would soon delete it."""
    BACKFILL = auto()
    """The command `backfill` put the event into a queue."""
    NOT_ACCEPTED = auto()
    """Hyperline didn't accept the event for a day or two, alone or while it accepts
    others."""

    # The request as a whole
    UNAUTHORIZED = auto()
    """The request isn't authentic."""
    MALFORMED = auto()
    """No event can be read from the body."""

    @property
    def concerns_every_event(self) -> bool:
        """Whether no event can be billed until the cause is fixed by its owner."""
        return self in _CONCERN_EVERY_EVENT


_CONCERN_EVERY_EVENT = frozenset(
    {Code.SECRET_UNUSABLE, Code.KEY_REJECTED, Code.MAPPING_FAILED}
)
