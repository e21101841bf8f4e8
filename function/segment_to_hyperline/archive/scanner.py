"""Read JSON values from a stream one by one, using little memory, also after damage."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from segment_to_hyperline.archive.decoding import DecodedStream
from segment_to_hyperline.elements import Element, MalformedBody
from segment_to_hyperline.segment.events import decode_event

# No request of Segment is longer: API Gateway accepts 10 MB.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_EVENT_CHARACTERS = 10_000_000
# How far the end of a damaged event is looked for. Segment accepts 32 KB.
# https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api#max-request-size
_MAX_DAMAGED_CHARACTERS = 1 << 16
_CHUNK = 1 << 16
# How far before the end of the text an error can be that is due to the end only.
_ERROR_MARGIN = 16

# What separates events, whether they are on lines, in arrays, or both.
_SEPARATORS = re.compile(r"[ \t\r\n,\[\]\ufeff]*")
# The same once an unknown number of objects can end there.
_SEPARATORS_AND_ENDS = re.compile(r"[ \t\r\n,\[\]\ufeff}]*")
_AFTER_SCALAR = re.compile(r"[ \t\r\n,\]]|\Z")
# The beginning of exported messages, and of a message, up to the first element.
_STRING = r'"(?:[^"\\\n]++|\\[^\n])*+"'
_CONTAINER = re.compile(
    rf'\{{\s*(?:"Messages"|(?:"code"\s*:\s*{_STRING}\s*,\s*)?'
    rf'"reason"\s*:\s*{_STRING}\s*,\s*"events")\s*:\s*\['
)
# What shows the end of a damaged event: strings, brackets, a quote without its pair,
# and a line that begins with an object.
_TOKEN = re.compile(rf'{_STRING}|[{{}}\[\]"]|\n(?=,?\{{)')
_CLOSING = {"{": "}", "[": "]"}
# The beginning of an object that is not the value of a property.
_OBJECT = re.compile(r"(?<!:)(?<!:\s)\{")
# What Segment's events, exported messages and the bodies of messages always have.
_MARKS = (
    *({"type", "messageId"}, {"Messages"}, {"MessageId", "Body"}),
    {"reason", "events"},
)


class Value(NamedTuple):
    """A JSON value of a stream."""

    line: int
    """The number of the line on which it begins, from 1."""
    byte: int
    """The position of its first byte in the stream, from 0."""
    size: int
    """Its size in bytes."""
    element: Element
    """Its data and its text."""


class Damage(NamedTuple):
    """A part of a stream that can't be read."""

    line: int
    """The number of the line on which it begins, from 1."""
    byte: int
    """The position of its first byte in the stream, from 0."""
    size: int
    """Its size in bytes; 0 if nothing is skipped."""
    reason: str
    """Why it can't be read."""


def scan(stream: Any, line: int = 1, byte: int = 0) -> Iterator[Value | Damage]:
    """Yield the values of JSON arrays, or of text in which values follow each other.

    What is not yielded as a value, apart from separators, is yielded as damage. The
    *stream* has the method `read1`, and begins with this *line* and *byte* of a file.
    """
    window = _Window(stream, line, byte)
    damage: Damage | None = None
    while window.seek_value():
        line, byte = window.line, window.byte
        try:
            element = window.read_value()
        except (MalformedBody, RecursionError, json.JSONDecodeError) as error:
            if not window.enter_container():
                first = damage or Damage(line, byte, 0, window.explain(error))
                window.skip_damage()
                damage = first._replace(size=window.byte - first.byte)
            continue
        if damage:
            yield damage
            damage = None
        yield Value(line, byte, window.byte - byte, element)
    if damage:
        yield damage
    if problem := window.find_problem():
        yield Damage(window.line, window.byte, 0, problem)


def find_end(text: str, start: int) -> int | None:
    """Return the end of the object at *start*, or None if it has no certain end.

    The object may be invalid JSON, but its quotes and brackets must match.
    """
    expected: list[str] = []
    end = start + _MAX_DAMAGED_CHARACTERS
    for token in _TOKEN.finditer(text, start, end) if text[start] == "{" else ():
        kind = token[0]
        if kind in _CLOSING:
            expected.append(_CLOSING[kind])
        elif kind in {'"', "\n"} or (kind in "}]" and expected.pop() != kind):
            return None
        if not expected:
            return token.end()
    return None


