"""Blocks of a stream, which can be read at the same time."""

import gzip
import io
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.segment_requests import write
from segment_to_hyperline.archive.blocks import read_blocks
from segment_to_hyperline.archive.captured import UnreadableLine, read_events
from segment_to_hyperline.archive.files import decompress
from tests.samples import track

# What ends a block, where it doesn't.
TRAPS = ("}\n{", "}\\n{", "{", "}", '"}\n{"', "\n")
EVENTS = st.builds(
    lambda name, trap, depth: track(messageId=name, properties=nest(trap, depth)),
    st.text(max_size=3),
    st.sampled_from(TRAPS),
    st.integers(0, 3),
)
SHAPES = st.sampled_from(
    (
        lambda events: "".join(write(e) + "\n" for e in events),
        lambda events: "".join(write(e) + "\r\n" for e in events),
        lambda events: "\n".join(json.dumps(e, indent=2) for e in events),
        lambda events: json.dumps(events, indent=2) + "\n",
        lambda events: "[" + ",\n".join(write(e) for e in events) + "]",
        lambda events: "\n\n".join(write([e]) for e in events),
        lambda events: write({"Messages": [{"Body": message(events)}]}) + "\n",
        lambda events: message(events) + "\n",
    )
)
CONTENTS = st.lists(
    st.builds(lambda shape, events: shape(events), SHAPES, st.lists(EVENTS)),
    max_size=6,
).map("".join)
SIZES = st.integers(1, 600)
DAMAGES = st.sampled_from((b"", b"}\n{", b"{", b"]", b'"'))


def nest(value: Any, depth: int) -> Any:
    """Return objects in objects."""
    return {"a": [{"b": nest(value, depth - 1)}]} if depth else {"value": value}


def message(events: list[Any]) -> str:
    """Return the body of a message of a queue."""
    return write({"reason": "no", "events": events or [track()]})


class Slow(io.RawIOBase):
    """A stream that returns fewer bytes than were requested."""

    def __init__(self, data: bytes, most: int) -> None:
        self._data = io.BytesIO(data)
        self._most = most

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read a part of what is requested."""
        data = self._data.read(min(len(buffer), self._most))
        buffer[: len(data)] = data
        return len(data)


def read(stream: Any, size: int) -> Iterator[tuple[int, Any]]:
    """Yield the events of all blocks, each read on its own, with their lines."""
    for block in read_blocks(stream, size):
        yield from read_events(block, block.line, block.byte)


@given(CONTENTS, SIZES)
def test_the_events_in_the_blocks_are_those_of_the_stream(
    content: str, size: int
) -> None:
    """Whatever they contain, and in any format; also their lines are the same."""
    data = content.encode()

    assert list(read(io.BytesIO(data), size)) == list(read_events(io.BytesIO(data)))


@given(CONTENTS, SIZES, st.data())
def test_no_damage_is_lost(content: str, size: int, data: st.DataObject) -> None:
    """If no block has damage, the stream has none, and the events are the same."""
    damaged = bytearray(content.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(damaged)))
        end = start + data.draw(st.integers(0, 40))
        damaged[start:end] = data.draw(
            st.sampled_from((b"", b"}\n{", b"{", b"]", b'"'))
        )

    found = list(read(io.BytesIO(damaged), size))

    if not any(isinstance(item, UnreadableLine) for item in found):
        assert found == list(read_events(io.BytesIO(damaged)))


@given(CONTENTS, SIZES, st.integers(1, 50))
def test_blocks_are_the_same_however_the_stream_is_read(
    content: str, size: int, most: int
) -> None:
    """Each process reads the stream again, and must skip what another one reads."""
    data = content.encode()

    def find(stream: Any) -> list[tuple[int, int, int]]:
        return [(b.number, b.byte, b.line) for b in read_blocks(stream, size)]

    assert find(io.BufferedReader(Slow(data, most), 7)) == find(io.BytesIO(data))


def test_a_large_file_has_many_blocks() -> None:
    """So that all cores have something to do."""
    line = write(track()) + "\n"
    data = (line * 5_000).encode()

    blocks = list(read_blocks(io.BytesIO(data)))

    assert len(blocks) > 20
    starts = [block.byte for block in blocks]
    assert max(b - a for a, b in pairwise(starts)) < 3 << 16
    assert all(start % len(line) == 0 for start in starts)
    assert [block.number for block in blocks] == [*range(len(blocks))]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_only_utf_8_is_divided(encoding: str) -> None:
    """In UTF-16, two characters can have the bytes that would end a block."""
    event = track(properties={"text": "\u7d0a\u7bc0\u0a7d\u007b" * 100})
    data = f"{write(event)}\n{write(event)}\n".encode(encoding)
    assert b"}\n{" in data

    (block,) = read_blocks(io.BytesIO(data), 64)

    assert block.byte == 0
    found = list(read(io.BytesIO(data), 64))
    assert found == list(read_events(io.BytesIO(data)))
    assert len(found) == 2


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_reported_in_its_last_block(kept: float) -> None:
    """Once, whoever reads it, and after the events before."""
    lines = "".join(write(track(messageId=f"m-{n}")) + "\n" for n in range(9_000))
    data = gzip.compress(lines.encode())
    data = data[: max(round(len(data) * kept), 5)]

    def open_stream() -> Any:
        return decompress(io.BufferedReader(io.BytesIO(data)))

    found = list(read(open_stream(), 1 << 12))

    assert found == list(read_events(open_stream()))
    assert [isinstance(item, UnreadableLine) for item in found][-1:] == [True]
    assert sum(isinstance(item, UnreadableLine) for item in found) == 1 or kept
    skipped = [block.number for block in read_blocks(open_stream(), 1 << 12)]
    assert skipped == [*range(len(skipped))]


def test_an_empty_stream_has_nothing() -> None:
    """It isn't an error."""
    assert list(read(io.BytesIO(), 10)) == []
