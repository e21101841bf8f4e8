"""The folders of Segment's archive that a time range needs.

The archive is `[prefix/]segment-logs/{source-id}/{received-day}/file.gz`. The day is
that on which Segment received the events: the Unix timestamp of its midnight in UTC, in
milliseconds.

Pure: no network, no environment, no clock.
"""

# https://www.twilio.com/docs/segment/connections/storage/catalog/aws-s3#data-format

import re
from datetime import UTC, datetime
from typing import NamedTuple, Self

DAY_MILLISECONDS = 24 * 60 * 60 * 1_000
# The folder of the sources.
SEGMENT_LOGS = "segment-logs/"
_DAY = re.compile(r"(?:.*/)?(\d{13})/")


class ReceivedDays(NamedTuple):
    """Which days of receipt are needed."""

    first: int | None = None
    """The first one, as the timestamp of its midnight in milliseconds; None for all."""
    last: int | None = None
    """The last one, likewise."""

    @classmethod
    def create(cls, start: int | None, received_until: int | None) -> Self:
        """Return the days for events from *start*, received until *received_until*.

        Both are in milliseconds since 1970. The first day is that before *start*,
        because the clock of a sender can be ahead of Segment's.
        """
        first = None if start is None else _find_midnight(start) - DAY_MILLISECONDS
        last = None if received_until is None else _find_midnight(received_until)
        return cls(first, last)

    def include(self, day: int) -> bool:
        """Return whether *day* is needed."""
        is_late_enough = self.first is None or day >= self.first
        return is_late_enough and (self.last is None or day <= self.last)

    def describe(self) -> str:
        """Return the days for people."""
        first = f" from {format_day(self.first)}" if self.first is not None else ""
        last = f" until {format_day(self.last)}" if self.last is not None else ""
        return f"received{first}{last}"


ALL_DAYS = ReceivedDays()


def read_day(folder: str) -> int | None:
    """Return the day of receipt that the last part of *folder* is, or None."""
    name = _DAY.fullmatch(folder)
    if name is None:
        return None
    day = int(name[1])
    return None if day % DAY_MILLISECONDS else day


def format_day(day: int) -> str:
    """Return the date of *day*."""
    return datetime.fromtimestamp(day / 1_000, UTC).date().isoformat()


def _find_midnight(moment: int) -> int:
    return moment - moment % DAY_MILLISECONDS
