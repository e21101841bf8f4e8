"""The expressions of a mapping: JMESPath that selects or computes a value of an event.

https://jmespath.org/specification.html
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, NoReturn

import jmespath
from jmespath.exceptions import ParseError

from segment_to_hyperline.errors import Error
from segment_to_hyperline.mapping.arguments import ArgumentError, FunctionError
from segment_to_hyperline.mapping.functions import Functions
from segment_to_hyperline.mapping.literals import check_literals
from segment_to_hyperline.mapping.nodes import find_dotted_name, write_node
from segment_to_hyperline.mapping.validation import ExpressionError, validate
from segment_to_hyperline.mapping.words import Tables
from segment_to_hyperline.mapping.work import CountingInterpreter, TooManySteps, Work


class UnmappableEvent(Error):
    """Raised when a rule matches an event that can't be billed as received.

    The message names the rule and the field, and contains no values of the event.
    """


class Expression(NamedTuple):
    """A compiled expression."""

    field: str
    """The field of the rule, such as `record.seats`; empty if it is of no rule."""
    text: str
    """The source."""
    tables: Tables
    """The tables for `lookup`, by name."""
    path: tuple[str, ...]
    """The names, if the expression only descends into objects; otherwise empty."""
    find: Callable[[dict[str, Any], Work], Any]
    """Returns the value for an event, which is an object; None if there is none.

    It raises `UnmappableEvent` if a function rejects its argument, or if more steps are
    needed than are left.
    """

    def is_true(self, event: dict[str, Any], work: Work) -> bool:
        """Return whether the value for *event* is true as JMESPath defines it."""
        value = self.find(event, work)
        return bool(value) or (value == 0 and value is not False)

    def explain_absence(self, event: dict[str, Any]) -> str:
        """Return why there is no value for *event*: "is missing" or "is null"."""
        value: Any = event
        for name in self.path:
            if not isinstance(value, dict) or name not in value:
                dotted = find_dotted_name(self.path, event)
                hint = f", but there is {dotted}: quote that name" if dotted else ""
                return f"is missing{hint}"
            value = value[name]
        return "is null"

    def fail(self, problem: str) -> NoReturn:
        """Raise `UnmappableEvent` with the field, the expression and *problem*."""
        raise UnmappableEvent(_locate(self.field, self.text, problem))


def compile_expression(
    field: str, text: str, tables: Tables | None = None, *, has_item: bool = False
) -> Expression:
    """Return the expression *text* of a rule's *field*; raises `ExpressionError`.

    It can look up values in *tables*. If it *has_item*, the field `item` of what it is
    applied to is an element, and the other fields are those of the event.
    """
    tables = tables or {}
    try:
        parsed = jmespath.compile(text)
        check_literals(text)
        validate(parsed.parsed, field, tables, has_item=has_item)
        joined = _join_paths(parsed.parsed)
    except ParseError as error:
        # Imported here, because it is only needed for a mistake.
        from segment_to_hyperline.mapping.hints import explain  # noqa: PLC0415

        raise ExpressionError(explain(text, error)) from error
    except RecursionError as error:
        raise ExpressionError("nested too deeply") from error
    path = tuple(_path(parsed.parsed))
    interpreter = _Interpreter(Functions(tables))
    # One for all events: the library's own `search` creates one for each.
    visit = partial(interpreter.search, joined)
    search = partial(_search, field, text, visit)
    return Expression(field, text, tables, path, _make_find(path, search))


class _Interpreter(CountingInterpreter):
    """Follows a plain path inside an expression in one step.

    Without that, a rule with a condition and a product takes 4% longer, and an event
    can need more steps than it may.
    """

    def visit_path(self, node: dict[str, Any], value: Any) -> Any:
        return _follow(node["value"], value)

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        """Return the function's result; an error says which argument it is about."""
        try:
            return super().visit_function_expression(node, value)
        except ArgumentError as error:
            if error.path is None:
                error.path = write_node(node["children"][error.position - 1])
            raise


def _join_paths(node: Any) -> Any:
    """Return *node* with each plain path as a node of the type `path`."""
    if not isinstance(node, dict) or node["type"] == "literal":
        return node
    path = tuple(_path(node))
    if path:
        return {"type": "path", "value": path, "children": []}
    return node | {"children": [_join_paths(child) for child in node["children"]]}


def _path(node: Any) -> Iterator[str]:
    """Yield the names of a plain path; nothing for any other expression."""
    names = node["children"] if node["type"] == "subexpression" else [node]
    if all(name["type"] == "field" for name in names):
        yield from (name["value"] for name in names)


def _make_find(
    path: tuple[str, ...], search: Callable[[dict[str, Any], Work], Any]
) -> Callable[[dict[str, Any], Work], Any]:
    # Most expressions are a path. The library takes ten times as long to follow it.
    match path:
        case ():
            return search
        case (name,):
            return lambda event, _: event.get(name)
        case _:
            return lambda event, _: _follow(path, event)


def _follow(path: tuple[str, ...], event: Any) -> Any:
    for name in path:
        if not isinstance(event, dict):
            return None
        event = event.get(name)
    return event


def _search(
    field: str,
    text: str,
    visit: Callable[[dict[str, Any], Work], Any],
    event: Any,
    work: Work,
) -> Any:
    try:
        return visit(event, work)
    except TooManySteps as error:
        raise UnmappableEvent(_locate(field, text, str(error))) from error
    except FunctionError as error:
        raise UnmappableEvent(_locate(field, text, f"fails: {error}")) from error
    except Exception as error:  # whatever it is, this event can't be billed
        problem = f"fails with {type(error).__name__}"
        if isinstance(error, TypeError):
            problem += "; a number and a string can't be compared"
        raise UnmappableEvent(_locate(field, text, problem)) from error


def _locate(field: str, text: str, problem: str) -> str:
    return f"{field}: {text} {problem}" if field else f"{text} {problem}"
