"""Metric math: the operators and functions that the alarms use; others raise an error.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tests.monitoring.series import Series

type Value = float | Series
type Operation = Callable[[float, float], float | None]

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(&&|\|\||[<>=!]=|\S))")


class Semantics(NamedTuple):
    """How CloudWatch behaves where its documentation is silent or contradicts reports.

    The alarms must work either way.
    """

    extra_periods: int = 0
    """How many periods more than EvaluationPeriods are retrieved."""
    missing_is_zero: bool = True
    """Whether a + b is b if there is no a, as documented; or else missing."""
    fills_empty: bool = True
    """Whether FILL fills a series without any data point in the range retrieved."""


class Context(NamedTuple):
    """What an expression is evaluated with; *period* and *reach* are in minutes."""

    series: Mapping[str, Series]
    semantics: Semantics
    period: int = 1
    reach: int = 1
    """The length of the range that is retrieved at an evaluation."""


def _divide(a: float, b: float) -> float | None:
    return a / b if b else None


_LEVELS: Sequence[Mapping[str, Operation]] = (
    {"OR": lambda a, b: float(bool(a or b)), "||": lambda a, b: float(bool(a or b))},
    {"AND": lambda a, b: float(bool(a and b)), "&&": lambda a, b: float(bool(a and b))},
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _divide},
)
_AGGREGATES: Mapping[str, Callable[[list[float]], float]] = {
    "SUM": sum,
    "MAX": max,
    "MIN": min,
}


def evaluate(expression: str, context: Context) -> Series:
    """Return the series that *expression* describes."""
    parser = _Parser(
        [match[0].strip() for match in _TOKEN.finditer(expression)], context
    )
    value = parser.parse(0)
    if parser.tokens or not isinstance(value, list):
        raise ValueError(f"not the expression of a series: {expression}")
    return value


class _Parser:
    """Reads tokens from left to right, and evaluates what it reads."""

    def __init__(self, tokens: list[str], context: Context) -> None:
        self.tokens = tokens
        self._context = context

    def parse(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self._parse_unary()
        value = self.parse(level + 1)
        while self.tokens and self.tokens[0] in _LEVELS[level]:
            operation = _LEVELS[level][self.tokens.pop(0)]
            value = self._combine(operation, value, self.parse(level + 1))
        return value

    def _parse_unary(self) -> Value:
        token = self.tokens.pop(0) if self.tokens else ""
        if token == "-":
            return self._combine(operator.mul, -1.0, self._parse_unary())
        if token == "(":
            value = self.parse(0)
            self._expect(")")
            return value
        if token[:1].isdigit():
            return float(token)
        if self.tokens[:1] == ["("]:
            return self._parse_function(token)
        if token in self._context.series:
            return self._context.series[token]
        raise ValueError(f"unknown in an expression: {token or 'its end'}")

    def _parse_function(self, name: str) -> Value:
        self._expect("(")
        if name in _AGGREGATES:
            # Of a single series, it would depend on the range that is retrieved.
            self._expect("[")
            arguments = self._parse_arguments("]")
            self._expect(")")
            return _aggregate(_AGGREGATES[name], arguments)
        arguments = self._parse_arguments(")")
        match name, arguments:
            case "FILL", [list() as series, float() as filler]:
                return self._fill(series, filler)
            case "IF", [list() as condition, yes, no]:
                return self._choose(condition, yes, no)
        raise ValueError(f"unknown function, or use of it: {name}")

    def _parse_arguments(self, end: str) -> list[Value]:
        arguments = [self.parse(0)]
        while self.tokens[:1] == [","]:
            self.tokens.pop(0)
            arguments.append(self.parse(0))
        self._expect(end)
        return arguments

    def _expect(self, token: str) -> None:
        if not self.tokens or self.tokens.pop(0) != token:
            raise ValueError(f"expected {token} in an expression")

    def _combine(self, operation: Operation, a: Value, b: Value) -> Value:
        if isinstance(a, float) and isinstance(b, float):
            result = operation(a, b)
            if result is None:
                raise ValueError("division by zero")
            return float(result)
        if isinstance(b, float):
            return [None if x is None else operation(x, b) for x in _series(a)]
        if isinstance(a, float):
            return [None if y is None else operation(a, y) for y in b]
        zero = 0.0 if self._context.semantics.missing_is_zero else None
        return [_apply(operation, x, y, zero) for x, y in zip(a, b, strict=True)]

    def _choose(self, condition: Series, yes: Value, no: Value) -> Series:
        absent = 0.0 if self._context.semantics.missing_is_zero else None
        length = len(condition)
        rows = zip(condition, _repeat(yes, length), _repeat(no, length), strict=True)
        return [
            None if c is None else (absent if y is None else y) if c else n
            for c, y, n in rows
        ]

    def _fill(self, series: Series, filler: float) -> Series:
        filled: Series = [filler if value is None else value for value in series]
        if self._context.semantics.fills_empty:
            return filled
        # For how many minutes the range has a data point.
        left, reach = 0, self._context.reach - self._context.period + 1
        for i, value in enumerate(series):
            left = left - 1 if value is None else reach
            if left <= 0:
                filled[i] = None
        return filled


def _series(value: Value) -> Series:
    assert isinstance(value, list)
    return value


def _repeat(value: Value, length: int) -> Series:
    return [value] * length if isinstance(value, float) else value


def _apply(
    operation: Operation, a: float | None, b: float | None, zero: float | None
) -> float | None:
    if a is None and b is None:
        return None
    a, b = zero if a is None else a, zero if b is None else b
    return None if a is None or b is None else operation(a, b)


def _aggregate(
    aggregate: Callable[[list[float]], float], arguments: list[Value]
) -> Series:
    """Return the sum or the maximum of what is there at each minute."""
    rows = zip(*map(_series, arguments), strict=True)
    present = ([value for value in row if value is not None] for row in rows)
    return [aggregate(values) if values else None for values in present]
