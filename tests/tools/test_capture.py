"""Reading captured events: the formats, and how invalid events are reported."""

import io
import json
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from tests.samples import track
from tools.capture import (
    MAX_EVENT_CHARACTERS,
    CapturedEvent,
    UnreadableLine,
    read_events,
)
from tools.segment_requests import write

ONE, TWO, THREE = (track(messageId=name) for name in ("one", "two", "three"))
A, B, C = map(write, (ONE, TWO, THREE))


def read(content: str | bytes) -> list[tuple[int, Any]]:
    """Return each line number with the event that begins there, or the reason."""
    raw = content.encode() if isinstance(content, str) else content
    return [
        (item.line, item.event.data if isinstance(item, CapturedEvent) else item.reason)
        for item in read_events(io.BytesIO(raw))
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
def test_each_event_is_read_once(content: str, numbers: tuple[int, ...]) -> None:
    """Events can be on lines, in arrays, or both; each has its line number."""
    assert read(content) == list(zip(numbers, (ONE, TWO, THREE), strict=True))


def test_an_event_can_span_lines() -> None:
    """People copy indented events from Segment's debugger."""
    assert read(json.dumps(ONE, indent=2) + "\n" + B)[0] == (1, ONE)
    second = 2 + len(json.dumps(ONE, indent=2).splitlines())
    assert read(json.dumps([ONE, TWO], indent=2)) == [(2, ONE), (second, TWO)]


@pytest.mark.parametrize("content", ["", "\n \n", "[]", "\ufeff"])
def test_a_file_without_events_is_valid(content: str) -> None:
    """No event and no error is returned."""
    assert read(content) == []


@pytest.mark.parametrize(
    ("invalid", "reason"),
    [
        ("nonsense", "not JSON: Expecting value (character 0)"),
        ('{"type": "track"', "not JSON: Expecting ',' delimiter (character 17)"),
        ('{"type": "track', "not JSON: "),
        ("{'type': 'track'}", "not JSON: Expecting property name"),
        ('{"properties":{"n":' + "NaN}}", "not JSON: the body contains NaN"),
        ('{"n":' + "[" * 100_000 + "]" * 99_999 + "}", "not JSON: "),
    ],
    ids=lambda value: value[:20],
)
def test_an_invalid_line_is_reported_and_skipped(invalid: str, reason: str) -> None:
    """The line number is returned with the reason, and the next lines are read."""
    items = read(f"{A}\n{invalid}\n{B}\n")

    assert [items[0], items[2]] == [(1, ONE), (3, TWO)]
    assert items[1][0] == 2
    assert items[1][1].startswith(reason)


def test_a_deeply_nested_event_is_read() -> None:
    """It can't be mapped, and is found by its messageId."""
    deep = A.replace('"seats":3', '"seats":' + "[" * 100_000 + "]" * 100_000)

    (_, one), (_, data), (_, two) = read(f"{A}\n{deep}\n{B}\n")

    assert (one, two) == (ONE, TWO)
    assert data.fields["messageId"] == ONE["messageId"]


def test_an_invalid_event_of_several_lines_is_reported_once() -> None:
    """Its indented lines are not read as events."""
    invalid = json.dumps(ONE, indent=2).replace('"channel"', "channel")

    items = read(f"{invalid}\n{B}\n")

    assert [number for number, _ in items] == [1, len(invalid.splitlines()) + 1]
    assert items[1][1] == TWO


def test_a_line_that_is_not_utf_8_is_reported_and_skipped() -> None:
    """The function rejects such a request, so the event is not read here either."""
    invalid = A.encode().replace(b"Seats", b"S\xffats")

    assert read(invalid + b"\n" + B.encode()) == [(1, "not UTF-8"), (2, TWO)]


def test_a_file_that_ends_inside_an_array_is_reported() -> None:
    """The file is truncated, and the number of missing events is unknown."""
    assert read(f"[{A},\n{B}") == [
        (1, ONE),
        (2, TWO),
        (2, "the file ends inside an array"),
    ]


class GeneratedStream(io.RawIOBase):
    """A stream of *parts*, each generated when it is read, to use no memory."""

    def __init__(self, parts: Any) -> None:
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes into *buffer*."""
        self._rest = self._rest or next(self._parts, b"")
        part = self._rest[: len(buffer)]
        self._rest = self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def long_line() -> Any:
    """Yield a line of 100 MB, and a line with an event."""
    yield b'{"type": "'
    yield from (b"x" * 1_000_000 for _ in range(100))
    yield b'"}\n' + A.encode()


def many_events(separator: str) -> Any:
    """Yield 40,001 events, in an array if *separator* is a comma."""
    if separator == ",":
        yield b"["
    yield from ((A + separator).encode() * 100 for _ in range(400))
    yield A.encode() + (b"]" if separator == "," else b"")


def measure(generate: Any, *arguments: str) -> tuple[int, list[UnreadableLine], int]:
    """Return the number of events, the unreadable lines, and the peak memory."""
    tracemalloc.start()
    events, unreadable = 0, []
    for item in read_events(io.BufferedReader(GeneratedStream(generate(*arguments)))):
        if isinstance(item, UnreadableLine):
            unreadable.append(item)
        else:
            events += 1
    return events, unreadable, tracemalloc.get_traced_memory()[1]


def measure_alone(*task: Any) -> tuple[int, list[UnreadableLine], int]:
    """Return the result of `measure` in a process that does nothing else."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, *task).result()


def test_a_line_of_100_mb_is_reported_and_skipped() -> None:
    """No request is that long, so the line is not read into memory."""
    events, unreadable, peak = measure_alone(long_line)

    reason = f"longer than {MAX_EVENT_CHARACTERS:,} characters"
    assert (events, unreadable) == (1, [UnreadableLine(1, reason)])
    assert peak < 60_000_000


@pytest.mark.parametrize("separator", ["\n", ","])
def test_a_large_file_takes_little_memory(separator: str) -> None:
    """Memory is released after each event, on lines as well as in an array."""
    events, unreadable, peak = measure_alone(many_events, separator)

    assert (events, unreadable) == (40_001, [])
    assert peak < 2_000_000 < 40_000 * len(A)
