"""Why Hyperline did not accept a billable event."""

from enum import Enum, auto
from typing import NamedTuple

from segment_to_hyperline.hyperline.billable_event import Key
from segment_to_hyperline.reasons import Code

# For each event that was posted: None if it was accepted, otherwise why it was not.
type Failures = dict[Key, "Failure | None"]


class Kind(Enum):
    """What a failure is about."""

    REJECTED = auto()  # the event: posting it again doesn't help
    KEY_REJECTED = auto()  # the API key
    THROTTLED = auto()  # the rate limit
    UNAVAILABLE = auto()  # Hyperline, or the way to it
    UNFINISHED = auto()  # the time: more posts are needed to know


class Failure(NamedTuple):
    """Why a billable event was not accepted."""

    kind: Kind
    code: Code
    reason: str
    """A sentence without values of the event."""
    detail: str = ""
    """Hyperline's message, which can have values of the event: it is not logged."""
    responded: bool = True
    """Whether there was a response."""
    retry_after: float = 0
    """For how many seconds Hyperline asked to wait."""
    is_alone: bool = False
    """Whether the event was posted alone."""
    is_hurried: bool = False
    """Whether there was too little time for a response."""
