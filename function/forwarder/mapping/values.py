"""The kinds of values in an event, as error messages name them.

Pure: no network, no environment, no clock.
"""

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


def describe_kind(value: Any) -> str:
    """Return the kind of *value* with its article, such as "a string"."""
    return _KINDS.get(type(value), "not a JSON value")
