"""Decode JSON element by element, keeping the text of each."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from segment_to_hyperline.errors import Error

SPACE = " \t\n\r"
_ARRAY_START = re.compile(rf"[{SPACE}]*\[[{SPACE}]*")
_ARRAY_END = re.compile(rf"\][{SPACE}]*\Z")
_AFTER_ELEMENT = re.compile(rf"[{SPACE}]*(,|\])[{SPACE}]*")
# A string, which may contain brackets, or a bracket.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
# Values nested less deeply than this are decoded at once. Python's own limit differs
# between versions and platforms; it is above 1,000 in all that the tools run on.
_PART_DEPTH = 500

# Python does not convert longer integers.
# https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
_MAX_INTEGER_DIGITS = 4_300


class MalformedBody(Error):
    """Raised when no event can be read from a body; the message says why."""


class TooDeep(NamedTuple):
    """Stands for a value that is nested too deeply to be decoded, but is valid JSON."""

    fields: Mapping[str, str | None]
    """The keys of an object, and those of its values that are strings."""


class Element(NamedTuple):
    """An element of an array."""

    data: Any
    """The value, which can be `TooDeep`."""
    text: str
    """The JSON text that it was decoded from."""


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

    Raises JSONDecodeError, or `MalformedBody` for NaN and Infinity.
    """
    try:
        data, end = decode_value(text, start)
    except RecursionError:
        data, end = _decode_deep_value(text, start)
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


def _decode_deep_value(text: str, start: int) -> tuple[TooDeep, int]:
    """Return what is known of the deep value at *start*, and the position after it.

    It is decoded without recursion, in parts from the inside to the outside. In each
    part, a 0 replaces the inner ones. Raises what `decode_value` does.
    """
    depth = 0
    parts: list[list[str]] = [[]]
    position = start
    for token in _STRING_OR_BRACKET.finditer(text, start):
        if token[0] in "[{":
            if depth and depth % _PART_DEPTH == 0:
                parts[-1].append(text[position : token.start()])
                parts.append([])
                position = token.start()
            depth += 1
        elif token[0] in "]}":
            depth -= 1
            if depth % _PART_DEPTH == 0:
                part = "".join((*parts.pop(), text[position : token.end()]))
                data = _decode_part(part, text, start)
                position = token.end()
                if not parts:
                    return TooDeep(_find_strings(data)), position
                parts[-1].append("0")
    raise json.JSONDecodeError("Unterminated array or object", text, start)


def _decode_part(part: str, text: str, start: int) -> Any:
    try:
        return decode_text(part)
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(error.msg, text, start) from error


def _find_strings(data: Any) -> dict[str, str | None]:
    fields = data if isinstance(data, dict) else {}
    return {k: value if isinstance(value, str) else None for k, value in fields.items()}
