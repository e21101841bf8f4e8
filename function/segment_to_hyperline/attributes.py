"""What is known about stored events besides their JSON: the attributes of a message."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple, Self

# The names of the message's attributes, in the order of the fields below.
_NAMES = ("StoredAt", "Environment", "IsolatedAt")


class Attributes(NamedTuple):
    """The attributes of a message, which all of its events share; empty if unknown."""

    stored_at: str = ""
    """When the events were first stored in a queue, as an ISO 8601 time."""
    environment: str = ""
    """Hyperline's environment that the API key belonged to then."""
    isolated_at: str = ""
    """Since when the event has a message of its own, as an ISO 8601 time."""

    @classmethod
    def read(cls, find: Callable[[str], str]) -> Self:
        """Return the attributes, whose values *find* returns by name."""
        return cls(*map(find, _NAMES))

    def by_name(self) -> dict[str, str]:
        """Return the values of the known attributes by name."""
        return {name: value for name, value in zip(_NAMES, self, strict=True) if value}


NO_ATTRIBUTES = Attributes()


def write_time(timestamp: float) -> str:
    """Return a Unix timestamp as an ISO 8601 time, for an attribute."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="seconds")


def read_time(text: str, default: float) -> float:
    """Return the time of an attribute as a Unix timestamp, or *default*."""
    if text[10:11] != "T":  # neither a day alone, nor another form
        return default
    with suppress(ValueError):
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return default
