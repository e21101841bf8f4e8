"""Read one rule of a mapping file strictly."""

import json
from functools import partial
from typing import Any, NamedTuple

from segment_to_hyperline.mapping.arithmetic import MAX
from segment_to_hyperline.mapping.expressions import Expression, compile_expression
from segment_to_hyperline.mapping.limits import (
    Limits,
    SetLimits,
    choose_limits,
    read_limits,
)
from segment_to_hyperline.mapping.mistakes import (
    MappingFileError,
    check_keys,
    require_string,
    split_field,
)
from segment_to_hyperline.mapping.rules import DEFAULTS, Billing, Rule
from segment_to_hyperline.mapping.validation import ExpressionError
from segment_to_hyperline.mapping.words import Tables
from segment_to_hyperline.segment.facts import EVENT_TYPES

_MATCHING_KEYS = ("type", "event", "when")
_BILLING_KEYS = ("each", *DEFAULTS, "record", *Limits._fields)
RULE_KEYS = (*_MATCHING_KEYS, *_BILLING_KEYS, "ignore")


class Settings(NamedTuple):
    """What a mapping file sets for all of its rules."""

    tables: Tables
    """The tables for `lookup`, by name."""
    limits: SetLimits
    """The limits in the table [limits]."""
    has_each: bool
    """Whether any rule has `each`."""


def read_rule(number: int, content: dict[str, Any], settings: Settings) -> Rule:
    """Return the rule with this *number*; raises `MappingFileError`."""
    try:
        kind = _read_type(content)
        is_billed = "ignore" not in content
        return Rule(
            number=number,
            type=kind,
            events=_read_events(content, kind),
            when=_read_optional("when", content, settings.tables),
            billing=_read_billing(content, kind, settings) if is_billed else None,
        )
    except MappingFileError as error:
        message = f"{_name(number, content)}: {error}"
        path = ("rules", number - 1, *error.path)
        raise MappingFileError(message, path=path) from error


def _name(number: int, content: dict[str, Any]) -> str:
    """Return the rule's number, and the event it matches if there is only one."""
    event = content.get("event")
    return f"rule {number}" + (f" ({event})" if isinstance(event, str) else "")


def _read_type(content: dict[str, Any]) -> str:
    if "ignore" in content:
        if content["ignore"] is not True:
            raise MappingFileError("ignore: must be true or omitted", path=("ignore",))
        check_keys(content, (*_MATCHING_KEYS, "ignore"))
    check_keys(content, RULE_KEYS)
    kind = require_string("type", content.get("type", "track"))
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
    name = require_string("event", value)
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


def _read_billing(content: dict[str, Any], kind: str, settings: Settings) -> Billing:
    if kind != "track" and "event_type" not in content:
        raise MappingFileError(
            f"event_type is missing: {kind} events have no event name to use instead;"
            " add it, as in event_type = \"'Page Viewed'\""
        )
    each = _read_optional("each", content, settings.tables)
    compile_field = partial(_compile, tables=settings.tables, has_item=each is not None)
    record = {
        name: compile_field(f"record.{name}", text)
        for name, text in _read_record(content.get("record")).items()
    }
    fields = {
        name: compile_field(name, content.get(name, default))
        for name, default in DEFAULTS.items()
    }
    return Billing(
        **fields,
        spread=record.pop("*", None),
        record=record,
        limits=_read_limits(fields["timestamp"], content, settings.limits),
        each=each,
        exclusive=settings.has_each,
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
            path=split_field(field),
        )
    try:
        return compile_expression(
            field, require_string(field, text), tables, has_item=has_item
        )
    except ExpressionError as error:
        raise MappingFileError(f"{field}: {error}", path=split_field(field)) from error
