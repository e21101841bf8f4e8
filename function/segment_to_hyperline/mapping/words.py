"""Arguments that are one of a few words, which are checked when the mapping is read."""

from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from segment_to_hyperline.mapping.arguments import ArgumentError, require_string

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

_MAX_LOOKUP_ARGUMENTS = 3


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


def require_word(name: str, value: Any) -> Any:
    """Return what the word *value* means to the function *name*."""
    index, words = WORDS[name]
    word = require_string(name, index + 1, value)
    if word not in words:
        problem = f"is not one of {', '.join(words)}"
        raise ArgumentError(name, index + 1, problem, word)
    return words[word]
