"""Read the mapping file strictly, so that a mistake in it can't reach an invoice."""

import json
import re
import tomllib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.facts import VALUE_TYPES
from segment_to_hyperline.mapping.arithmetic import MAX
from segment_to_hyperline.mapping.expressions import Expression, compile_expression
from segment_to_hyperline.mapping.functions import Tables
from segment_to_hyperline.mapping.limits import (
    Limits,
    SetLimits,
    choose_limits,
    read_limits,
)
from segment_to_hyperline.mapping.placement import Path as TablePath
from segment_to_hyperline.mapping.placement import find_misplaced, find_nearest_line
from segment_to_hyperline.mapping.rules import Billing, Rule, Rules, index_rules
from segment_to_hyperline.mapping.validation import ExpressionError
from segment_to_hyperline.segment.facts import EVENT_TYPES

_MATCHING_KEYS = ("type", "event", "when")
_BILLING_KEYS = (
    "each",
    "customer_id",
    "event_type",
    "timestamp",
    "record",
    *Limits._fields,
)
_RULE_KEYS = (*_MATCHING_KEYS, *_BILLING_KEYS, "ignore")

# By the beginning of Python's message.
_TOML_HINTS = {
    "Invalid value": '; a string needs quotes, as in type = "track"',
    "Invalid initial character for a key part": (
        '; "*" needs quotes, and a table in { } must be on one line'
    ),
    "Illegal character '\\n'": "; a string is not closed",
}
_TOML_LINE = re.compile(r"\(at line (\d+),")


