"""How far the time of a billable event can be from when Segment received the event.

SDKs and device clocks produce times such as 1970, year 1 or 2036, which no invoice
has. `receivedAt` is Segment's own clock and part of the event, so a retry has the same
result.
https://www.twilio.com/docs/segment/connections/spec/common#timestamps
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from segment_to_hyperline.segment.facts import EVENT_TIMES
from segment_to_hyperline.segment.times import parse_time

_DAY = timedelta(days=1)


class Limits(NamedTuple):
    """How far a time can be from `receivedAt`; None if that is not checked."""

    max_days_in_past: timedelta | None
    """How long before `receivedAt`."""
    max_days_in_future: timedelta | None
    """How long after `receivedAt`."""


# The limits that a table of the mapping file sets, by name.
type SetLimits = Mapping[str, timedelta]

# A year and a day, because usage can be imported later, and a day for wrong clocks.
DEFAULT_LIMITS = Limits(366 * _DAY, _DAY)


def read_limits(content: Mapping[str, Any]) -> SetLimits:
    """Return the limits in a table of the mapping file, which has them in days.

    Raises ValueError with the reason.
    """
    return {
        name: _read_days(name, content[name])
        for name in Limits._fields
        if name in content
    }


def choose_limits(path: tuple[str, ...], limits: SetLimits) -> Limits:
    """Return the limits for the timestamp at *path*: *limits*, or else the default.

    The default is for the event's own times. Another time, such as the end of a period,
    can be far away.
    """
    is_own = len(path) == 1 and path[0] in EVENT_TIMES
    return (DEFAULT_LIMITS if is_own else Limits(None, None))._replace(**limits)


def parse_received_at(event: Mapping[str, Any]) -> datetime | None:
    """Return when Segment received *event*, or None if it doesn't say."""
    try:
        return parse_time(event["receivedAt"])
    except (KeyError, TypeError, ValueError):
        return None


def find_excess(time: datetime, received_at: datetime | None, limits: Limits) -> str:
    """Return by how much *time* exceeds *limits*; or nothing, as without *received_at*.

    It has the name of the limit, as in `more than 1 day later than receivedAt
    (max_days_in_future)`.
    """
    if received_at is None:
        return ""
    past, future = limits
    if future is not None and time - received_at > future:
        return f"{_format_limit(future, 'later')} (max_days_in_future)"
    if past is not None and received_at - time > past:
        return f"{_format_limit(past, 'earlier')} (max_days_in_past)"
    return ""


def _read_days(name: str, days: Any) -> timedelta:
    if days is False:
        return timedelta.max  # unlike None, it is what the owner has decided
    if type(days) not in {int, float} or not 0 <= days < timedelta.max.days:
        raise ValueError(f"{name}: must be a number of days, or false for no limit")
    return timedelta(days=days)


def _format_limit(limit: timedelta, direction: str) -> str:
    days = f"{limit / _DAY:g} day{'' if limit == _DAY else 's'}"
    return f"more than {days} {direction} than receivedAt"
