"""What the check of a day found, as numbers and as a sentence for people.

A sentence has no ids and no personal data.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from segment_to_hyperline.daily_check.day import Day
from segment_to_hyperline.reconciliation.differences import Differences
from segment_to_hyperline.reconciliation.findings import (
    DIFFERENT,
    MISSING,
    UNCHECKED,
    UNEXPECTED,
)
from segment_to_hyperline.reconciliation.reconcile import LOOKED_UP
from segment_to_hyperline.text import format_count


class Result(NamedTuple):
    """What the check of a day found."""

    expected: int = 0
    """The number of billable events that the archive gives."""
    missing: int = 0
    different: int = 0
    unexpected: int = 0
    unchecked: int = 0
    """Events whose id Hyperline can't look up."""
    unreadable: int = 0
    """Parts of the archive that can't be read."""
    quarantined: int = 0
    """Events that the mapping can't bill."""
    is_complete: bool = True
    """Whether there are few enough differences to count them."""
    has_customers: bool = True
    """Whether it is known which of Hyperline's customers is which."""
    is_undated: bool = False
    """Whether it isn't known when the newest mapping was deployed."""
    queued: int | None = None
    """How many missing events were put into Replay, if that is wanted."""

    @classmethod
    def create(
        cls, differences: Differences, customers_from: str, *, is_undated: bool
    ) -> Self:
        """Return the numbers of *differences*."""
        counts = differences.counts
        return cls(
            differences.expected,
            counts.get(MISSING, 0),
            counts.get(DIFFERENT, 0),
            counts.get(UNEXPECTED, 0),
            counts.get(UNCHECKED, 0),
            differences.unreadable,
            differences.quarantined,
            differences.is_complete,
            customers_from == LOOKED_UP,
            is_undated,
        )

    @property
    def unproven(self) -> int:
        """The number of events and parts that say nothing, so that nobody trusts them.

        Too many differences to count are one, and so is a mapping of an unknown time.
        """
        parts = self.unchecked + self.unreadable
        return parts + (not self.is_complete) + self.is_undated

    @property
    def is_right(self) -> bool:
        """Whether Hyperline has exactly the events of the archive."""
        differs = self.missing or self.different or self.unexpected
        return not (differs or self.unproven or self.quarantined)

    def metrics(self) -> Iterator[tuple[str, int]]:
        """Yield the metrics, also those that are 0, because an alarm adds them."""
        yield "Expected", self.expected
        yield "Missing", self.missing
        yield "Different", self.different
        yield "Unexpected", self.unexpected
        yield "Unproven", self.unproven
        yield "Quarantined", self.quarantined

    def describe(self, day: Day, note: str, url: str, *, is_first: bool) -> str:
        """Return what was found about *day*, and the *url* of the report if needed.

        *note* says why the archive has no events, if that is so.
        """
        parts = [f"{day.describe()}: {self._describe_events()}.", *self._list_notes()]
        parts += [f"{note}."] if note else []
        parts += ["This is the first report, and it says what to check."] * is_first
        parts += [] if self.is_right and not is_first else [f"Report: {url}"]
        return " ".join(parts)

    def _list_notes(self) -> Iterator[str]:
        if self.quarantined:
            yield f"The mapping can't bill {format_count(self.quarantined, 'event')}."
        if doubts := [*self._list_doubts()]:
            yield f"The day is not proven: {_join(doubts)}."
        if not self.has_customers and self.expected:
            yield (
                "Whether they are under the right customers is not proven: the API key"
                " may not read customers, or Hyperline's host is not its own."
            )
        if self.queued is not None:
            what = format_count(self.queued, "missing event")
            yield f"{what} {'was' if self.queued == 1 else 'were'} put into Replay."

    def _describe_events(self) -> str:
        none = "no billable events" if self.quarantined else "no events"
        total = format_count(self.expected, "event") if self.expected else none
        if not self.is_complete:
            return f"{total}, with too many differences from Hyperline to list"
        unexpected = f"{self.unexpected:,} unexpected" if self.unexpected else ""
        wrong = [
            f"{number:,} {'is' if number == 1 else 'are'} {kind}"
            for number, kind in ((self.missing, MISSING), (self.different, DIFFERENT))
            if number
        ]
        if wrong:
            more = f", which also has {unexpected}" if unexpected else ""
            return f"{total}, of which {' and '.join(wrong)} in Hyperline{more}"
        billed = ", billed" if self.expected == 1 else ", all billed"
        is_all = self.expected and not (self.unproven or self.quarantined)
        billed = billed if is_all else ""
        return f"{total}{billed}{f', and {unexpected} in Hyperline' * bool(unexpected)}"

    def _list_doubts(self) -> Iterator[str]:
        if self.unchecked:
            yield f"{format_count(self.unchecked, 'event')} can't be looked up"
        if self.unreadable:
            parts = format_count(self.unreadable, "part")
            yield f"{parts} of the archive can't be read"
        if self.is_undated:
            yield "it is not known when the mapping was deployed"


def _join(parts: Sequence[str]) -> str:
    return " and ".join(parts)
