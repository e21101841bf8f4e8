"""Which days of Segment's archive a time range needs."""

from datetime import UTC, datetime

import pytest

from segment_to_hyperline.archive.received_days import (
    ALL_DAYS,
    ReceivedDays,
    format_day,
    read_day,
)


def parse(text: str) -> int:
    """Return a time in milliseconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


MARCH = ReceivedDays.create(parse("2026-03-01T12:00"), parse("2026-04-05T23:59"))


@pytest.mark.parametrize(
    ("day", "is_needed"),
    [
        ("2026-02-27", False),
        ("2026-02-28", True),
        ("2026-03-15", True),
        ("2026-04-05", True),
        ("2026-04-06", False),
    ],
)
def test_the_days_begin_one_before_the_range(day: str, is_needed: bool) -> None:  # noqa: FBT001
    """The clock of a sender can be ahead; events received later can be old."""
    assert MARCH.include(parse(day)) is is_needed


def test_without_a_range_every_day_is_needed() -> None:
    """Also with one end only."""
    start, end = parse("2026-03-01"), parse("2026-03-31")

    assert ALL_DAYS.include(0)
    assert ReceivedDays.create(start, None).include(2 * start)
    assert not ReceivedDays.create(start, None).include(parse("2026-02-27"))
    assert ReceivedDays.create(None, end).include(0)
    assert not ReceivedDays.create(None, end).include(parse("2026-04-01"))


def test_days_are_described_as_dates() -> None:
    """People don't read timestamps."""
    assert MARCH.describe() == "received from 2026-02-28 until 2026-04-05"
    assert ALL_DAYS.describe() == "received"


@pytest.mark.parametrize(
    ("folder", "day"),
    [
        ("1772323200000/", "2026-03-01"),
        ("a/segment-logs/source/1772323200000/", "2026-03-01"),
        ("1772323200001/", None),
        ("1772323200/", None),
        ("2026-03-01/", None),
        ("1772323200000", None),
        ("1772323200000/other/", None),
    ],
)
def test_a_day_is_midnight_in_milliseconds(folder: str, day: str | None) -> None:
    """Another folder is none, and is read whatever the range is."""
    found = read_day(folder)

    assert (None if found is None else format_day(found)) == day
