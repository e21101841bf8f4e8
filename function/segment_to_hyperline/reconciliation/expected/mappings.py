"""Mappings with the times at which they were deployed."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from segment_to_hyperline.mapping.file import parse_rules
from segment_to_hyperline.mapping.rules import Rules


class DatedMapping(NamedTuple):
    """A mapping, and when it was deployed."""

    since: int
    """In milliseconds since 1970. The first mapping is also used before."""
    content: bytes
    """The content of the file."""
    name: str
    """The file's name, for messages."""


class DatedRules:
    """The rules of *mappings*; raises `MappingFileError`."""

    def __init__(self, mappings: Sequence[DatedMapping]) -> None:
        ordered = sorted(mappings, key=lambda mapping: mapping.since)
        self._times = [mapping.since for mapping in ordered]
        self._rules = [
            (each.since, parse_rules(each.content, each.name)) for each in ordered
        ]

    def find(self, received_at: int) -> Sequence[tuple[int, Rules]]:
        """Return the rules that were deployed at *received_at*, and all later ones.

        Each is after the time of its deployment, in milliseconds since 1970.

        The later ones count as well: an event that Hyperline didn't accept is billed
        with the mapping that is deployed when it is delivered.
        """
        if len(self._rules) == 1:
            return self._rules
        return self._rules[max(bisect_right(self._times, received_at) - 1, 0) :]
