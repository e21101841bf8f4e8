"""Read captured Segment events, however they were saved, in little memory."""

import io
import json
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from forwarder.segment.elements import MalformedBody, decode_element
from forwarder.segment.events import Event

# No call of Segment is as long: API Gateway takes 10 MB.
MAX_EVENT_CHARACTERS = 10_000_000
_CHUNK = 1 << 16
# What lies between events: one a line, in arrays, or in both.
_LINE = re.compile(r"\n(?![ \t\r\n}\],])")
_SEPARATORS = re.compile(r"[ \t\r\n,\[\]\ufeff]*")


class Unreadable(NamedTuple):
    """A place in which no event can be read, and why."""

    line: int
    reason: str


class Captured(NamedTuple):
    """An event, and the number of the line on which it begins."""

    line: int
    event: Event


def read(stream: BinaryIO) -> Iterator[Captured | Unreadable]:
    """Yield the events of NDJSON and of JSON arrays; after a fault, from the next line.

    An array may hold `{"json": event}` as Segment's Extensible Webhook sends it.
    """
    window = _Window(stream)
    while window.seek_event():
        line = window.line
        try:
            yield Captured(line, window.take_event())
        except (MalformedBody, RecursionError, ValueError) as fault:
            yield Unreadable(line, window.explain(fault))
            window.skip_line()
    if window.depth > 0:
        yield Unreadable(window.line, "the file ends inside an array")


class _Window:
    """The part of the stream that is in memory, and a position in it."""

    def __init__(self, stream: BinaryIO) -> None:
        # What is not UTF-8 must not end the reading: it becomes lone surrogates.
        self._stream = io.TextIOWrapper(
            stream, "utf-8", errors="surrogateescape", newline="\n"
        )
        self._text = ""
        self._position = 0
        self._ended = False
        self.line = 1
        self.depth = 0

    def seek_event(self) -> bool:
        """Move to where the next event begins; return whether there is one."""
        while True:
            start, end = self._position, self._find_end()
            self.depth += self._text.count("[", start, end)
            self.depth -= self._text.count("]", start, end)
            self._move(end)
            if end < len(self._text):
                return True
            if not self._fill():
                return False

    def take_event(self) -> Event:
        """Return the event at the position, and move behind it."""
        while True:
            try:
                element, end = decode_element(self._text, self._position)
                if end < len(self._text) or self._ended:
                    element.text.encode()
                    self._move(end)
                    return Event(element.data, element.text)
            except (ValueError, RecursionError):
                if self._left() >= MAX_EVENT_CHARACTERS or self._ended:
                    raise
            self._fill()

    def explain(self, fault: Exception) -> str:
        """Return in words why there is no event at the position."""
        is_long = self._left() >= MAX_EVENT_CHARACTERS
        if is_long and self._text.find("\n", self._position) < 0:
            return f"longer than {MAX_EVENT_CHARACTERS:,} characters; no event is"
        match fault:
            case json.JSONDecodeError():
                place = fault.pos - self._position
                return f"not JSON: {fault.msg} (character {place})"
            case UnicodeEncodeError():
                return "not UTF-8"
            case RecursionError():
                return "nested too deeply to be read"
            case _:
                return str(fault)

    def skip_line(self) -> None:
        """Move to the next line that can begin an event.

        One that is indented, or closes something, goes on with what was faulty. Where
        arrays stand is then no longer known.
        """
        self.depth = -(1 << 60)
        while True:
            found = _LINE.search(self._text, self._position)
            if found and found.end() < len(self._text):
                return self._move(found.end())
            kept = found.start() if found else len(self._text)
            self._move(kept)
            if not self._fill():
                return self._move(len(self._text))

    def _find_end(self) -> int:
        separators = _SEPARATORS.match(self._text, self._position)
        return separators.end() if separators else self._position

    def _left(self) -> int:
        return len(self._text) - self._position

    def _move(self, position: int) -> None:
        self.line += self._text.count("\n", self._position, position)
        self._position = position

    def _fill(self) -> bool:
        """Read on, at least as much as is held; return whether there was more."""
        # Doubling keeps the tries to read one large event few.
        more = self._stream.read(max(_CHUNK, self._left()))
        self._text = self._text[self._position :] + more
        self._position = 0
        self._ended = not more
        return bool(more)
