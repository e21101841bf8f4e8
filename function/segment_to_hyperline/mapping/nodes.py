"""Write the nodes of a parsed expression as text, for messages.

A node is a dictionary with the keys `type`, `children` and usually `value`, as
jmespath.py parses expressions.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# https://jmespath.org/specification.html#grammar (unquoted-string)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def needs_quotes(name: str) -> bool:
    """Return whether an expression must write the field *name* in double quotes."""
    return not _IDENTIFIER.fullmatch(name)


def write_name(name: str) -> str:
    """Return the field *name* as an expression writes it."""
    return json.dumps(name, ensure_ascii=False) if needs_quotes(name) else name


def write_path(names: Sequence[str]) -> str:
    """Return the path *names* as an expression writes it."""
    return ".".join(map(write_name, names))


def write_literal(value: Any) -> str:
    """Return *value* as an expression writes it."""
    if isinstance(value, str):
        return "'" + value.replace("'", r"\'") + "'"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


# How a node that reads the value before it is written, by its type.
_WRITERS: Mapping[str, Callable[[Any], str]] = {
    "path": write_path,
    "field": write_name,
    "literal": write_literal,
    "index": "[{}]".format,
    "slice": lambda _: "[:]",
    "current": lambda _: "@",
    "identity": lambda _: "",
    "function_expression": "{}(…)".format,
}


def write_node(node: Any) -> str:
    """Return *node* as an expression writes it, with … for what would be long."""
    kind, children = node["type"], node["children"]
    if kind in _WRITERS:
        return _WRITERS[kind](node.get("value"))
    text = "…"
    match kind:
        case "expref":
            text = f"&{write_node(children[0])}"
        case "subexpression" | "index_expression":
            text = _join(children)
        case "flatten":
            text = _join(children, "[]")
        case "projection":
            is_written = children[0]["type"] in {"flatten", "index_expression"}
            text = _join(children, "" if is_written else "[*]")
        case "filter_projection":
            text = _join(children[:2], "[?…]")
    return text


def _join(nodes: Sequence[Any], inserted: str = "") -> str:
    """Return *nodes*, with *inserted* after the first, as the steps of a path."""
    first, *others = map(write_node, nodes)
    text = first + inserted
    for step in others:
        needs_dot = text and step and not step.startswith("[")
        text += f".{step}" if needs_dot else step
    return text


def find_dotted_name(names: Sequence[str], value: Any) -> str:
    """Return the path with the name that joins some of *names* with dots, or "".

    An object can have a field `plan.name`. The expression `plan.name` doesn't read it.
    """
    for start, name in enumerate(names):
        if not isinstance(value, dict):
            break
        for end in range(len(names), start + 1, -1):
            joined = ".".join(names[start:end])
            if joined in value:
                return write_path((*names[:start], joined, *names[end:]))
        value = value.get(name)
    return ""
