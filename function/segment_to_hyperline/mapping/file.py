"""Read the mapping file strictly, so that a mistake in it can't reach an invoice."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from segment_to_hyperline.hyperline.facts import VALUE_TYPES
from segment_to_hyperline.mapping.arithmetic import MAX
from segment_to_hyperline.mapping.limits import Limits, SetLimits, read_limits
from segment_to_hyperline.mapping.mistakes import MappingFileError, check_keys
from segment_to_hyperline.mapping.placement import find_misplaced, find_nearest_line
from segment_to_hyperline.mapping.rule_reader import RULE_KEYS, Settings, read_rule
from segment_to_hyperline.mapping.rules import Rule, Rules, index_rules
from segment_to_hyperline.mapping.words import Tables

# By the beginning of Python's message.
_TOML_HINTS = {
    "Invalid value": '; a string needs quotes, as in type = "track"',
    "Invalid initial character for a key part": (
        '; "*" needs quotes, and a table in { } must be on one line'
    ),
    "Illegal character '\\n'": "; a string is not closed",
}
_TOML_LINE = re.compile(r"\(at line (\d+),")


def load_rules(path: Path) -> Rules:
    """Return the rules of the mapping file at *path*; raises `MappingFileError`."""
    return parse_rules(path.read_bytes(), path.name)


def parse_rules(source: bytes, name: str) -> Rules:
    """Return the rules of a mapping file; *name* is the file's name in errors.

    Raises `MappingFileError` for anything that doesn't belong into a rule, and for a
    rule that can never match because an earlier one without a condition matches first.
    """
    text = ""
    try:
        text = _decode(source)
        document = _read_document(text)
        _check_placement(text, document)
        return _read_mapping(document)
    except MappingFileError as error:
        line = error.line or find_nearest_line(text, error.path)
        raise MappingFileError(f"{name}: {error}", line=line) from error


def _read_mapping(document: dict[str, Any]) -> Rules:
    tables = _read_tables(document.get("tables", {}))
    limits = _read_file_limits(document)
    contents = _read_rules(document)
    settings = Settings(tables, limits, any("each" in content for content in contents))
    rules = [
        read_rule(number, content, settings)
        for number, content in enumerate(contents, start=1)
    ]
    _check_reachable(rules)
    return index_rules(rules)


def _decode(source: bytes) -> str:
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MappingFileError(f"not UTF-8 at byte {error.start}") from error


def _read_document(text: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        problem = f"not TOML: {error}"
        for start, hint in _TOML_HINTS.items():
            if problem.startswith(f"not TOML: {start}"):
                problem += hint
        line = _TOML_LINE.search(problem)
        number = int(line[1]) if line else None
        raise MappingFileError(problem, line=number) from error
    check_keys(document, ("rules", "tables", "limits"))
    return document


def _check_placement(text: str, document: dict[str, Any]) -> None:
    misplaced = find_misplaced(text, document, RULE_KEYS)
    if misplaced:
        line, problem = misplaced
        raise MappingFileError(f"line {line}: {problem}", line=line)


def _read_file_limits(document: dict[str, Any]) -> SetLimits:
    """Return the limits in the table [limits], which is for all rules."""
    content = document.get("limits", {})
    if not isinstance(content, dict):
        raise MappingFileError("limits: begin the table with a line [limits]")
    try:
        check_keys(content, Limits._fields)
        return read_limits(content)
    except (MappingFileError, ValueError) as error:
        raise MappingFileError(f"limits: {error}") from error


def _read_tables(content: Any) -> Tables:
    """Return the tables for `lookup`, by name."""
    if not isinstance(content, dict):
        raise MappingFileError("tables: begin each table with a line [tables.name]")
    for name, table in content.items():
        if not isinstance(table, dict) or not table:
            raise MappingFileError(f'tables.{name}: list its entries, as in DE = "EU"')
        for key, value in table.items():
            is_number = type(value) in {int, float}
            if type(value) not in VALUE_TYPES or (is_number and not abs(value) <= MAX):
                raise MappingFileError(
                    f"tables.{name}.{key}: must be a string, a number or a boolean",
                    path=("tables", name, key),
                )
    return content


def _read_rules(document: dict[str, Any]) -> list[dict[str, Any]]:
    match document.get("rules"):
        case [*tables] if tables and all(isinstance(table, dict) for table in tables):
            return tables
        case _:
            raise MappingFileError("no rules: begin each rule with a line [[rules]]")


def _check_reachable(rules: Iterable[Rule]) -> None:
    """Raise `MappingFileError` for the first rule that can't match any event."""
    unconditional: dict[tuple[str, str], Rule] = {}
    for rule in rules:
        for event in rule.events or ("",):
            any_event, same_event = (rule.type, ""), (rule.type, event)
            earlier = unconditional.get(any_event) or unconditional.get(same_event)
            if earlier:
                what = f"the event {event}" if event else f"all {rule.type} events"
                raise MappingFileError(
                    f"rule {rule.number}: unreachable for {what}, because rule"
                    f" {earlier.number} matches first; move it before that rule, or add"
                    " a condition (when) to that rule"
                )
            if rule.when is None:
                unconditional[same_event] = rule
