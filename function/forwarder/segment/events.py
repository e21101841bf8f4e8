"""Segment's events, and how they are read from the body of a request.

Pure: no network, no environment, no clock.
"""

import codecs
import json
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from forwarder.segment.elements import (
    SPACE,
    MalformedBody,
    decode_value,
    is_wrapper,
    iterate_elements,
)
from forwarder.segment.facts import TEST_MESSAGE_ID_PREFIXES
from forwarder.segment.times import parse_time

# A first part of a body, long enough for the first two elements of an array.
_FIRST_PART_BYTES = 1 << 16
_Utf8Decoder = codecs.getincrementaldecoder("utf-8")


class Event(NamedTuple):
    """One event of a request: its parsed JSON, and the JSON text it came from.

    The text is *source*, or the element at *position* if *source* is an array.
    """

    data: Any
    source: str
    position: int | None = None

    @property
    def text(self) -> str:
        """The event as Segment wrote it."""
        # Not computed earlier, because only queued events need it.
        if self.position is None:
            return self.source
        return _split_array(self.source)[self.position]

    @property
    def message_id(self) -> str | None:
        """The `messageId`, or None if the event has none or it isn't a string."""
        value = self.data.get("messageId") if isinstance(self.data, dict) else None
        return value if isinstance(value, str) else None

    @property
    def is_test(self) -> bool:
        """Whether Segment's Event Tester generated the event."""
        return is_test_id(self.message_id or "")

    @property
    def received_at(self) -> float | None:
        """When Segment received the event, as a Unix timestamp, if known.

        It is the first of `receivedAt`, `sentAt` and `timestamp` that is a valid time.
        """
        for name in ("receivedAt", "sentAt", "timestamp"):
            try:
                return parse_time(self.data[name]).timestamp()
            except (LookupError, TypeError, ValueError):
                continue
        return None


def is_test_id(message_id: str) -> bool:
    """Return whether *message_id* is one that Segment's Event Tester generates."""
    return message_id.startswith(TEST_MESSAGE_ID_PREFIXES)


def parse_body(body: bytes) -> list[Event]:
    """Return the events of *body*: one JSON object, or an array with any elements.

    Elements that are not events are returned too, so that the mapping rejects them
    one by one. Raises `MalformedBody` for any other body.
    """
    try:
        return _parse_text(body.decode())
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise MalformedBody(f"not JSON: {error.msg} (character {error.pos})") from error
    except RecursionError as error:
        raise MalformedBody("the body is nested too deeply") from error


def parse_first_element(body: bytes) -> tuple[bytes | None, bool]:
    """Return the JSON text of an array's first element, and whether more follow.

    The text is None if *body* is not an array with a valid first element.
    """
    for decode in (_decode_first_part, bytes.decode):
        with suppress(ValueError, RecursionError, MalformedBody):
            first, *more = islice(iterate_elements(decode(body)), 2)
            return first.text.encode(), bool(more)
    return None, False


def _parse_text(text: str) -> list[Event]:
    data, end = decode_value(text, len(text) - len(text.lstrip(SPACE)))
    if text[end:].strip(SPACE):
        raise json.JSONDecodeError("Extra data", text, end)
    if isinstance(data, dict):
        return [Event(data, text)]
    if not isinstance(data, list):
        raise MalformedBody("the body is neither a JSON object nor an array")
    if not data:
        raise MalformedBody("the array is empty")
    # The signature covers the raw text, which may contain the key "json" twice. So a
    # wrapped event is taken from the text and not from the decoded object.
    if any(is_wrapper(item) for item in data):
        return [Event(element.data, element.text) for element in iterate_elements(text)]
    return [Event(item, text, position) for position, item in enumerate(data)]


@lru_cache(maxsize=1)
def _split_array(array: str) -> tuple[str, ...]:
    return tuple(element.text for element in iterate_elements(array))


def _decode_first_part(body: bytes) -> str:
    """Return the beginning of *body* as text; a truncated element in it is ignored.

    Decoding a whole long array costs about 10% of billing its events.
    """
    return _Utf8Decoder().decode(body[:_FIRST_PART_BYTES])
