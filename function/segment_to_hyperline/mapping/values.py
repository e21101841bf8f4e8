"""Describe the values in an event, as error messages need it."""

from typing import Any

_KINDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}

# Spaces, control characters, and others that show nothing, such as U+200B and U+FEFF.
_INVISIBLE_RANGES = (
    *((0, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x1680, 0x1680), (0x180E, 0x180E)),
    *((0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000)),
    (0xFEFF, 0xFEFF),
)
_INVISIBLE = "".join(
    chr(code) for first, last in _INVISIBLE_RANGES for code in range(first, last + 1)
)


def describe_kind(value: Any) -> str:
    """Return the kind of *value* with its article, such as "a string"."""
    return _KINDS.get(type(value), "not a JSON value")


def describe_mismatch(value: Any, expected: str) -> str:
    """Return what *value* is instead of *expected*: "is a number, not a string"."""
    return f"is {describe_kind(value)}, not {expected}"


def is_invisible(text: str) -> bool:
    """Return whether *text*, which is not empty, has no character that can be seen."""
    if "!" <= text[0] <= "~":  # the usual case, without searching
        return False
    return not text.strip(_INVISIBLE)
