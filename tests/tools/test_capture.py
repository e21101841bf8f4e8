"""Captured events: read however they were saved, and told where they can't be."""

import io
import json
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from tests.samples import track
from tools.preview.capture import MAX_EVENT_CHARACTERS, Captured, Unreadable, read
from tools.segment_requests import write

ONE, TWO, THREE = (track(messageId=name) for name in ("one", "two", "three"))
A, B, C = map(write, (ONE, TWO, THREE))


def lines(content: str | bytes) -> list[tuple[int, Any]]:
    """Return what is read: line numbers with events, or with reasons."""
    raw = content.encode() if isinstance(content, str) else content
    return [
        (item.line, item.event.data if isinstance(item, Captured) else item.reason)
        for item in read(io.BytesIO(raw))
    ]


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        (f"{A}\n{B}\n{C}\n", (1, 2, 3)),
        (f"{A}\r\n\r\n{B}\r\n{C}", (1, 3, 4)),
        (f"\ufeff{A}\n{B}\n{C}", (1, 2, 3)),
        (f"[{A},{B},{C}]", (1, 1, 1)),
        (f"[\n  {A},\n  {B},\n  {C}\n]\n", (2, 3, 4)),
        (f"[{A}]\n[{B},{C}]\n", (1, 2, 2)),
        (f'[{{"json":{A}}},{{"json": {B}}}]\n{C}', (1, 1, 2)),
        (json.dumps([ONE, TWO, THREE]), (1, 1, 1)),
        ("".join(json.dumps(e) + "\n\n" for e in (ONE, TWO, THREE)), (1, 3, 5)),
    ],
)
def test_events_are_read_as_they_were_saved(
    content: str, numbers: tuple[int, ...]
) -> None:
    """One a line, in arrays or both: each event comes once, with its line."""
    assert lines(content) == list(zip(numbers, (ONE, TWO, THREE), strict=True))


def test_an_event_may_stretch_over_lines() -> None:
    """As Segment's debugger shows it, and people copy it."""
    assert lines(json.dumps(ONE, indent=2) + "\n" + B)[0] == (1, ONE)
    second = 2 + len(json.dumps(ONE, indent=2).splitlines())
    assert lines(json.dumps([ONE, TWO], indent=2)) == [(2, ONE), (second, TWO)]


@pytest.mark.parametrize("content", ["", "\n \n", "[]", "\ufeff"])
def test_a_file_without_events_has_none(content: str) -> None:
    """Nothing is read, and nothing is wrong."""
    assert lines(content) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("nonsense", "not JSON: Expecting value (character 0)"),
        ('{"type": "track"', "not JSON: Expecting ',' delimiter (character 17)"),
        ('{"type": "track', "not JSON: "),
        ("{'type': 'track'}", "not JSON: Expecting property name"),
        ('{"properties":{"n":' + "NaN}}", "not JSON: it holds NaN"),
        ('{"n":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply to be read"),
    ],
    ids=lambda value: value[:20],
)
def test_a_line_that_is_no_json_is_told_and_passed(fault: str, reason: str) -> None:
    """The line is named with the reason, and the next ones are read."""
    found = lines(f"{A}\n{fault}\n{B}\n")

    assert [found[0], found[2]] == [(1, ONE), (3, TWO)]
    assert found[1][0] == 2
    assert found[1][1].startswith(reason)


def test_a_fault_in_an_event_of_many_lines_is_told_once() -> None:
    """What is indented belongs to the faulty event, and is none of its own."""
    faulty = json.dumps(ONE, indent=2).replace('"channel"', "channel")

    found = lines(f"{faulty}\n{B}\n")

    assert [number for number, _ in found] == [1, len(faulty.splitlines()) + 1]
    assert found[1][1] == TWO


def test_what_is_not_utf_8_is_told_and_passed() -> None:
    """Production refuses such a call, so no event is made of it here."""
    faulty = A.encode().replace(b"Seats", b"S\xffats")

    assert lines(faulty + b"\n" + B.encode()) == [(1, "not UTF-8"), (2, TWO)]


def test_a_file_that_ends_inside_an_array_is_told() -> None:
    """It was cut off, and nobody can tell how much is missing."""
    assert lines(f"[{A},\n{B}") == [
        (1, ONE),
        (2, TWO),
        (2, "the file ends inside an array"),
    ]


class Large(io.RawIOBase):
    """A stream of *parts*, each made when it is read, so that none is kept."""

    def __init__(self, parts: Any) -> None:
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        """Return that it is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* with what comes next."""
        self._rest = self._rest or next(self._parts, b"")
        taken = self._rest[: len(buffer)]
        self._rest = self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def long_line() -> Any:
    """Yield a line of 100 MB, and one with an event."""
    yield b'{"type": "'
    yield from (b"x" * 1_000_000 for _ in range(100))
    yield b'"}\n' + A.encode()


def many_events(separator: str) -> Any:
    """Yield 40,001 events, an array of them if *separator* is a comma."""
    if separator == ",":
        yield b"["
    yield from ((A + separator).encode() * 100 for _ in range(400))
    yield A.encode() + (b"]" if separator == "," else b"")


def measure(make: Any, *arguments: str) -> tuple[int, list[Unreadable], int]:
    """Return how many events are read, the faults, and the most bytes that it took."""
    tracemalloc.start()
    events, faults = 0, []
    for item in read(io.BufferedReader(Large(make(*arguments)))):
        if isinstance(item, Unreadable):
            faults.append(item)
        else:
            events += 1
    return events, faults, tracemalloc.get_traced_memory()[1]


def measure_alone(*task: Any) -> tuple[int, list[Unreadable], int]:
    """Return what `measure` does in a process where nothing else takes memory."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, *task).result()


def test_a_line_of_100_mb_is_told_and_passed() -> None:
    """No call is as long, so it is not read into the memory either."""
    events, faults, peak = measure_alone(long_line)

    reason = f"longer than {MAX_EVENT_CHARACTERS:,} characters; no event is"
    assert (events, faults) == (1, [Unreadable(1, reason)])
    assert peak < 60_000_000


@pytest.mark.parametrize("separator", ["\n", ","])
def test_a_large_file_takes_little_memory(separator: str) -> None:
    """What was read is let go, whether the events lie in lines or in an array."""
    events, faults, peak = measure_alone(many_events, separator)

    assert (events, faults) == (40_001, [])
    assert peak < 2_000_000 < 40_000 * len(A)
