"""Parse the times in Segment's events, and format times for Hyperline."""

from datetime import UTC, datetime


def parse_time(text: str) -> datetime:
    """Parse *text* as an ISO 8601 time in UTC; raise ValueError if it isn't one.

    A time without an offset is UTC, as in Segment's spec. Digits after the microseconds
    are cut off.
    """
    # https://www.twilio.com/docs/segment/connections/spec/common#timestamps
    if text[10:11] != "T":  # otherwise fromisoformat accepts some runs of digits
        raise ValueError(text)
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    if time.tzinfo is UTC:  # which takes half the time
        return time
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error


def format_time(time: datetime) -> str:
    """Return *time*, which is in UTC, in ISO 8601 with milliseconds."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
