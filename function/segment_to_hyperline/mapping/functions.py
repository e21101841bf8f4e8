"""The functions that an expression can call: JMESPath's, Powertools' and ours.

A function raises `FunctionError` for an argument that it does not accept, and never
guesses, so that a mistake can't become an invoice.
https://jmespath.org/specification.html#built-in-functions
https://docs.powertools.aws.dev/lambda/python/latest/utilities/jmespath_functions/
"""

import json
import zlib
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.jmespath_utils import PowertoolsFunctions
from jmespath.exceptions import JMESPathTypeError
from jmespath.functions import signature

from segment_to_hyperline.elements import MalformedBody, decode_text
from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.billable_event import MAX_EVENT_BYTES
from segment_to_hyperline.mapping import arithmetic, compression
from segment_to_hyperline.mapping.arithmetic import ArithmeticProblem, Number
from segment_to_hyperline.mapping.values import describe_kind
from segment_to_hyperline.segment.times import parse_time

type Table = Mapping[str, str | int | float | bool]
type Tables = Mapping[str, Table]

TIME_UNITS = {
    "seconds": timedelta(seconds=1),
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
}
DATE_PARTS: Mapping[str, Callable[[datetime], int | str]] = {
    "year": lambda time: time.year,
    "month": lambda time: time.month,
    "day": lambda time: time.day,
    "hour": lambda time: time.hour,
    "minute": lambda time: time.minute,
    "weekday": lambda time: time.isoweekday(),
    "days_in_month": lambda time: monthrange(time.year, time.month)[1],
    "date": lambda time: time.date().isoformat(),
}
# The arguments of a function that are one of a few words, by their index.
WORDS = {"time_difference": (2, TIME_UNITS), "date_part": (1, DATE_PARTS)}

# How the library writes types in signatures.
_TYPES = {
    "array-number": "an array of numbers",
    "array-string": "an array of strings",
    "array": "an array",
    "object": "an object",
    "string": "a string",
    "number": "a number",
}
# What the functions that decode a string raise if they can't, and `ceil` for 1e999.
_DECODING_ERRORS = (ValueError, OSError, EOFError, OverflowError, zlib.error)

_MAX_LOOKUP_ARGUMENTS = 3
_ANY: Any = {"types": []}


class FunctionError(Error):
    """Raised when a function can't return a value; the message contains no values."""


class ArgumentError(FunctionError):
    """Raised when a function can't use one of its arguments.

    *position* counts from 1. *path* is the argument as the expression writes it, which
    is added where that is known. *value* is the argument's value, for the preview
    only: neither the message nor `repr` contains it, because these are logged.
    """

    def __init__(
        self, name: str, position: int, problem: str, value: Any = None
    ) -> None:
        super().__init__(name, position, problem)
        self.name = name
        self.position = position
        self.problem = problem
        self.value = value
        self.path: str | None = None

    def __str__(self) -> str:
        """Return the reason, such as `add(): argument 2 (userId) is a string, …`."""
        path = f" ({self.path})" if self.path else ""
        return f"{self.name}(): argument {self.position}{path} {self.problem}"


