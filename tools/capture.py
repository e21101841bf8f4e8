"""Read captured Segment events in any of the usual formats, using little memory."""

import io
import json
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from forwarder.elements import Element, MalformedBody
from forwarder.segment.events import decode_event

# No request of Segment is longer: API Gateway accepts 10 MB.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_EVENT_CHARACTERS = 10_000_000
_CHUNK_CHARACTERS = 1 << 16
# The end of a line, if the next one can begin an event.
_LINE_END = re.compile(r"\n(?![ \t\r\n}\],])")
# What separates events, whether they are on lines, in arrays, or both.
_SEPARATORS = re.compile(r"[ \t\r\n,\[\]\ufeff]*")
# The depth of arrays after an error, when it is no longer known.
_UNKNOWN_DEPTH = -(1 << 60)


class UnreadableLine(NamedTuple):
    """A line that contains no valid event, and the reason."""

    line: int
    reason: str


class CapturedEvent(NamedTuple):
    """An event, and the number of the line on which it begins."""

    line: int
    event: Element


def read_events(stream: BinaryIO) -> Iterator[CapturedEvent | UnreadableLine]:
    """Yield the events of NDJSON, JSON arrays, or a mix of them.

    Reading continues on the line after an invalid event. An array may contain
    `{"json": event}`, as Segment's Extensible Webhook sends it.
    """
    window = _Window(stream)
    while window.seek_event():
        line = window.line
        try:
            yield CapturedEvent(line, window.read_event())
        except (MalformedBody, RecursionError, ValueError) as error:
            yield UnreadableLine(line, window.explain(error))
            window.skip_line()
    if window.depth > 0:
        yield UnreadableLine(window.line, "the file ends inside an array")


class _Window:
    """The part of the stream that is in memory, and a position in it."""

    def __init__(self, stream: BinaryIO) -> None:
        # Bytes that are not UTF-8 become lone surrogates, so that reading continues.
        self._stream = io.TextIOWrapper(
            stream, "utf-8", errors="surrogateescape", newline="\n"
        )
        self._text = ""
        self._position = 0
        self._ended = False
        self.line = 1
        self.depth = 0

    def seek_event(self) -> bool:
        """Move to the beginning of the next event; return whether there is one."""
        while True:
            start, end = self._position, self._find_separators_end()
            self.depth += self._text.count("[", start, end)
            self.depth -= self._text.count("]", start, end)
            self._move(end)
            if end < len(self._text):
                return True
            if not self._fill():
                return False

    def read_event(self) -> Element:
        """Return the event at the position, and move to its end."""
        while True:
            try:
                element, end = decode_event(self._text, self._position)
                if end < len(self._text) or self._ended:
                    element.text.encode()
                    self._move(end)
                    return element
            except (ValueError, RecursionError):
                if self._left() >= MAX_EVENT_CHARACTERS or self._ended:
                    raise
            self._fill()

    def explain(self, error: Exception) -> str:
        """Return the reason why there is no valid event at the position."""
        is_long = self._left() >= MAX_EVENT_CHARACTERS
        if is_long and self._text.find("\n", self._position) < 0:
            return f"longer than {MAX_EVENT_CHARACTERS:,} characters"
        match error:
            case json.JSONDecodeError():
                offset = error.pos - self._position
                return f"not JSON: {error.msg} (character {offset})"
            case UnicodeEncodeError():
                return "not UTF-8"
            case RecursionError():
                return "nested too deeply"
            case _:
                return str(error)

    def skip_line(self) -> None:
        """Move to the next line that can begin an event.

        A line that is indented, or begins with a closing bracket, belongs to the
        invalid event.
        """
        self.depth = _UNKNOWN_DEPTH
        while True:
            found = _LINE_END.search(self._text, self._position)
            if found and found.end() < len(self._text):
                return self._move(found.end())
            # Whether a line break at the end counts depends on the text after it.
            self._move(found.start() if found else len(self._text))
            if not self._fill():
                return self._move(len(self._text))

    def _find_separators_end(self) -> int:
        separators = _SEPARATORS.match(self._text, self._position)
        return separators.end() if separators else self._position

    def _left(self) -> int:
        return len(self._text) - self._position

    def _move(self, position: int) -> None:
        self.line += self._text.count("\n", self._position, position)
        self._position = position

    def _fill(self) -> bool:
        """Read more text; return False at the end of the stream."""
        # The text at least doubles, so that a large event is decoded only a few times.
        more = self._stream.read(max(_CHUNK_CHARACTERS, self._left()))
        self._text = self._text[self._position :] + more
        self._position = 0
        self._ended = not more
        return bool(more)
