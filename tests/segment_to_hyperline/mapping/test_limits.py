"""The times of billable events, compared with when Segment received the event."""

from typing import Any

import pytest

from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.expressions import UnmappableEvent
from tests.samples import read_rules, track

RECEIVED = "2026-06-01T12:00:00.000Z"
RECORD = "record = {}\n"
PERIOD = f'{RECORD}timestamp = "properties.end"\n'
LATER = "is more than 1 day later than receivedAt (max_days_in_future)"
EARLIER = "is more than 366 days earlier than receivedAt (max_days_in_past)"


def bill(rule: str, **changes: Any) -> str:
    """Return the reason why an event is unmappable, or nothing if it is billed."""
    try:
        assert apply_rules(read_rules(rule), track(receivedAt=RECEIVED) | changes)
    except UnmappableEvent as error:
        return str(error).removeprefix("rule 1 (track): ")
    return ""


@pytest.mark.parametrize(
    ("time", "problem"),
    [
        ("2026-06-01T11:59:59.000Z", ""),
        ("2026-06-02T12:00:00.000Z", ""),
        ("2026-06-02T12:00:00.001Z", LATER),
        ("2026-06-02T14:00:00.000+02:00", ""),
        ("2036-02-07T06:28:15Z", LATER),
        ("9999-12-31T23:59:59.999Z", LATER),
        ("2025-05-31T12:00:00.000Z", ""),
        ("2025-05-31T11:59:59.999Z", EARLIER),
        ("1970-01-01T00:00:00.000Z", EARLIER),
        ("0001-01-01T00:00:00Z", EARLIER),
    ],
)
def test_a_time_that_no_invoice_has_is_unmappable(time: str, problem: str) -> None:
    """Broken SDKs and device clocks produce them; without a limit, they get lost."""
    assert bill(RECORD, timestamp=time) == (
        problem and f"timestamp: timestamp {problem}"
    )


@pytest.mark.parametrize("received", [None, "", "today", 5, {}, "2026-06-01"])
def test_without_a_valid_time_of_receipt_nothing_is_checked(received: Any) -> None:
    """Events that somebody else sends, or the Event Tester generates, have none."""
    old = {"timestamp": "1970-01-01T00:00:00.000Z"}

    assert bill(RECORD, receivedAt=received, **old) == ""
    bare = {name: value for name, value in track(**old).items() if name != "receivedAt"}
    assert apply_rules(read_rules(RECORD), bare)


@pytest.mark.parametrize("field", ["timestamp", "originalTimestamp", "sentAt"])
def test_the_times_of_the_event_have_limits_by_default(field: str) -> None:
    """They are about the moment at which it happened."""
    rule = f'{RECORD}timestamp = "{field}"'

    assert (
        bill(rule, **{field: "2036-01-01T00:00:00Z"}) == f"timestamp: {field} {LATER}"
    )


@pytest.mark.parametrize(
    ("keys", "time", "problem"),
    [
        ("", "2036-01-01T00:00:00Z", ""),
        ("", "1970-01-01T00:00:00Z", ""),
        ("max_days_in_future = 31", "2026-07-02T12:00:00Z", ""),
        (
            "max_days_in_future = 31",
            "2026-07-02T12:00:01Z",
            "is more than 31 days later than receivedAt (max_days_in_future)",
        ),
        ("max_days_in_future = 31", "1970-01-01T00:00:00Z", ""),
        (
            "max_days_in_past = 0.5",
            "2026-05-31T23:59:59Z",
            "is more than 0.5 days earlier than receivedAt (max_days_in_past)",
        ),
        ("[limits]\nmax_days_in_future = 1", "2026-07-02T12:00:00Z", LATER),
    ],
)
def test_another_time_has_limits_if_they_are_set(
    keys: str, time: str, problem: str
) -> None:
    """The end of a period, for example, can be far away."""
    reason = bill(PERIOD + keys, properties={"end": time})

    assert reason == (problem and f"timestamp: properties.end {problem}")


@pytest.mark.parametrize(
    ("keys", "billed"),
    [
        ("max_days_in_past = 800\n", True),
        ("max_days_in_past = false\n", True),
        ("max_days_in_future = 800\n", False),
        ("[limits]\nmax_days_in_past = 800\n", True),
        ("max_days_in_past = 10\n[limits]\nmax_days_in_past = 800\n", False),
        ("max_days_in_past = false\n[limits]\nmax_days_in_past = 10\n", True),
    ],
)
def test_a_limit_of_the_rule_overrides_that_of_the_file(
    keys: str, *, billed: bool
) -> None:
    """Either replaces the default; false means that there is no limit."""
    reason = bill(RECORD + keys, timestamp="2025-01-01T00:00:00Z")

    assert bool(reason) != billed


def test_a_time_inside_a_field_of_the_event_has_no_limits() -> None:
    """Only the event's own times are about the moment at which it happened."""
    rule = f'{RECORD}timestamp = "timestamp.end"'

    assert bill(rule, timestamp={"end": "2036-01-01T00:00:00Z"}) == ""


def test_line_items_have_the_same_limits() -> None:
    """One invalid time quarantines the order, so that no part of it is billed."""
    items = [{"at": RECEIVED}, {"at": "1970-01-01T00:00:00Z"}]
    rule = f'{RECORD}each = "properties.items"\n'
    event = {"properties": {"items": items}}

    old = bill(rule, **event, timestamp="1970-01-01T00:00:00Z")
    assert old == f"item 0: timestamp: timestamp {EARLIER}"
    of_item = rule + 'timestamp = "item.at"\n'
    assert bill(of_item, **event) == ""
    limited = bill(f"{of_item}max_days_in_past = 366", **event)
    assert limited == f"item 1: timestamp: item.at {EARLIER}"