class Functions(PowertoolsFunctions):
    """The functions, as jmespath.py looks them up, with the tables for `lookup`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def call_function(self, function_name: str, resolved_args: Any) -> Any:
        """Return the function's result; raises `FunctionError`.

        The library's errors quote values, so they are no part of a traceback either,
        and they don't say which argument is wrong.
        """
        try:
            return super().call_function(function_name, resolved_args)
        except JMESPathTypeError as error:
            raise _wrong_type(error, resolved_args) from None
        except _DECODING_ERRORS as error:
            problem = f"fails with {type(error).__name__}"
            value = resolved_args[0]
            raise ArgumentError(function_name, 1, problem, value) from None

    @signature(_ANY)
    def _func_to_number(self, value: Any) -> Number | None:
        # The library's version accepts whatever Python does: "1_000", "nan", " ٣ ".
        # This one accepts JSON's numbers only.
        # https://jmespath.org/specification.html#to-number
        if isinstance(value, str):
            try:
                value = json.loads(value, parse_constant=lambda _: None)
            except (ValueError, RecursionError):
                return None
        return value if type(value) in {int, float} else None

    @signature({"types": ["array", "string"]}, _ANY)
    def _func_contains(self, subject: Any, search: Any) -> bool:
        if isinstance(subject, str):
            _require_string("contains", 2, search)
        return search in subject

    @signature({"types": ["object"], "variadic": True})
    def _func_merge(self, *objects: Any) -> dict[str, Any]:
        for position, value in enumerate(objects, start=1):
            if not isinstance(value, dict):
                raise _wrong_argument("merge", position, value, "an object")
        return {name: item for value in objects for name, item in value.items()}

    @signature({"types": ["array-number"]})
    def _func_sum(self, numbers: list[Number]) -> Number:
        # The library adds binary numbers: 0.1 and 0.2 are 0.30000000000000004.
        _require_numbers("sum", numbers)
        return _compute("sum", lambda: arithmetic.add(numbers))

    @signature({"types": ["array-number"]})
    def _func_avg(self, numbers: list[Number]) -> Number | None:
        if not numbers:
            return None
        _require_numbers("avg", numbers)
        return _compute("avg", lambda: arithmetic.average(numbers))

    @signature(_ANY, _ANY)
    def _func_add(self, left: Any, right: Any) -> Number:
        return _calculate("add", lambda a, b: arithmetic.add((a, b)), left, right)

    @signature(_ANY, _ANY)
    def _func_subtract(self, left: Any, right: Any) -> Number:
        return _calculate("subtract", arithmetic.subtract, left, right)

    @signature(_ANY, _ANY)
    def _func_multiply(self, left: Any, right: Any) -> Number:
        return _calculate("multiply", arithmetic.multiply, left, right)

    @signature(_ANY, _ANY)
    def _func_divide(self, left: Any, right: Any) -> Number:
        return _calculate("divide", arithmetic.divide, left, right)

    @signature(_ANY, _ANY)
    def _func_modulo(self, left: Any, right: Any) -> Number:
        return _calculate("modulo", arithmetic.modulo, left, right)

    @signature(_ANY, _ANY)
    def _func_round(self, value: Any, digits: Any) -> Number:
        return _calculate("round", arithmetic.round_half_up, value, digits)

    @signature(_ANY, _ANY)
    def _func_split(self, text: Any, separator: Any) -> list[str]:
        whole = _require_string("split", 1, text)
        return whole.split(_require_text("split", 2, separator))

    @signature(_ANY, _ANY, _ANY)
    def _func_replace(self, text: Any, old: Any, new: Any) -> str:
        whole = _require_string("replace", 1, text)
        part = _require_text("replace", 2, old)
        replacement = _require_string("replace", 3, new)
        length = len(whole) + whole.count(part) * (len(replacement) - len(part))
        if length > MAX_EVENT_BYTES:
            raise FunctionError("replace(): the result is too long")
        return whole.replace(part, replacement)

    @signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: str, texts: list[str]) -> str:
        length = sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1)
        if length > MAX_EVENT_BYTES:
            raise FunctionError("join(): the result is too long")
        return separator.join(texts)

    @signature({"types": ["string"]})
    def _func_powertools_base64_gzip(self, text: str) -> str:
        # The library's version decompresses 29 KB to 22 MB, and needs 588 MB for it.
        try:
            return compression.decompress(text)
        except compression.TextTooLong as error:
            problem = f"powertools_base64_gzip(): {error}"
            raise FunctionError(problem) from error

    @signature(_ANY)
    def _func_lower(self, text: Any) -> str:
        return _require_string("lower", 1, text).lower()

    @signature(_ANY)
    def _func_upper(self, text: Any) -> str:
        return _require_string("upper", 1, text).upper()

    @signature(_ANY)
    def _func_trim(self, text: Any) -> str:
        return _require_string("trim", 1, text).strip()

    @signature(_ANY)
    def _func_parse_json(self, text: Any) -> Any:
        return _parse_json("parse_json", text)

    @signature(_ANY)
    def _func_powertools_json(self, text: Any) -> Any:
        # The library's version accepts NaN and Infinity, which are not JSON.
        return _parse_json("powertools_json", text)

    @signature(_ANY, _ANY, _ANY)
    def _func_time_difference(self, start: Any, end: Any, unit: Any) -> Number:
        began = _require_time("time_difference", 1, start)
        ended = _require_time("time_difference", 2, end)
        length = _require_word("time_difference", unit)
        microsecond = timedelta(microseconds=1)
        return arithmetic.divide((ended - began) // microsecond, length // microsecond)

    @signature(_ANY, _ANY)
    def _func_date_part(self, time: Any, part: Any) -> int | str:
        parsed = _require_time("date_part", 1, time)
        find: Callable[[datetime], int | str] = _require_word("date_part", part)
        return find(parsed)

    @signature(_ANY, {"types": [], "variadic": True})
    def _func_lookup(self, table: str, key: Any, *default: Any) -> Any:
        # `validate` has checked that the table exists, and the number of arguments.
        if default and key is None:
            return default[0]
        text = _require_string("lookup", 2, str(key) if type(key) is int else key)
        entries = self._tables[table]
        if text in entries:
            return entries[text]
        if default:
            return default[0]
        raise ArgumentError("lookup", 2, f"has no entry in the table {table}", key)


def check_arguments(name: str, values: list[Any], tables: Tables) -> str:
    """Return what is wrong with a call's arguments, as far as it is known; or "".

    *values* has the value of each argument that is a literal, and otherwise None.
    """
    if name in WORDS:
        index, words = WORDS[name]
        word = values[index]
        if word is not None and (not isinstance(word, str) or word not in words):
            return f"argument {index + 1} must be one of {', '.join(words)}"
    if name == "lookup":
        if len(values) > _MAX_LOOKUP_ARGUMENTS:
            return f"takes 2 or 3 arguments, but {len(values)} are given"
        if not isinstance(values[0], str) or values[0] not in tables:
            known = ", ".join(tables) or "none"
            return (
                f"argument 1 must be the name of a table in quotes; there are: {known}"
            )
    return ""


def _parse_json(name: str, text: Any) -> Any:
    try:
        return decode_text(_require_string(name, 1, text))
    except (ValueError, RecursionError, MalformedBody) as error:
        raise ArgumentError(name, 1, "is not JSON", text) from error


def _calculate(
    name: str, operation: Callable[[Number, Number], Number], left: Any, right: Any
) -> Number:
    first, second = _require_number(name, 1, left), _require_number(name, 2, right)
    return _compute(name, lambda: operation(first, second))


def _compute(name: str, operation: Callable[[], Number]) -> Number:
    try:
        return operation()
    except ArithmeticProblem as error:
        if error.position:
            raise ArgumentError(name, error.position, str(error)) from error
        raise FunctionError(f"{name}(): {error}") from error


def _require_number(name: str, position: int, value: Any) -> Number:
    if type(value) not in {int, float}:
        raise _wrong_argument(name, position, value, "a number")
    _require_numbers(name, [value], position)
    number: Number = value
    return number


def _require_numbers(name: str, values: Iterable[Number], position: int = 1) -> None:
    if any(abs(value) > arithmetic.MAX for value in values):
        raise ArgumentError(name, position, "is too large")


def _require_string(name: str, position: int, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_argument(name, position, value, "a string")
    return value


def _require_text(name: str, position: int, value: Any) -> str:
    text = _require_string(name, position, value)
    if not text:
        raise ArgumentError(name, position, "is empty")
    return text


def _require_time(name: str, position: int, value: Any) -> datetime:
    text = _require_string(name, position, value)
    try:
        return parse_time(text)
    except ValueError as error:
        problem = "is not an ISO 8601 date and time"
        raise ArgumentError(name, position, problem, text) from error


def _require_word(name: str, value: Any) -> Any:
    index, words = WORDS[name]
    word = _require_string(name, index + 1, value)
    if word not in words:
        problem = f"is not one of {', '.join(words)}"
        raise ArgumentError(name, index + 1, problem, word)
    return words[word]


def _wrong_argument(
    name: str, position: int, value: Any, expected: str
) -> ArgumentError:
    if value is None:
        return ArgumentError(name, position, "is missing or null")
    problem = f"is {describe_kind(value)}, not {expected}"
    return ArgumentError(name, position, problem, value)


def _wrong_type(error: JMESPathTypeError, values: list[Any]) -> ArgumentError:
    """Return the library's *error* about one of *values* in our words."""
    name, types = error.function_name, error.expected_types
    expected = " or ".join(_TYPES.get(kind, kind) for kind in types)
    for index, parameter in enumerate(Functions.FUNCTION_TABLE[name]["signature"]):
        # Parameters with equal types have lists of their own.
        if parameter["types"] is types:
            value = values[index]
            break
    else:
        # What the reference returns for an element, as in max_by(a, &b).
        index, value = 1, error.current_value
    if value is error.current_value:
        return _wrong_argument(name, index + 1, value, expected)
    problem = f"contains {describe_kind(error.current_value)}, so it is not {expected}"
    return ArgumentError(name, index + 1, problem, value)
