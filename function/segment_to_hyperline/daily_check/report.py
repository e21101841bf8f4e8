"""Write the report of a day, for people and for programs."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from segment_to_hyperline.daily_check.billing import Queued
from segment_to_hyperline.daily_check.day import Day
from segment_to_hyperline.reconciliation.differences import Differences

FIRST = """\
This is the first report, so check what is missing before you trust it or bill it.
The archive has all events of a source, and Segment may send only a part of them to
Hyperline: by the trigger of the destination's mapping, by filters, by the schema of
the source. Events of one name that are missing all the time are not sent. Events of
all names that are missing for a time were lost. See "What Segment doesn't send" in
docs/reconcile.md.
"""


class Report(NamedTuple):
    """What is said about a day."""

    day: Day
    sentence: str
    differences: Differences
    is_first: bool
    queued: Queued | None = None
    """What became of missing events, if they are billed automatically."""

    def text(self) -> Iterator[str]:
        """Yield lines for people."""
        yield f"{self.sentence}\n"
        if self.is_first:
            yield FIRST
        if self.queued:
            yield f"put into Replay: {self.queued.number:,}"
            for reason, number in self.queued.others.items():
                yield f"not put into Replay: {number:,}, {reason}"
            yield ""
        yield from self.differences.text()

    def to_json(self) -> dict[str, Any]:
        """Return everything for programs."""
        return {
            "day": self.day.date,
            "after_days": self.day.age,
            "summary": self.sentence,
            "first": self.is_first,
            "put_into_replay": self.queued and self.queued._asdict(),
            **self.differences.to_json(),
        }
