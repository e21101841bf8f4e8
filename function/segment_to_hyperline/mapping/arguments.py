"""The arguments of functions: which are accepted, and what is wrong with others."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from jmespath.exceptions import JMESPathTypeError

from segment_to_hyperline.errors import Error
from segment_to_hyperline.mapping.arithmetic import MAX, Number
from segment_to_hyperline.mapping.values import describe_kind, describe_mismatch
from segment_to_hyperline.segment.times import parse_time

# How the library writes types in signatures.
_TYPES = {
    "array-number": "an array of numbers",
    "array-string": "an array of strings",
    "array": "an array",
    "object": "an object",
    "string": "a string",
    "number": "a number",
}


class FunctionError(Error):
    """Raised when a function can't return a value; the message contains no values."""


class ArgumentError(FunctionError):
    """Raised when a function can't use one of its arguments.

    Neither the message nor `repr` contains the value, because these are logged.
    """

    def __init__(
        self, name: str, position: int, problem: str, value: Any = None
    ) -> None:
        super().__init__(name, position, problem)
        self.name = name
        """The function."""
        self.position = position
        """The argument, from 1."""
        self.problem = problem
        self.value = value
        """The argument's value, for the preview only."""
        self.path: str | None = None
        """The argument as the expression writes it, once that is known."""

    def __str__(self) -> str:
        """Return the reason, such as `add(): argument 2 (userId) is a string, …`."""
        path = f" ({self.path})" if self.path else ""
        return f"{self.name}(): argument {self.position}{path} {self.problem}"


def require_number(name: str, position: int, value: Any) -> Number:
    """Return *value*, a number that JSON's readers can represent."""
    if type(value) not in {int, float}:
        raise wrong_argument(name, position, value, "a number")
    require_numbers(name, [value], position)
    number: Number = value
    return number


def require_pair(name: str, first: Any, second: Any) -> tuple[Number, Number]:
    """Return the two numbers that are a function's arguments."""
    return require_number(name, 1, first), require_number(name, 2, second)


def require_numbers(name: str, values: Iterable[Number], position: int = 1) -> None:
    """Raise `ArgumentError` unless JSON's readers can represent each of *values*."""
    if any(abs(value) > MAX for value in values):
        raise ArgumentError(name, position, "is too large")


def require_string(name: str, position: int, value: Any) -> str:
    """Return *value*, a string."""
    if not isinstance(value, str):
        raise wrong_argument(name, position, value, "a string")
    return value


def require_text(name: str, position: int, value: Any) -> str:
    """Return *value*, a string that is not empty."""
    text = require_string(name, position, value)
    if not text:
        raise ArgumentError(name, position, "is empty")
    return text


def require_time(name: str, position: int, value: Any) -> datetime:
    """Return the time in *value*, a string in ISO 8601."""
    text = require_string(name, position, value)
    try:
        return parse_time(text)
    except ValueError as error:
        problem = "is not an ISO 8601 date and time"
        raise ArgumentError(name, position, problem, text) from error


def wrong_argument(
    name: str, position: int, value: Any, expected: str
) -> ArgumentError:
    """Return the error for a *value* that is not of the *expected* kind."""
    if value is None:
        return ArgumentError(name, position, "is missing or null")
    return ArgumentError(name, position, describe_mismatch(value, expected), value)


def wrong_type(
    error: JMESPathTypeError, parameters: Sequence[Any], values: list[Any]
) -> ArgumentError:
    """Return the library's *error* about one of *values* in our words.

    *parameters* is the signature of the function, as the library writes it.
    """
    name, types = error.function_name, error.expected_types
    expected = " or ".join(_TYPES.get(kind, kind) for kind in types)
    for index, parameter in enumerate(parameters):
        # Parameters with equal types have lists of their own.
        if parameter["types"] is types:
            value = values[index]
            break
    else:
        # What the reference returns for an element, as in max_by(a, &b).
        index, value = 1, error.current_value
    if value is error.current_value:
        return wrong_argument(name, index + 1, value, expected)
    problem = f"contains {describe_kind(error.current_value)}, so it is not {expected}"
    return ArgumentError(name, index + 1, problem, value)
