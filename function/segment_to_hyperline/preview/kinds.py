"""Find properties that are numbers in some billable events and not in others."""

from collections import Counter
from decimal import Decimal
from typing import Any

from segment_to_hyperline.mapping.values import describe_kind
from segment_to_hyperline.text import format_count

# A limit so that a file of any size fits into memory.
_MAX_PROPERTIES = 10_000


class Kinds:
    """The kinds of each property's values, for each event type."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], Counter[str]] = {}

    def add(self, billable: dict[str, Any]) -> None:
        """Add the properties of a billable event from `parse_billable`."""
        for name, value in billable["record"].items():
            key = (billable["event_type"], name)
            if key in self._kinds or len(self._kinds) < _MAX_PROPERTIES:
                kind = "a number" if type(value) is Decimal else describe_kind(value)
                self._kinds.setdefault(key, Counter())[kind] += 1

    def counts(self) -> Counter[str]:
        """Return the properties with several kinds, and how often it isn't a number."""
        return Counter(
            {
                f"record.{name} of {event_type} is {kind}, and a number in"
                f" {format_count(kinds['a number'], 'event')}; only numbers are in the"
                " totals": number
                for (event_type, name), kinds in self._kinds.items()
                for kind, number in kinds.items()
                if kinds["a number"] and kind != "a number"
            }
        )
