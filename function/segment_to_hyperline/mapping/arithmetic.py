"""Exact decimal arithmetic on the numbers of events, as they are written in JSON.

19.99 times 100 is 1999, and 0.1 times 3 is 0.3. A result is a whole number, or the
nearest number that JSON's readers can represent (IEEE 754, about 16 digits).
"""

import math
import sys
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

from segment_to_hyperline.errors import Error

# The largest number that JSON's readers can represent.
MAX = sys.float_info.max
# No sum or product of two such numbers has more digits, so it is not rounded.
_EXACT = Context(prec=1_400)
# A quotient can have infinitely many digits. 50 are enough to find the nearest number,
# and to see whether it is whole. From 1e30 on, few of them would be decimal places.
_DIVISION = Context(prec=50)
_MAX_ROUNDED = Decimal("1e30")
# The most decimal places that `round` accepts.
MAX_DIGITS = 15

type Number = int | float


class ArithmeticProblem(Error):
    """Raised when a result can't be computed; the message says why, without values."""

    def __init__(self, problem: str, position: int = 0) -> None:
        super().__init__(problem)
        self.position = position
        """The argument that is wrong, from 1; 0 if it is the result."""


def to_decimal(value: Number) -> Decimal:
    """Return *value* as it is written, without the error of its binary form."""
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def to_number(value: Decimal) -> Number:
    """Return *value* as a number for JSON; raises `ArithmeticProblem`."""
    if abs(value) > MAX:
        raise ArithmeticProblem("the result is too large")
    if value == value.to_integral_value(context=_EXACT):
        return int(value)
    return float(value)


def add(numbers: Sequence[Number]) -> Number:
    """Return the sum of *numbers*; 0 if there are none."""
    return to_number(_sum(numbers))


def average(numbers: Sequence[Number]) -> Number:
    """Return the average of *numbers*, of which there is at least one."""
    return to_number(_divide(_sum(numbers), Decimal(len(numbers))))


def subtract(left: Number, right: Number) -> Number:
    """Return *left* - *right*."""
    return to_number(_EXACT.subtract(to_decimal(left), to_decimal(right)))


def multiply(left: Number, right: Number) -> Number:
    """Return *left* times *right*."""
    return to_number(_EXACT.multiply(to_decimal(left), to_decimal(right)))


def divide(left: Number, right: Number) -> Number:
    """Return *left* / *right*; raises `ArithmeticProblem` if *right* is zero."""
    if not right:
        raise ArithmeticProblem("is zero", 2)
    return to_number(_divide(to_decimal(left), to_decimal(right)))


def modulo(left: Number, right: Number) -> Number:
    """Return the remainder of *left* / *right*, with the sign of *left*.

    Raises `ArithmeticProblem` if *right* is zero.
    """
    if not right:
        raise ArithmeticProblem("is zero", 2)
    return to_number(_EXACT.remainder(to_decimal(left), to_decimal(right)))


def round_half_up(value: Number, digits: Number) -> Number:
    """Return *value* with this many decimal places; 0.5 is rounded away from zero.

    Negative *digits* round to tens, hundreds and so on. Raises `ArithmeticProblem`.
    """
    if digits != math.trunc(digits) or abs(digits) > MAX_DIGITS:
        raise ArithmeticProblem(
            f"is not a whole number from -{MAX_DIGITS} to {MAX_DIGITS}", 2
        )
    place = Decimal(1).scaleb(-int(digits))
    rounded = to_decimal(value).quantize(place, ROUND_HALF_UP, _EXACT)
    return to_number(rounded)


def _sum(numbers: Sequence[Number]) -> Decimal:
    total = Decimal(0)
    for number in numbers:
        total = _EXACT.add(total, to_decimal(number))
    return total


def _divide(left: Decimal, right: Decimal) -> Decimal:
    quotient = _DIVISION.divide(left, right)
    return quotient if abs(quotient) < _MAX_ROUNDED else _EXACT.divide(left, right)