class _Window:
    """The part of the stream that is in memory, and a position in it."""

    def __init__(self, stream: Any, line: int, byte: int) -> None:
        self._stream = DecodedStream(stream)
        self._text = ""
        self.position = 0
        """The position in the text that is in memory."""
        self.line = line
        """The number of the line at the position, from 1."""
        self.byte = byte
        """The position in the bytes of the stream, from 0."""
        # The depth of arrays, until it is unknown because of damage.
        self._depth: int | None = 0
        self._separators = _SEPARATORS
        self._has_stray_end = False

    def find_problem(self) -> str:
        """Return what is wrong with the stream as a whole, or an empty string."""
        if self._stream.failure:
            return (
                "the gzip data is damaged or truncated, and the rest of the file is"
                f" skipped: {self._stream.failure}"
            )
        if self._has_stray_end:
            return "the beginning of an array is missing"
        return "the file ends inside an array" if self._depth else ""

    def seek_value(self) -> bool:
        """Move to the beginning of the next value; return whether there is one."""
        while True:
            start = self.position
            found = self._separators.match(self._text, start)
            self._move(found.end() if found else start)
            self._count_brackets(self._text[start : self.position])
            if self._left() or not self._fill():
                return self._left() > 0

    def read_value(self) -> Element:
        """Return the value at the position, and move to its end."""
        element, end = self._decode()
        is_scalar = not isinstance(element.data, dict)
        if is_scalar and not _AFTER_SCALAR.match(self._text, end):
            raise json.JSONDecodeError("Expecting ',' delimiter", self._text, end)
        self._move(end)
        return element

    def explain(self, error: Exception) -> str:
        """Return the reason why there is no valid value at the position."""
        match error:
            case json.JSONDecodeError():
                return f"not JSON: {error.msg} (character {error.pos - self.position})"
            case RecursionError():
                return "nested too deeply"
            case _:
                return str(error)

    def enter_container(self) -> bool:
        """Move to the first element of the exported messages at the position, if any.

        They are then read as an array, so that those that are not damaged are found.
        """
        found = _CONTAINER.match(self._text, self.position)
        if found:
            self._count_brackets("[")
            self._separators = _SEPARATORS_AND_ENDS
            self._move(found.end())
        return found is not None

    def skip_damage(self) -> None:
        """Move to the end of the value at the position, or to the next event."""
        while self._left() < _MAX_DAMAGED_CHARACTERS and self._fill():
            pass
        if end := find_end(self._text, self.position):
            self._move(end)
            return
        self._depth, self._separators = None, _SEPARATORS_AND_ENDS
        self._move(self.position + 1)
        while self._seek_object() and not self._is_event():
            self._move(self.position + 1)

    def _seek_object(self) -> bool:
        """Move to the next object that is not a property, or to the end."""
        while not (found := _OBJECT.search(self._text, self.position)):
            # The last two characters show whether an object that follows is a property.
            self._move(max(self.position, len(self._text) - 2))
            if not self._fill():
                self._move(len(self._text))
                return False
        self._move(found.start())
        return True

    def _is_event(self) -> bool:
        """Return whether a valid event, or a message of a queue, is at the position."""
        try:
            data = self._decode()[0].data
        except (MalformedBody, RecursionError, json.JSONDecodeError):
            return False
        return isinstance(data, dict) and any(data.keys() >= m for m in _MARKS)

    def _decode(self) -> tuple[Element, int]:
        """Return the value at the position, and its end; read until it is complete."""
        while True:
            try:
                element, end = decode_event(self._text, self.position)
                if end < len(self._text) or self._stream.ended:
                    return element, end
            except json.JSONDecodeError as error:
                if self._stream.ended or not self._is_cut_off(error):
                    raise
                if self._left() >= MAX_EVENT_CHARACTERS:
                    reason = f"longer than {MAX_EVENT_CHARACTERS:,} characters"
                    raise MalformedBody(reason) from error
            self._fill()

    def _is_cut_off(self, error: json.JSONDecodeError) -> bool:
        """Return whether *error* can be due to the end of the text in memory."""
        is_near_end = error.pos >= len(self._text) - _ERROR_MARGIN
        return is_near_end or error.msg.startswith("Unterminated")

    def _count_brackets(self, separators: str) -> None:
        for character in separators:
            if self._depth is not None and character in "[]":
                self._depth += 1 if character == "[" else -1
                if self._depth < 0:
                    self._depth, self._has_stray_end = None, True

    def _left(self) -> int:
        return len(self._text) - self.position

    def _move(self, position: int) -> None:
        passed = self._text[self.position : position]
        self.line += passed.count("\n")
        self.byte += self._stream.measure(passed)
        self.position = position

    def _fill(self) -> bool:
        """Read more text; return False at the end of the stream."""
        # The text at least doubles, so that a large value is decoded only a few times.
        more = self._stream.read(max(_CHUNK, self._left()))
        self._text = self._text[self.position :] + more
        self.position = 0
        return bool(more)
