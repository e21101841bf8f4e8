"""What the log says about an event."""

from typing import Any

import pytest

from segment_to_hyperline.quarantine.history import (
    NOT_LOGGED,
    Attempt,
    find_attempts,
    find_place,
)

LINE = {
    "service": "receiver",
    "events": [
        {"outcome": "quarantined", "code": "c", "reason": "why", "ids": "m-1 m-2"},
        {"outcome": "delivered", "count": 1, "ids": "m-11"},
    ],
}


@pytest.mark.parametrize(
    ("message_id", "attempts"),
    [
        ("m-2", [Attempt("now", "receiver", "quarantined", "c", "why")]),
        ("m-11", [Attempt("now", "receiver", "delivered", "", "")]),
        ("m-", []),
        ("m-111", []),
    ],
)
def test_an_event_is_found_by_its_whole_id(
    message_id: str, attempts: list[Attempt]
) -> None:
    """Not by a part of it."""
    assert list(find_attempts(LINE, "now", message_id)) == attempts


@pytest.mark.parametrize("line", [{}, {"events": []}, {"level": "ERROR"}])
def test_a_line_without_events(line: dict[str, Any]) -> None:
    """Such as one about a rejected request."""
    assert list(find_attempts(line, "now", "m-1")) == []


@pytest.mark.parametrize(
    ("service", "outcome", "place"),
    [
        ("receiver", "delivered", "delivered at 2"),
        ("receiver", "filtered", "nowhere: filtered at 2"),
        ("receiver", "previewed", "nowhere: previewed at 2"),
        ("receiver", "pending", "in Segment, which retries: pending at 2"),
        ("replayer", "pending", "probably in Replay: parked at 2"),
        ("receiver", "parked", "probably in Replay: parked at 2"),
        ("replayer", "quarantined", "moved or deleted since: quarantined at 2"),
    ],
)
def test_the_last_attempt_says_where_an_event_is(
    service: str, outcome: str, place: str
) -> None:
    """Unless it is in Quarantine, which is read."""
    attempts = [
        Attempt("1", "receiver", "parked", "", ""),
        Attempt("2", service, outcome, "", ""),
    ]

    assert find_place(attempts, is_quarantined=False) == place
    assert find_place(attempts, is_quarantined=True) == "in Quarantine"


def test_an_event_of_a_large_batch_is_not_in_the_log() -> None:
    """Of a thousand delivered events, a line lists ten ids."""
    assert find_place([], is_quarantined=False) == NOT_LOGGED
