"""Decode JSON values, keeping the text of each element of an array.

Pure: no network, no environment, no clock.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

SPACE = " \t\n\r"
_ARRAY_START = re.compile(rf"[{SPACE}]*\[[{SPACE}]*")
_AFTER_ELEMENT = re.compile(rf"[{SPACE}]*(,|\][{SPACE}]*\Z)[{SPACE}]*")
_WRAPPER_START = re.compile(rf"\{{[{SPACE}]*\"json\"[{SPACE}]*:[{SPACE}]*")

# Python does not convert longer integers.
# https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
_MAX_INTEGER_DIGITS = 4_300


class MalformedBody(Exception):
    """Raised when no event can be read from a body; the message says why."""


class Element(NamedTuple):
    """An element of an array: its value, and the JSON text it was decoded from."""

    data: Any
    text: str


def _parse_long_integer(digits: str) -> int | float:
    return int(digits) if len(digits) < _MAX_INTEGER_DIGITS else float(digits)


def _reject_constant(name: str) -> None:
    raise MalformedBody(f"not JSON: the body contains {name}")


_DECODER = json.JSONDecoder(parse_constant=_reject_constant)
_LONG_INTEGER_DECODER = json.JSONDecoder(
    parse_int=_parse_long_integer, parse_constant=_reject_constant
)


def decode_value(text: str, start: int = 0) -> tuple[Any, int]:
    """Return the JSON value that begins at *start*, and the position after it.

    Raises JSONDecodeError, RecursionError, or `MalformedBody` for NaN and Infinity.
    """
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # An integer has too many digits. Decoded as a float it is infinite, like 1e400,
        # so that the mapping quarantines this event and no other.
        return _LONG_INTEGER_DECODER.raw_decode(text, start)


def decode_element(text: str, start: int) -> tuple[Element, int]:
    """Return the element that begins at *start*, and the position after it.

    Segment's Extensible Webhook wraps each event as `{"json": event}` and signs only
    the inner one, so the inner one is returned. Raises what `decode_value` does.
    """
    # https://github.com/segmentio/action-destinations/blob/main/packages/destination-actions/src/destinations/webhook-extensible/send/index.ts
    data, end = decode_value(text, start)
    wrapper = _WRAPPER_START.match(text, start) if is_wrapper(data) else None
    if wrapper is None:
        return Element(data, text[start:end]), end
    data, inner_end = decode_value(text, wrapper.end())
    return Element(data, text[wrapper.end() : inner_end]), end


def iterate_elements(text: str) -> Iterator[Element]:
    """Yield the elements of the JSON array *text*; raises what `decode_value` does."""
    start = _ARRAY_START.match(text)
    if start is None:
        raise json.JSONDecodeError("Expecting an array", text, 0)
    delimiter, position = ",", start.end()
    while delimiter == ",":
        element, end = decode_element(text, position)
        yield element
        following = _AFTER_ELEMENT.match(text, end)
        if following is None:
            raise json.JSONDecodeError("Expecting ',' or ']'", text, end)
        delimiter, position = following[1], following.end()


def is_wrapper(data: Any) -> bool:
    """Return whether *data* is an event as the Extensible Webhook wraps it."""
    return isinstance(data, dict) and len(data) == 1 and "json" in data
