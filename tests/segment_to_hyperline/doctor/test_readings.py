"""Everything is read at the same time, and nothing is waited for too long."""

import threading

import pytest

from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.doctor.findings import Result, Unread, split
from segment_to_hyperline.doctor.readings import Readings


def test_a_reading_can_wait_for_another() -> None:
    """In whatever order they are started."""
    readings = Readings(Deadline(60))
    gate = threading.Event()

    def wait() -> int:
        assert gate.wait(60)
        return 1

    first = readings.start("first", wait)
    second = readings.start("second", lambda: first.get() + 1)
    gate.set()

    assert second.get() == 2


def test_a_reading_that_takes_too_long_is_unknown() -> None:
    """The line says what could not be read."""
    gate = threading.Event()
    reading = Readings(Deadline(0)).start("the alarms", gate.wait)

    with pytest.raises(Unread) as caught:
        reading.get()

    gate.set()
    assert caught.value.finding.result is Result.UNKNOWN
    assert caught.value.finding.evidence == "there was no time left to read the alarms"


def test_all_readings_that_need_another_raise_the_same_error() -> None:
    """By this, the checklist knows that they have the same cause."""
    readings = Readings(Deadline(60))
    error = Unread("no network")

    def fail() -> int:
        raise error

    first = readings.start("first", fail)
    second = readings.start("second", lambda: first.get() + 1)

    for reading in (first, second):
        with pytest.raises(Unread) as caught:
            reading.get()
        assert caught.value is error


def test_a_response_that_is_not_as_documented_is_unknown() -> None:
    """It can be a proxy's."""
    response: dict[str, str] = {}
    reading = Readings(Deadline(60)).start("the queue", lambda: response["Attributes"])

    with pytest.raises(Unread) as caught:
        reading.get()

    assert caught.value.finding.result is Result.UNKNOWN
    assert "about the queue isn't as documented" in caught.value.finding.evidence


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ("the host is unknown: check it", ("the host is unknown", "check it")),
        ("https://x: a: b", ("https://x: a", "b")),
        ("it failed", ("it failed", "")),
    ],
)
def test_a_message_says_what_is_wrong_and_what_to_do(
    message: str, parts: tuple[str, str]
) -> None:
    """What to do is after the last colon."""
    assert split(message) == parts
