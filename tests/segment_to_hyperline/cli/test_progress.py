"""The progress of a command, without a terminal."""

from pathlib import Path

import pytest
from rich.progress import Progress as Bar

from segment_to_hyperline.archive.sources import find_sources
from segment_to_hyperline.cli.progress import (
    Progress,
    read_with_progress,
    show_progress,
)


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


def test_a_terminal_shows_a_bar_and_no_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is on the standard error, so that the result can be redirected."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")

    with show_progress() as progress:
        progress.report("comparing", 1, 2)
        progress.report_wait("server error (503)", 4)

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "comparing: server error (503); trying again in 4 s" in captured.err


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Files with a few and with many events."""
    paths = [tmp_path / "few.ndjson", tmp_path / "many.ndjson"]
    for path, number in zip(paths, (3, 20_001), strict=True):
        path.write_text("".join(f'{{"number":{n}}}\n' for n in range(number)))
    return list(map(str, paths))


def test_everything_is_read_while_its_progress_is_shown(
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bar has the bytes and the number of events."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "200")

    items = list(read_with_progress(find_sources(files)))

    assert [item.source for item in items] == [files[0]] * 3 + [files[1]] * 20_001
    error = capsys.readouterr().err
    assert "reading, 20,000 events" in error
    assert f"{sum(Path(name).stat().st_size for name in files) / 1_000:.1f} kB" in error


def test_the_standard_input_is_read_too(
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its size is unknown, so that only the events are counted."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    with Path(files[1]).open() as file:
        monkeypatch.setattr("sys.stdin", file)

        items = list(read_with_progress(find_sources([files[0], "-"])))

    assert len(items) == 20_004
    error = capsys.readouterr().err
    assert "reading, 20,000 events" in error
    assert "kB" not in error
