"""Inbound: which events the body of a call carries, and when Segment received them.

Pure: no network, no environment, no clock.
"""

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import iso8601


class Malformed(Exception):
    """Refuse the call: no event can be read from its body."""


class Event(NamedTuple):
    """One element of a call: what it says, and the JSON text it was written in.

    That text is *source*, or the element of the array *source* at *position*.
    """

    data: Any
    source: str
    position: int | None = None

    @property
    def text(self) -> str:
        """The event as Segment wrote it."""
        # Found late, as only what is quarantined needs it.
        whole = self.position is None
        return self.source if whole else _texts(self.source)[self.position or 0]


def parse(body: bytes) -> list[Event]:
    """Return the events of *body*: one JSON object, or an array of one or more.

    An array may hold anything; whether an element can be billed is for the mapping to
    say. Raises `Malformed` for any other body.
    """
    try:
        return _read_events(body.decode())
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg} (character {error.pos})") from error
    except RecursionError as error:
        raise Malformed("the body is nested too deeply to be read") from error


def first_element(body: bytes) -> tuple[bytes | None, bool]:
    """Return the text of an array's first element, if any, and whether more follows."""
    for decode in (_decode_beginning, bytes.decode):
        with suppress(ValueError, RecursionError, Malformed):
            first, *more = islice(_elements(decode(body)), 2)
            return first.text.encode(), bool(more)
    return None, False


def message_id(data: Any) -> str | None:
    """Return the event's `messageId`, if it has one that is text."""
    value = data.get("messageId") if isinstance(data, dict) else None
    return value if isinstance(value, str) else None


def is_test(message_id: str | None) -> bool:
    """Return whether Segment's Event Tester made the event up."""
    # https://www.twilio.com/docs/segment/connections/test-connections
    return (message_id or "").startswith(("segment-test-message-", "test-message-"))


def received_at(data: Any) -> float | None:
    """Return when Segment received the event, in seconds since 1970, if it tells.

    It is `receivedAt`, else `sentAt`, else `timestamp`: the first that holds a time.
    """
    for name in ("receivedAt", "sentAt", "timestamp"):
        try:
            return iso8601.parse(data[name]).timestamp()
        except (LookupError, TypeError, ValueError):
            continue
    return None


def read_element(text: str, start: int) -> tuple[Event, int]:
    """Return the element that begins at *start*, and the position behind it.

    Raises JSONDecodeError, RecursionError, or `Malformed` for NaN and its like.
    """
    data, end = _decode(text, start)
    wrapping = _WRAPPING.match(text, start) if _is_wrapped(data) else None
    if wrapping is None:
        return Event(data, text[start:end]), end
    data, inner_end = _decode(text, wrapping.end())
    return Event(data, text[wrapping.end() : inner_end]), end


def _read_events(text: str) -> list[Event]:
    data, end = _decode(text, len(text) - len(text.lstrip(_SPACE)))
    if text[end:].strip(_SPACE):
        raise json.JSONDecodeError("Extra data", text, end)
    if isinstance(data, dict):
        return [Event(data, text)]
    if not isinstance(data, list):
        raise Malformed("the body is neither a JSON object nor an array")
    if not data:
        raise Malformed("the array is empty")
    # What is signed is the text, and of two values with one name it holds both.
    if any(_is_wrapped(item) for item in data):
        return list(_elements(text))
    return [Event(item, text, index) for index, item in enumerate(data)]


@lru_cache(maxsize=1)
def _texts(array: str) -> tuple[str, ...]:
    return tuple(element.source for element in _elements(array))


def _is_wrapped(data: Any) -> bool:
    return isinstance(data, dict) and len(data) == 1 and "json" in data


def _elements(text: str) -> Iterator[Event]:
    """Yield the elements of the JSON array *text*; raises JSONDecodeError at its fault.

    "Extensible Webhook" sends `{"json": event}` in the place of each event and signs
    the inner one, so the inner one is what is yielded.
    """
    opening = _OPENING.match(text)
    if opening is None:
        raise json.JSONDecodeError("Expecting an array", text, 0)
    delimiter, position = ",", opening.end()
    while delimiter == ",":
        event, end = read_element(text, position)
        yield event
        following = _FOLLOWING.match(text, end)
        if following is None:
            raise json.JSONDecodeError("Expecting ',' or the array's end", text, end)
        delimiter, position = following[1], following.end()


def _decode_beginning(body: bytes) -> str:
    """Return the text of the first bytes: enough to hold an element or two.

    All of a long array takes as long to decode as a tenth of its events to bill. Where
    the text breaks off in an element, none is read from it.
    """
    return _Decoder().decode(body[:_BEGINNING_BYTES])


def _decode(text: str, start: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at *start*, and the position behind it."""
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python refuses to read integers of over 4,300 digits. As floats such numbers
        # are infinite, like 1e400, and the mapping refuses the one event that has one.
        return _CAREFUL_DECODER.raw_decode(text, start)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 4300 else float(digits)


def _refuse(constant: str) -> None:
    raise Malformed(f"not JSON: it holds {constant}")


_Decoder = codecs.getincrementaldecoder("utf-8")
_BEGINNING_BYTES = 1 << 16
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_CAREFUL_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_refuse)
_SPACE = " \t\n\r"
_OPENING = re.compile(rf"[{_SPACE}]*\[[{_SPACE}]*")
_FOLLOWING = re.compile(rf"[{_SPACE}]*(,|\][{_SPACE}]*\Z)[{_SPACE}]*")
_WRAPPING = re.compile(rf"\{{[{_SPACE}]*\"json\"[{_SPACE}]*:[{_SPACE}]*")