class MappingFileError(Error):
    """Raised for an invalid mapping file; the message names file, rule and reason.

    *line* is the line of the mistake, from 1, or None if it is not known. It is for
    editors. *path* is where the mistake is, in the tables of the file.
    """

    def __init__(
        self, message: str, *, path: TablePath = (), line: int | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


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
    has_each = any("each" in content for content in contents)
    rules = [
        _read_rule(number, content, tables, limits, exclusive=has_each)
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
    _check_keys(document, ("rules", "tables", "limits"))
    return document


def _check_placement(text: str, document: dict[str, Any]) -> None:
    misplaced = find_misplaced(text, document, _RULE_KEYS)
    if misplaced:
        line, problem = misplaced
        raise MappingFileError(f"line {line}: {problem}", line=line)


def _read_file_limits(document: dict[str, Any]) -> SetLimits:
    """Return the limits in the table [limits], which is for all rules."""
    content = document.get("limits", {})
    if not isinstance(content, dict):
        raise MappingFileError("limits: begin the table with a line [limits]")
    try:
        _check_keys(content, Limits._fields)
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


def _read_rule(
    number: int,
    content: dict[str, Any],
    tables: Tables,
    limits: SetLimits,
    *,
    exclusive: bool,
) -> Rule:
    try:
        kind = _read_type(content)
        is_billed = "ignore" not in content
        return Rule(
            number=number,
            type=kind,
            events=_read_events(content, kind),
            when=_read_optional("when", content, tables),
            billing=(
                _read_billing(content, kind, tables, limits, exclusive=exclusive)
                if is_billed
                else None
            ),
        )
    except MappingFileError as error:
        message = f"{_name(number, content)}: {error}"
        path = ("rules", number - 1, *error.path)
        raise MappingFileError(message, path=path) from error


def _read_type(content: dict[str, Any]) -> str:
    if "ignore" in content:
        if content["ignore"] is not True:
            raise MappingFileError("ignore: must be true or omitted", path=("ignore",))
        _check_keys(content, (*_MATCHING_KEYS, "ignore"))
    _check_keys(content, _RULE_KEYS)
    kind = _require_string("type", content.get("type", "track"))
    if kind not in EVENT_TYPES:
        problem = f"{kind} is not one of {', '.join(EVENT_TYPES)}"
        raise MappingFileError(f"type: {problem}", path=("type",))
    return kind


def _read_events(content: dict[str, Any], kind: str) -> tuple[str, ...]:
    if "event" not in content:
        return ()
    if kind != "track":
        raise MappingFileError(
            f"event: only track events have an event name; for {kind} events use when,"
            " as in when = \"name == 'Home'\"",
            path=("event",),
        )
    names = content["event"]
    if not isinstance(names, list):
        return (_read_event_name(names),)
    if not names:
        raise MappingFileError("event: the list is empty", path=("event",))
    for name in names:
        if names.count(_read_event_name(name)) > 1:
            raise MappingFileError(f"event: {name} is listed twice", path=("event",))
    return tuple(names)


def _read_event_name(value: Any) -> str:
    name = _require_string("event", value)
    if name[0] == name[-1] and name[0] in "'`" and len(name) > 1:
        raise MappingFileError(
            f"event: {name} is an expression; write the name alone, {name[1:-1]}",
            path=("event",),
        )
    return name


def _read_optional(
    field: str, content: dict[str, Any], tables: Tables
) -> Expression | None:
    return _compile(field, content[field], tables) if field in content else None


def _read_billing(
    content: dict[str, Any],
    kind: str,
    tables: Tables,
    limits: SetLimits,
    *,
    exclusive: bool,
) -> Billing:
    if kind != "track" and "event_type" not in content:
        raise MappingFileError(
            f"event_type is missing: {kind} events have no event name to use instead;"
            " add it, as in event_type = \"'Page Viewed'\""
        )
    each = _read_optional("each", content, tables)
    compile_field = partial(_compile, tables=tables, has_item=each is not None)
    record = {
        name: compile_field(f"record.{name}", text)
        for name, text in _read_record(content.get("record")).items()
    }
    timestamp = compile_field("timestamp", content.get("timestamp", "timestamp"))
    return Billing(
        customer_id=compile_field("customer_id", content.get("customer_id", "userId")),
        event_type=compile_field("event_type", content.get("event_type", "event")),
        timestamp=timestamp,
        spread=record.pop("*", None),
        record=record,
        limits=_read_limits(timestamp, content, limits),
        each=each,
        exclusive=exclusive and each is None,
    )


def _read_limits(
    timestamp: Expression, content: dict[str, Any], limits: SetLimits
) -> Limits:
    """Return the limits of a rule, which override those of the file."""
    try:
        return choose_limits(timestamp.path, {**limits, **read_limits(content)})
    except ValueError as error:
        raise MappingFileError(str(error)) from error


def _read_record(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise MappingFileError(
            "record is missing or not a table: list the properties to send, as in"
            ' record = { seats = "properties.seats" }, or send all of them with'
            ' record = { "*" = "properties" }',
            path=("record",),
        )
    if "id" in content:
        raise MappingFileError(
            "record.id: this is always the messageId; remove it", path=("record", "id")
        )
    return content


def _compile(
    field: str, text: Any, tables: Tables, *, has_item: bool = False
) -> Expression:
    if isinstance(text, int | float) and abs(text) <= MAX:
        raise MappingFileError(
            f"{field}: must be an expression in quotes; for a constant write"
            f' "`{json.dumps(text)}`"',
            path=_split(field),
        )
    try:
        return compile_expression(
            field, _require_string(field, text), tables, has_item=has_item
        )
    except ExpressionError as error:
        raise MappingFileError(f"{field}: {error}", path=_split(field)) from error


def _require_string(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise MappingFileError(
            f"{field}: must be a non-empty string", path=_split(field)
        )
    return value


def _split(field: str) -> TablePath:
    """Return the path of a rule's *field*, such as `record.seats`."""
    return tuple(field.split(".", 1))


def _check_keys(content: dict[str, Any], known: Iterable[str]) -> None:
    for name in content:
        if name not in known:
            raise MappingFileError(
                f"{name} is not a known key here; expected one of {', '.join(known)}",
                path=(name,),
            )


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


def _name(number: int, content: dict[str, Any]) -> str:
    """Return the rule's number, and the event it matches if there is only one."""
    event = content.get("event")
    return f"rule {number}" + (f" ({event})" if isinstance(event, str) else "")
