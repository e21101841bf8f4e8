"""Read the times that Segment writes; the mapping and the receiving side both do."""

from datetime import UTC, datetime


def parse(text: str) -> datetime:
    """Return the time that *text* tells, in UTC; raise ValueError if it tells none.

    A time without an offset is UTC, as the Segment spec has it. Digits beyond
    microseconds are cut off.
    """
    # https://www.twilio.com/docs/segment/connections/spec/common#timestamps
    if text[10:11] != "T":  # a run of digits, say milliseconds, could pass for a date
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error
