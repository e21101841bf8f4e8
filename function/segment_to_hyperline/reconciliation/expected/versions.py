"""The versions of events in the input, and what is to be billed for them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from segment_to_hyperline.elements import TooDeep

# The number of bits of a position for that in a source.
_BITS = 40


class Version(NamedTuple):
    """A version of an event in the input: what Segment received at one time."""

    message_id: str
    received_at: int
    """When Segment received it, in milliseconds since 1970; 0 if unknown."""
    sequence: int
    """Its position in the input."""
    time: int
    """The timestamp of the event, in milliseconds since 1970; 0 if unknown."""
    outcome: str
    """`billed`, or what became of it instead."""
    reason: str
    """Why it isn't billed."""


class Billable(NamedTuple):
    """A billable event that follows from a version of an event."""

    event_type: str
    record_id: str
    message_id: str
    """That of its version; so are the next two."""
    received_at: int
    sequence: int
    time: int
    """Its own timestamp, in milliseconds since 1970, rounded down."""
    customer: str
    body: bytes
    """Its JSON, as it is posted."""


class Expected(NamedTuple):
    """A billable event that Hyperline should have stored."""

    event_type: str
    record_id: str
    message_id: str
    time: int
    """In milliseconds since 1970, rounded down."""
    customer: str
    body: bytes
    """Its JSON, as it is posted."""
    number: int = 0
    """Its number in the database."""


def read_fields(data: Any) -> Mapping[str, Any]:
    """Return the fields of an event's *data* as far as they are known."""
    if isinstance(data, TooDeep):
        return data.fields
    return data if isinstance(data, dict) else {}


def identify(fields: Mapping[str, Any], sequence: int) -> str:
    """Return the messageId of the event with *fields* at a position in the input.

    One without a messageId gets an id of its own: no other event is a version of it.
    """
    message_id = fields.get("messageId")
    is_known = isinstance(message_id, str) and message_id
    return str(message_id) if is_known else f"(none) {sequence}"


def join_sequence(source: int, number: int) -> int:
    """Return the position in the input of an event, by those of its source and in it.

    Both begin at 0.
    """
    return source << _BITS | number


def split_sequence(sequence: int) -> tuple[int, int]:
    """Return the position of the source, and that of the event in it."""
    return sequence >> _BITS, sequence & (1 << _BITS) - 1
