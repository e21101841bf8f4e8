"""Find keys of a rule that TOML puts into the table above them.

In TOML, `when` after a line `[rules.record]` belongs to the record, although its author
sees it in the rule. tomllib doesn't report lines, so they are found in the text.
https://toml.io/en/v1.0.0#table
"""

import re
import tomllib
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

# Properties often have these names. If one of them is misplaced, its value is not a
# valid expression, which is reported in any case.
_NAMES_OF_PROPERTIES = {"type", "event", "record"}
_MARK = "the value on this line"

type Path = tuple[str | int, ...]  # such as ("rules", 0, "when")


class Misplaced(NamedTuple):
    """A key of a rule that is in another table."""

    line: int
    """The line of the key, from 1."""
    problem: str
    """What is wrong, and what to do."""


def find_misplaced(
    text: str, document: dict[str, Any], keys: Collection[str]
) -> Misplaced | None:
    """Return the first of the rules' *keys* that is below the line of another table.

    *document* is what the TOML *text* contains. A key in the braces of an inline table,
    or after a dot, was put there by its author, and is not found.
    """
    found = [
        Misplaced(line, problem)
        for path, problem in _iterate_suspects(document, keys)
        if (line := find_line(text, path))
    ]
    return min(found, default=None)


def find_line(text: str, path: Path) -> int | None:
    """Return the line of the TOML *text* that sets the value at *path*, from 1.

    Returns None if the key is not at the beginning of a line.
    """
    key = re.escape(str(path[-1]))
    begins = re.compile(rf"""[ \t]*("{key}"|'{key}'|{key})[ \t]*=""")
    lines = text.split("\n")
    for index, line in enumerate(lines):
        match = begins.match(line)
        if match and _sets_value([*lines[:index], match.group()], path):
            return index + 1
    return None


def find_nearest_line(text: str, path: Path) -> int | None:
    """Return the line of the value at *path*, or of the table that contains it."""
    for end in range(len(path), 0, -1):
        line = find_line(text, path[:end])
        if line:
            return line
    return None


def _sets_value(lines: list[str], path: Path) -> bool:
    """Return whether *lines*, which end in a key and `=`, set the value at *path*."""
    try:
        value: Any = tomllib.loads("\n".join(lines) + f" '{_MARK}'")
        for name in path:
            value = value[name]
    except (tomllib.TOMLDecodeError, LookupError, TypeError):
        return False  # the last line is in a string, in an array or in another table
    return bool(value == _MARK)


def _iterate_suspects(
    document: dict[str, Any], keys: Collection[str]
) -> Iterator[tuple[Path, str]]:
    """Yield the path of each key that looks like one of a rule, and what to do."""
    for index, rule in enumerate(_get_list(document, "rules")):
        for key in _get_table(rule, "record"):
            if key in keys and key not in _NAMES_OF_PROPERTIES:
                path = ("rules", index, "record", key)
                yield path, _explain_record(key, index + 1)
    for name in _get_table(document, "tables"):
        if name in keys:
            yield ("tables", name), _explain_tables(name)
        for key in _get_table(document["tables"], name):
            if key in keys:
                yield ("tables", name, key), _explain_table(key, name)


def _explain_record(key: str, number: int) -> str:
    return (
        f"{key} is below the line [rules.record], so it is a property of the record; if"
        f" it is a key of rule {number}, move it above that line, and if it is a"
        f' property, write all of them on one line, as in record = {{ {key} = "…" }}'
    )


def _explain_table(key: str, name: str) -> str:
    return (
        f"{key} is below the line [tables.{name}], so it is an entry of that table; if"
        " it is a key of a rule, move it above that line, and if it is an entry, write"
        f" all of them on one line below [tables], as in {name} = {{ {key} = … }}"
    )


def _explain_tables(key: str) -> str:
    return f"{key} is below the line [tables]; move it above that line, into its rule"


def _get_table(content: Any, key: str) -> dict[str, Any]:
    """Return the table *key* of *content*, or an empty one."""
    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, dict) else {}


def _get_list(content: dict[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    return value if isinstance(value, list) else []
