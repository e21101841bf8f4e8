"""Decode JSON element by element, keeping the text of each.

Pure: no network, no environment, no clock.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

SPACE = " \t\n\r"
_ARRAY_START = re.compile(rf"[{SPACE}]*\[[{SPACE}]*")
_ARRAY_END = re.compile(rf"\][{SPACE}]*\Z")
_AFTER_ELEMENT = re.compile(rf"[{SPACE}]*(,|\])[{SPACE}]*")

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


def decode_text(text: str) -> Any:
    """Return the JSON value that is all of *text*; raises what `decode_value` does."""
    data, end = decode_value(text, skip_space(text))
    check_end(text, end)
    return data


def skip_space(text: str) -> int:
    """Return the position of the first character of *text* that is not white space."""
    return len(text) - len(text.lstrip(SPACE))


def check_end(text: str, end: int) -> None:
    """Raise JSONDecodeError if anything but white space follows the position *end*."""
    if text[end:].strip(SPACE):
        raise json.JSONDecodeError("Extra data", text, end)


def decode_element(text: str, start: int) -> tuple[Element, int]:
    """Return the element that begins at *start*, and the position after it.

    Raises what `decode_value` does.
    """
    data, end = decode_value(text, start)
    return Element(data, text[start:end]), end


def iterate_array(
    text: str,
    decode: Callable[[str, int], tuple[Element, int]],
    start: int = 0,
) -> Iterator[tuple[Element, int]]:
    """Yield the elements of the array at *start*, and the position after each.

    After the last one it is the array's end. Raises what *decode* does.
    """
    opening = _ARRAY_START.match(text, start)
    if opening is None:
        raise json.JSONDecodeError("Expecting an array", text, start)
    position = opening.end()
    if _ARRAY_END.match(text, position):
        return
    delimiter = ","
    while delimiter == ",":
        element, end = decode(text, position)
        following = _AFTER_ELEMENT.match(text, end)
        if following is None:
            raise json.JSONDecodeError("Expecting ',' or ']'", text, end)
        delimiter, position = following[1], following.end()
        yield element, position
