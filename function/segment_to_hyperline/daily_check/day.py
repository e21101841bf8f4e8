"""The day that is compared, and where its reports are.

Pure: no network, no environment, no clock.
"""

from datetime import UTC, datetime
from typing import NamedTuple, Self

from segment_to_hyperline.archive.received_days import DAY_MILLISECONDS

# Where the reports are in the bucket; template.yaml deletes them after 400 days.
REPORTS = "daily/"


class Day(NamedTuple):
    """A day in UTC."""

    start: int
    """Its midnight, in milliseconds since 1970."""
    age: int
    """How many days ago it was."""

    @classmethod
    def create(cls, now: float, days_ago: int) -> Self:
        """Return the day that was *days_ago*; *now* is in seconds since 1970."""
        today = int(now * 1_000) // DAY_MILLISECONDS * DAY_MILLISECONDS
        return cls(today - days_ago * DAY_MILLISECONDS, days_ago)

    @property
    def end(self) -> int:
        """The midnight after it."""
        return self.start + DAY_MILLISECONDS

    @property
    def date(self) -> str:
        """Its date, such as `2026-11-24`."""
        return f"{_to_date(self.start):%Y-%m-%d}"

    @property
    def next_date(self) -> str:
        """The date of the day after it."""
        return f"{_to_date(self.end):%Y-%m-%d}"

    def name_report(self, extension: str) -> str:
        """Return the key of its report, of which there is one for each age."""
        days = "1-day" if self.age == 1 else f"{self.age}-days"
        return f"{REPORTS}{self.date}/after-{days}.{extension}"

    def describe(self) -> str:
        """Return the day for people; a later look at it is named as such."""
        date = _to_date(self.start)
        again = "" if self.age == 1 else f", checked again after {self.age} days"
        return f"{date.day} {date:%B}{again}"


def _to_date(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC)
