"""The differences between the input and Hyperline."""

from typing import Any, NamedTuple

MISSING, DIFFERENT, UNEXPECTED = "missing", "different", "unexpected"
# An event that was not found by its time, and can't be looked up by its id.
UNCHECKED = "unchecked"

# Why Hyperline has a row that isn't expected.
SUPERSEDED = "an earlier version of the event"
UNMAPPED = "an event of the input that this mapping doesn't bill so"
# Maybe it was right to bill it: the mapping can't tell, or the destination has another
# name than the one that was given.
UNMAPPABLE = "an event of the input that this mapping can't bill"
UNSENT = "an event of the input that isn't sent to the destination"
FOREIGN = "not in the input"
COPIED = "stored more than once"


class Finding(NamedTuple):
    """A difference between the input and Hyperline."""

    kind: str
    event_type: str
    record_id: str
    time: int
    """In milliseconds since 1970; 0 if that of a row can't be read."""
    customer: str
    """That of the event; if it isn't expected, Hyperline's id, or empty."""
    origin: str = ""
    """Why Hyperline has it, if it isn't expected."""
    details: dict[str, Any] = {}  # noqa: RUF012 - never changed
    """By field: the expected value and that of Hyperline."""
