"""What a credential in the secret was meant to be, if it was written by mistake."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

_SCHEME = "bearer "
_QUOTES = "'\""


class Form(NamedTuple):
    """What a credential was meant to be."""

    values: tuple[str, ...]
    """Without a problem, there is one, which is the credential as written."""
    problems: tuple[str, ...]
    """What is wrong with the credential as written."""


def read_form(text: str) -> Form:
    """Return what is meant by the credential *text*."""
    values, problems = [text], []
    for problem, read in _MISTAKES.items():
        meant = [part for value in values for part in read(value)]
        if meant != values:
            values = meant
            problems.append(problem)
    return Form(tuple(values), tuple(problems))


def is_same_name(name: str, other: str) -> bool:
    """Return whether two names of fields differ in case, punctuation or plural only."""
    return _simplify(name) == _simplify(other)


def _simplify(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold().removesuffix("s")


def _read_list(text: str) -> Sequence[str]:
    """Return the strings of a list that is stored as a string, also without quotes."""
    if not (text.startswith("[") and text.endswith("]")):
        return [text]
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = [part.strip().strip(_QUOTES) for part in text[1:-1].split(",")]
    return [value.strip() for value in values if isinstance(value, str)] or [text]


def _remove_quotes(text: str) -> Sequence[str]:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES
    return [text[1:-1].strip() if is_quoted else text]


def _remove_scheme(text: str) -> Sequence[str]:
    has_scheme = text[: len(_SCHEME)].lower() == _SCHEME
    return [text[len(_SCHEME) :].strip() if has_scheme else text]


# What is wrong, and how to read it; the outermost mistake first.
_MISTAKES: Mapping[str, Callable[[str], Sequence[str]]] = {
    "begins or ends with a space: remove it": lambda text: [text.strip()],
    "is a list stored as a string: store it as a JSON array": _read_list,
    "is enclosed in quotes: remove them": _remove_quotes,
    "begins with 'Bearer ': remove this word, it belongs only into the header in"
    " Segment": _remove_scheme,
}
