"""The functions that an expression can call: JMESPath's, Powertools' and ours.

A function raises `FunctionError` for an argument that it does not accept, and never
guesses, so that a mistake can't become an invoice.
https://jmespath.org/specification.html#built-in-functions
https://docs.powertools.aws.dev/lambda/python/latest/utilities/jmespath_functions/
"""

import json
import zlib
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.utilities.jmespath_utils import PowertoolsFunctions
from jmespath.exceptions import JMESPathTypeError
from jmespath.functions import signature

from segment_to_hyperline.elements import MalformedBody, decode_text
from segment_to_hyperline.hyperline.billable_event import MAX_EVENT_BYTES
from segment_to_hyperline.mapping import arithmetic, compression
from segment_to_hyperline.mapping.arguments import (
    ArgumentError,
    FunctionError,
    require_numbers,
    require_pair,
    require_string,
    require_text,
    require_time,
    wrong_argument,
    wrong_type,
)
from segment_to_hyperline.mapping.arithmetic import ArithmeticProblem, Number
from segment_to_hyperline.mapping.words import Tables, require_word

# What the functions that decode a string raise if they can't, and `ceil` for 1e999.
_DECODING_ERRORS = (ValueError, OSError, EOFError, OverflowError, zlib.error)

_ANY: Any = {"types": []}


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
            parameters = self.FUNCTION_TABLE[error.function_name]["signature"]
            raise wrong_type(error, parameters, resolved_args) from None
        except ArithmeticProblem as error:
            if error.position:
                problem = str(error)
                raise ArgumentError(function_name, error.position, problem) from error
            raise FunctionError(f"{function_name}(): {error}") from error
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
            require_string("contains", 2, search)
        return search in subject

    @signature({"types": ["object"], "variadic": True})
    def _func_merge(self, *objects: Any) -> dict[str, Any]:
        for position, value in enumerate(objects, start=1):
            if not isinstance(value, dict):
                raise wrong_argument("merge", position, value, "an object")
        return {name: item for value in objects for name, item in value.items()}

    @signature({"types": ["array-number"]})
    def _func_sum(self, numbers: list[Number]) -> Number:
        # The library adds binary numbers: 0.1 and 0.2 are 0.30000000000000004.
        require_numbers("sum", numbers)
        return arithmetic.add(numbers)

    @signature({"types": ["array-number"]})
    def _func_avg(self, numbers: list[Number]) -> Number | None:
        if not numbers:
            return None
        require_numbers("avg", numbers)
        return arithmetic.average(numbers)

    @signature(_ANY, _ANY)
    def _func_add(self, left: Any, right: Any) -> Number:
        return arithmetic.add(require_pair("add", left, right))

    @signature(_ANY, _ANY)
    def _func_subtract(self, left: Any, right: Any) -> Number:
        return arithmetic.subtract(*require_pair("subtract", left, right))

    @signature(_ANY, _ANY)
    def _func_multiply(self, left: Any, right: Any) -> Number:
        return arithmetic.multiply(*require_pair("multiply", left, right))

    @signature(_ANY, _ANY)
    def _func_divide(self, left: Any, right: Any) -> Number:
        return arithmetic.divide(*require_pair("divide", left, right))

    @signature(_ANY, _ANY)
    def _func_modulo(self, left: Any, right: Any) -> Number:
        return arithmetic.modulo(*require_pair("modulo", left, right))

    @signature(_ANY, _ANY)
    def _func_round(self, value: Any, digits: Any) -> Number:
        return arithmetic.round_half_up(*require_pair("round", value, digits))

    @signature(_ANY, _ANY)
    def _func_split(self, text: Any, separator: Any) -> list[str]:
        whole = require_string("split", 1, text)
        return whole.split(require_text("split", 2, separator))

    @signature(_ANY, _ANY, _ANY)
    def _func_replace(self, text: Any, old: Any, new: Any) -> str:
        whole = require_string("replace", 1, text)
        part = require_text("replace", 2, old)
        replacement = require_string("replace", 3, new)
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
        return require_string("lower", 1, text).lower()

    @signature(_ANY)
    def _func_upper(self, text: Any) -> str:
        return require_string("upper", 1, text).upper()

    @signature(_ANY)
    def _func_trim(self, text: Any) -> str:
        return require_string("trim", 1, text).strip()

    @signature(_ANY)
    def _func_parse_json(self, text: Any) -> Any:
        return _parse_json("parse_json", text)

    @signature(_ANY)
    def _func_powertools_json(self, text: Any) -> Any:
        # The library's version accepts NaN and Infinity, which are not JSON.
        return _parse_json("powertools_json", text)

    @signature(_ANY, _ANY, _ANY)
    def _func_time_difference(self, start: Any, end: Any, unit: Any) -> Number:
        began = require_time("time_difference", 1, start)
        ended = require_time("time_difference", 2, end)
        length = require_word("time_difference", unit)
        microsecond = timedelta(microseconds=1)
        return arithmetic.divide((ended - began) // microsecond, length // microsecond)

    @signature(_ANY, _ANY)
    def _func_date_part(self, time: Any, part: Any) -> int | str:
        parsed = require_time("date_part", 1, time)
        value: int | str = require_word("date_part", part)(parsed)
        return value

    @signature(_ANY, {"types": [], "variadic": True})
    def _func_lookup(self, table: str, key: Any, *default: Any) -> Any:
        # `validate` has checked that the table exists, and the number of arguments.
        if default and key is None:
            return default[0]
        text = require_string("lookup", 2, str(key) if type(key) is int else key)
        entries = self._tables[table]
        if text in entries:
            return entries[text]
        if default:
            return default[0]
        raise ArgumentError("lookup", 2, f"has no entry in the table {table}", key)


def _parse_json(name: str, text: Any) -> Any:
    try:
        return decode_text(require_string(name, 1, text))
    except (ValueError, RecursionError, MalformedBody) as error:
        raise ArgumentError(name, 1, "is not JSON", text) from error
