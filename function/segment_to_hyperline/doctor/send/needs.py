"""Find what an event needs, so that an expression of the mapping has a value for it.

Pure: no network, no environment, no clock. Only usual expressions are understood.
Whoever creates an event applies the mapping to it, and so finds out about others.
"""

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from itertools import chain
from typing import Any, NamedTuple

import jmespath

from segment_to_hyperline.mapping.expressions import Expression
from segment_to_hyperline.mapping.words import Tables

# Stands for the first element of an array, in a path.
FIRST = 0

type Path = tuple[str | int, ...]
type Node = Mapping[str, Any]


class Kind(Enum):
    """What kind of value an expression needs."""

    ANY = auto()
    NUMBER = auto()
    DIGITS = auto()  # a number in a string
    STRING = auto()
    TIME = auto()
    OBJECT = auto()


class Exact(NamedTuple):
    """A value that an expression needs."""

    value: Any


type Wanted = Kind | Exact


class Need(NamedTuple):
    """What is wanted in an event, and where."""

    path: Path
    wanted: Wanted


# What functions need as their arguments; the last one counts for all further ones.
# Every other function accepts any values.
_ARGUMENTS: Mapping[str, tuple[Wanted, ...]] = {
    **dict.fromkeys(("add", "subtract", "multiply", "divide"), (Kind.NUMBER,)),
    **dict.fromkeys(("modulo", "round", "abs", "ceil", "floor"), (Kind.NUMBER,)),
    **dict.fromkeys(("sum", "avg", "max", "min", "to_number"), (Kind.NUMBER,)),
    **dict.fromkeys(("lower", "upper", "trim", "split"), (Kind.STRING,)),
    **dict.fromkeys(("replace", "join", "contains", "length"), (Kind.STRING,)),
    **dict.fromkeys(("starts_with", "ends_with"), (Kind.STRING,)),
    **dict.fromkeys(("time_difference", "date_part"), (Kind.TIME,)),
    **dict.fromkeys(("keys", "values", "merge"), (Kind.OBJECT,)),
}
# By the name of a function, the argument that is an array.
_ARRAYS = {**dict.fromkeys(("sum", "avg", "max", "min"), 0), "join": 1}
# These return one of their arguments, or a part of it.
_TRANSPARENT = {"not_null", "sort", "reverse", "to_array"}
_SEARCHES = {"contains", "starts_with", "ends_with"}
# What a number is compared with, by how much it is larger or smaller.
_OFFSETS = {"eq": 0, "gt": 1, "gte": 0, "lt": -1, "lte": 0, "ne": 1}
_MIRRORED = {"gt": "lt", "lt": "gt", "gte": "lte", "lte": "gte"}


def find_needs(expression: Expression, wanted: Wanted) -> Iterator[Need]:
    """Yield what an event needs so that *expression* has the *wanted* value."""
    parsed = jmespath.compile(expression.text).parsed
    yield from _Finder(expression.tables).find(parsed, wanted)


def find_path(expression: Expression) -> Path | None:
    """Return what *expression* reads, if it computes nothing; otherwise None."""
    return _find_path(jmespath.compile(expression.text).parsed)


def _find_path(node: Node) -> Path | None:
    children = node["children"]
    match node["type"]:
        case "field":
            return (node["value"],)
        case "index" if node["value"] in {0, -1}:
            return (FIRST,)
        case "current" | "identity" | "slice":
            return ()
        case "projection" | "filter_projection":  # a condition is not understood
            return _join_paths(children[:2], (FIRST,))
        case "subexpression" | "pipe" | "index_expression" | "flatten":
            return _join_paths(children, ())
    return None


def _join_paths(children: list[Node], between: Path) -> Path | None:
    """Return the steps of *children*, with *between* after those of the first."""
    first, *others = map(_find_path, children)
    joined = (first, between, *others)
    known = [path for path in joined if path is not None]
    return tuple(chain(*known)) if len(known) == len(joined) else None


class _Finder:
    """Finds what the nodes of an expression need, which can look up in *tables*."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def find(self, node: Node, wanted: Wanted) -> Iterator[Need]:
        path = _find_path(node)
        if path is not None:
            yield Need(path, wanted)
            return
        children = node["children"]
        match node["type"]:
            case "function_expression":
                yield from self._find_in_call(node["value"], children, wanted)
            case "comparator":
                yield from self._find_in_comparison(node["value"], *children)
            case "or_expression":
                yield from self.find(children[0], wanted)
            case "not_expression":
                return  # what is missing is false
            case _:
                for child in children:
                    yield from self.find(child, Kind.ANY)

    def _find_in_call(
        self, name: str, arguments: list[Node], wanted: Wanted
    ) -> Iterator[Need]:
        for index, argument in enumerate(arguments):
            needed = self._find_argument(name, arguments, index, wanted)
            for need in self.find(argument, needed):
                is_array = _ARRAYS.get(name) == index and FIRST not in need.path
                yield need._replace(path=(*need.path, FIRST)) if is_array else need

    def _find_argument(
        self, name: str, arguments: list[Node], index: int, wanted: Wanted
    ) -> Wanted:
        """Return what a function needs as an argument, if its result is *wanted*."""
        if name in _TRANSPARENT:
            return wanted
        if name == "lookup":
            return Exact(next(iter(self._tables[arguments[0]["value"]])))
        if name in _SEARCHES and (found := _find_searched(arguments, index)):
            return found
        row = _ARGUMENTS.get(name, (Kind.ANY,))
        needed = row[min(index, len(row) - 1)]
        is_number = needed is Kind.STRING and wanted is Kind.NUMBER
        return Kind.DIGITS if is_number else needed

    def _find_in_comparison(
        self, operator: str, left: Node, right: Node
    ) -> Iterator[Need]:
        if left["type"] == "literal":
            left, right = right, left
            operator = _MIRRORED.get(operator, operator)
        is_constant = right["type"] == "literal"
        wanted = _find_compared(operator, right["value"]) if is_constant else Kind.ANY
        yield from self.find(left, wanted)
        yield from self.find(right, Kind.ANY)


def _find_searched(arguments: list[Node], index: int) -> Exact | None:
    """Return what is searched for, or one of what is searched, if it is a constant."""
    other = arguments[1 - index]
    value = other["value"] if other["type"] == "literal" else None
    match value:
        case str() if index == 0:
            return Exact(value)
        case [first, *_] if index == 1:
            return Exact(first)
        case _:
            return None


def _find_compared(operator: str, constant: Any) -> Wanted:
    """Return a value for which the comparison with *constant* is true."""
    if type(constant) in {int, float}:
        return Exact(constant + _OFFSETS[operator])
    if operator == "eq":
        return Exact(constant)
    if isinstance(constant, bool):
        return Exact(not constant)
    return Exact(f"not {constant}") if isinstance(constant, str) else Kind.ANY
