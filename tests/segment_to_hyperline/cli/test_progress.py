"""The progress of a command, without a terminal."""

import pytest
from rich.progress import Progress as Bar

from segment_to_hyperline.cli.progress import Progress, show_progress


class Seconds:
    """A clock that a test sets."""

    now = 0.0

    def read(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    """The time."""
    return Seconds()


@pytest.fixture
def progress(seconds: Seconds) -> Progress:
    """The progress of a command whose output is a file."""
    return Progress(Bar(disable=True), seconds.read)


def test_a_line_is_printed_now_and_then(
    progress: Progress, seconds: Seconds, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most every 10 seconds, and never for a short command."""
    for now in range(25):
        seconds.now = now
        progress.report("comparing", now * 1_000, 24_000)

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "comparing, 10,000 of 24,000",
        "comparing, 20,000 of 24,000",
    ]


def test_the_reason_of_a_wait_is_shown(
    progress: Progress, seconds: Seconds, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first phase and in one."""
    seconds.now = 10
    progress.report_wait("server error (503)", 4.4)
    progress.report("reading the events", 5, 0)
    seconds.now = 20
    progress.report_wait("server error (503)", 30)

    assert capsys.readouterr().err.splitlines() == [
        "server error (503); trying again in 4 s",
        "reading the events: server error (503); trying again in 30 s",
    ]


def test_a_short_command_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Its output is its result."""
    with show_progress() as progress:
        progress.report("comparing", 1, 2)

    assert capsys.readouterr() == ("", "")
