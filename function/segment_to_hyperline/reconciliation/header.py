"""What a result is about, so that it can be understood and repeated later."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from segment_to_hyperline.reconciliation.api.rows import (
    format_milliseconds,
    read_milliseconds,
)
from segment_to_hyperline.text import format_count, make_printable

_SHOWN_DIGITS = 12
_INPUT = ("files", "events", "sha256")


class MappingVersion(NamedTuple):
    """Which mapping was used."""

    file: str
    sha256: str
    """The hash of its content."""
    commit: str
    """The git commit that it is from, or why there is none."""
    since: str = ""
    """When it was deployed, in ISO 8601; empty if it was used all the time before."""


class Header(NamedTuple):
    """Where a result is from."""

    host: str
    """The host that was read."""
    environment: str
    """`production` or `sandbox`."""
    read_at: str
    """When it was read, in ISO 8601."""
    start: int
    """The start of the compared time, in milliseconds since 1970."""
    end: int
    """Its end, which is not part of it."""
    mappings: tuple[MappingVersion, ...]
    """In the order of their times."""
    files: int
    """The number of files of the input."""
    events: int
    """The number of events in them."""
    sha256: str
    """The hash over the hashes of these files, in the order of the arguments."""
    customers: str
    """How it is known which of Hyperline's customers is which."""

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield names and texts for people."""
        start, end = map(format_milliseconds, (self.start, self.end))
        yield "Hyperline", f"{self.host} ({self.environment})"
        yield "read at", self.read_at
        yield "range", f"{start} to {end}, UTC"
        # The name can be so long that the rest of its line isn't shown.
        for name, digest, commit, since in self.mappings:
            yield "mapping", make_printable(name)
            yield "", f"sha256 {digest[:_SHOWN_DIGITS]}, {commit}"
            if since:
                yield "", f"for events received since {since}"
        numbers = format_count(self.files, "file"), format_count(self.events, "event")
        yield "input", f"{', '.join(numbers)}, sha256 {self.sha256[:_SHOWN_DIGITS]}"
        yield "customers", self.customers

    def to_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "host": self.host,
            "environment": self.environment,
            "read_at": self.read_at,
            "from": format_milliseconds(self.start),
            "to": format_milliseconds(self.end),
            "time_zone": "UTC",
            "mappings": [mapping._asdict() for mapping in self.mappings],
            "input": {name: getattr(self, name) for name in _INPUT},
            "customers": self.customers,
        }


def read_header(content: Mapping[str, Any]) -> Header:
    """Return the header that `Header.to_json` gave; raises KeyError and TypeError."""
    files, events, sha256 = map(content["input"].__getitem__, _INPUT)
    return Header(
        content["host"],
        content["environment"],
        content["read_at"],
        read_milliseconds(content["from"]) or 0,
        read_milliseconds(content["to"]) or 0,
        tuple(MappingVersion(**mapping) for mapping in content["mappings"]),
        *(files, events, sha256),
        content["customers"],
    )
