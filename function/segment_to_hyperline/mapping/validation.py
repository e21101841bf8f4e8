"""Reject expressions that parse, and yet can't be what their author meant.

A node is a dictionary with the keys `type`, `children` and usually `value`, as
jmespath.py parses expressions.
"""

from collections.abc import Iterator
from typing import Any

from segment_to_hyperline.errors import Error
from segment_to_hyperline.mapping.functions import Functions
from segment_to_hyperline.mapping.nodes import write_literal, write_name
from segment_to_hyperline.mapping.words import Tables, check_arguments
from segment_to_hyperline.segment.facts import EVENT_FIELDS

# In these nodes, only the first child reads the event. The others read its value, so
# their names are not those of the event's fields.
_CHAINS = {
    *("subexpression", "pipe", "index_expression", "flatten"),
    *("projection", "value_projection", "filter_projection"),
}

# The name of the element in a rule with `each`.
ITEM = "item"


class ExpressionError(Error):
    """Raised when an expression is invalid; the message says why."""


def validate(node: Any, field: str, tables: Tables, *, has_item: bool) -> None:
    """Raise `ExpressionError` if *node*, the expression of *field*, is wrong."""
    _check_nodes(node, tables)
    names = set(_event_fields(node))
    _check_event_fields(names - {ITEM} if has_item else names, has_item=has_item)
    if field == "when" and not names:
        raise ExpressionError("the condition is the same for every event")


def _check_nodes(node: Any, tables: Tables) -> None:
    match node:
        case {"type": "function_expression", "value": name, "children": [*arguments]}:
            _check_call(name, arguments, tables)
        case {"type": "expref"}:
            raise ExpressionError("& is only allowed in an argument: max_by(a, &b)")
        case {
            "type": "subexpression" | "value_projection",
            "children": [{"type": "not_expression"}, *_],
        }:
            # The library parses `!a.b` as `(!a).b`, which is always null.
            raise ExpressionError("! binds tighter than a dot: for !a.b write !(a.b)")
        case {
            "type": "comparator",
            "children": [{"type": "literal"}, {"type": "literal"}],
        }:
            raise ExpressionError(
                "two constants are compared; a field has no single quotes and no"
                " backticks"
            )
        case {"type": "filter_projection", "children": [_, _, condition]}:
            if not any(_event_fields(condition)):
                raise ExpressionError(
                    "the condition in [? ] is the same for every element; a field has"
                    " no single quotes and no backticks"
                )
    for child in node["children"] if isinstance(node, dict) else ():
        if node["type"] == "function_expression" and child["type"] == "expref":
            # `_check_call` has checked that the function accepts a reference.
            _check_nodes(child["children"][0], tables)
        else:
            _check_nodes(child, tables)


def _check_call(name: str, arguments: list[Any], tables: Tables) -> None:
    """Check a function call, which the library would do only at the first event."""
    function = Functions.FUNCTION_TABLE.get(name)
    if function is None:
        raise ExpressionError(f"unknown function {name}()")
    parameters, count = function["signature"], len(arguments)
    variadic = bool(parameters) and parameters[-1].get("variadic", False)
    if count < len(parameters) or (count > len(parameters) and not variadic):
        raise ExpressionError(
            f"{name}() takes {len(parameters)} argument(s), but {count} are given"
        )
    for parameter, argument in zip(parameters, arguments, strict=False):
        accepts_reference = "expref" in parameter["types"]
        if (argument["type"] == "expref") != accepts_reference:
            problem = "requires" if accepts_reference else "does not accept"
            raise ExpressionError(f"{name}() {problem} an argument with &")
    literals = [
        node["value"] if node["type"] == "literal" else None for node in arguments
    ]
    problem = check_arguments(name, literals, tables)
    if problem:
        raise ExpressionError(f"{name}(): {problem}")


def _event_fields(node: Any) -> Iterator[str]:
    """Yield the event's top-level fields that *node* reads; @ is the whole event."""
    match node:
        case {"type": "field", "value": name}:
            yield name
        case {"type": "current"}:
            yield "@"
        case {"type": kind, "children": [first, *_]} if kind in _CHAINS:
            yield from _event_fields(first)
        case {"type": kind, "children": children} if kind != "expref":
            for child in children:
                yield from _event_fields(child)


def _check_event_fields(names: set[str], *, has_item: bool) -> None:
    for name in sorted(names - EVENT_FIELDS - {"@"}):
        if name == ITEM:
            raise ExpressionError(
                "item is the element of each, which can be used in customer_id,"
                " event_type, timestamp and record of a rule with each"
            )
        raise ExpressionError(
            f"Segment's events have no top-level field {write_name(name)}"
            f"{_suggest(name, has_item=has_item)}; for the string write"
            f" {write_literal(name)}, and for a field that you add to the events"
            f" @.{write_name(name)}"
        )


def _suggest(name: str, *, has_item: bool) -> str:
    # Imported here, because it is only needed for a mistake.
    from difflib import get_close_matches  # noqa: PLC0415

    by_lower = {field.lower(): field for field in EVENT_FIELDS}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.75)
    if close:
        return f" (did you mean {by_lower[close[0]]}?)"
    parent = ITEM if has_item else "properties"
    return f" (did you mean {parent}.{write_name(name)}?)"
