"""Segment's events, and how they are read from the body of a request."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self

from segment_to_hyperline.attributes import NO_ATTRIBUTES, Attributes
from segment_to_hyperline.elements import (
    SPACE,
    Element,
    MalformedBody,
    TooDeep,
    check_end,
    decode_element,
    iterate_array,
    skip_space,
)
from segment_to_hyperline.segment.facts import (
    MAX_BATCH_EVENTS,
    TEST_MESSAGE_ID_PREFIXES,
)
from segment_to_hyperline.segment.times import parse_time

_WRAPPER_START = re.compile(rf"\{{[{SPACE}]*\"json\"[{SPACE}]*:[{SPACE}]*")
# A first part of a body, long enough for the first element of an array.
_FIRST_PART_BYTES = 1 << 16
# More elements than any batch of Segment has, and few enough for the time budget.
_MAX_ELEMENTS = 5 * MAX_BATCH_EVENTS
_Utf8Decoder = codecs.getincrementaldecoder("utf-8")


class Event(NamedTuple):
    """An event that Segment sent."""

    text: str
    """Its JSON as Segment wrote it; decoded, it can need forty times the memory."""
    message_id: str | None
    received_at: float | None = None
    """When Segment received it, as a Unix timestamp, if known."""
    attributes: Attributes = NO_ATTRIBUTES
    """Those of the message in which it was stored, if it was in a queue."""

    @classmethod
    def create(cls, element: Element, attributes: Attributes = NO_ATTRIBUTES) -> Self:
        """Return the event in *element*."""
        fields = _fields(element.data)
        value = fields.get("messageId")
        message_id = value if isinstance(value, str) else None
        received_at = _find_received_at(fields)
        return cls(element.text, message_id, received_at, attributes)

    @property
    def is_test(self) -> bool:
        """Whether Segment's Event Tester generated the event."""
        return is_test_id(self.message_id or "")


type DecodedEvent = tuple[Event, Any]  # with its decoded JSON, which can be `TooDeep`


def is_test_id(message_id: str) -> bool:
    """Return whether *message_id* is one that Segment's Event Tester generates."""
    return message_id.startswith(TEST_MESSAGE_ID_PREFIXES)


def decode_event(text: str, start: int) -> tuple[Element, int]:
    """Return the event that begins at *start*, and the position after it.

    Segment's Extensible Webhook wraps each event as `{"json": event}` and signs only
    the inner one, so the inner one is returned. Raises what `decode_element` does.
    """
    # https://github.com/segmentio/action-destinations/blob/main/packages/destination-actions/src/destinations/webhook-extensible/send/index.ts
    element, end = decode_element(text, start)
    wrapper = _WRAPPER_START.match(text, start)
    if wrapper is None or _fields(element.data).keys() != {"json"}:
        return element, end
    # From the text and not from the decoded object, because the signature covers the
    # text, which may contain the key "json" twice.
    return decode_element(text, wrapper.end())[0], end


def parse_body(body: bytes) -> Iterator[DecodedEvent]:
    """Yield the events of *body*: one JSON object, or an array with any elements.

    Elements that are not events are yielded too, so that the mapping rejects them one
    by one. Raises `MalformedBody` for any other body.
    """
    try:
        for element in _parse_text(body.decode()):
            yield Event.create(element), element.data
    except UnicodeDecodeError as error:
        raise MalformedBody(f"the body is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise MalformedBody(f"not JSON: {error.msg} (character {error.pos})") from error


def parse_first_element(body: bytes, *, trusted: bool) -> tuple[bytes | None, bool]:
    """Return the JSON text of an array's first element, and whether more follow.

    The text is None if *body* is not an array with a valid first element, or if that
    is not in the first 64 KiB, twice Segment's limit for an event, and the body isn't
    *trusted*. Decoding a hostile body of 6 MB could need seconds and 600 MB of memory.
    """
    # https://www.twilio.com/docs/segment/connections/sources/catalog/libraries/server/http-api#max-request-size
    for decode in (_decode_first_part, bytes.decode)[: 1 + trusted]:
        with suppress(ValueError, MalformedBody, StopIteration):
            text = decode(body)
            first, position = next(iterate_array(text, decode_event))
            more = text[:position].rstrip(SPACE).endswith(",")
            if not more:
                check_end(text, position)
            return first.text.encode(), more
    return None, False


def _parse_text(text: str) -> Iterable[Element]:
    start = skip_space(text)
    if text.startswith("[", start):
        return _parse_array(text, start)
    element, end = decode_element(text, start)
    check_end(text, end)
    if not text.startswith("{", start):
        raise MalformedBody("the body is neither a JSON object nor an array")
    return (Element(element.data, text),)


def _parse_array(text: str, start: int) -> Iterator[Element]:
    position = start
    for count, (element, end) in enumerate(iterate_array(text, decode_event, start)):
        if count == _MAX_ELEMENTS:
            raise MalformedBody(
                f"the array has more than {_MAX_ELEMENTS:,} elements; Segment sends at"
                f" most {MAX_BATCH_EVENTS:,} events"
            )
        position = end
        yield element
    if position == start:
        raise MalformedBody("the array is empty")
    check_end(text, position)


def _decode_first_part(body: bytes) -> str:
    """Return the beginning of *body* as text; a truncated element in it is ignored.

    Decoding a whole long array costs about 10% of billing its events.
    """
    return _Utf8Decoder().decode(body[:_FIRST_PART_BYTES])


def _find_received_at(fields: Mapping[str, Any]) -> float | None:
    """Return the first valid time of `receivedAt`, `sentAt` and `timestamp`."""
    for name in ("receivedAt", "sentAt", "timestamp"):
        try:
            return parse_time(fields[name]).timestamp()
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _fields(data: Any) -> Mapping[str, Any]:
    """Return the fields of an event's *data* as far as they are known."""
    if isinstance(data, TooDeep):
        return data.fields
    return data if isinstance(data, dict) else {}
