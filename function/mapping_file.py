"""The mapping file: read strictly, so that no mistake in it reaches an invoice."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from expressions import Expression, Invalid, compile_expression
from rules import Billing, Rule, Rules, sort


class BadMapping(Exception):
    """Mend the mapping file: the message tells the file, the rule and the reason."""


def load(path: Path) -> Rules:
    """Return the rules of the mapping file at *path*; raises `BadMapping`."""
    return parse(path.read_bytes(), path.name)


def parse(source: bytes, name: str) -> Rules:
    """Return the rules of a mapping file; *name* is what an error calls it.

    Raises `BadMapping` for anything that is not a rule's, and for a rule that can never
    match because an earlier one without a condition takes all its events.
    """
    try:
        rules = [
            _read_rule(number, content)
            for number, content in enumerate(_read_tables(source), start=1)
        ]
        _check_order(rules)
    except BadMapping as error:
        raise BadMapping(f"{name}: {error}") from error
    return sort(rules)


def _read_tables(source: bytes) -> list[dict[str, Any]]:
    try:
        document = tomllib.loads(source.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadMapping(f"not UTF-8 at byte {error.start}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadMapping(f"not TOML: {error}") from error
    _refuse_others(document, ("rules",))
    match document.get("rules"):
        case [*tables] if tables and all(isinstance(table, dict) for table in tables):
            return tables
        case _:
            raise BadMapping("it holds no rules: begin each with a line [[rules]]")


def _read_rule(number: int, content: dict[str, Any]) -> Rule:
    try:
        kind = _read_type(content)
        return Rule(
            number,
            kind,
            _read_events(content, kind),
            _read_expression(content, "when") if "when" in content else None,
            None if "ignore" in content else _read_billing(content, kind),
        )
    except BadMapping as error:
        raise BadMapping(f"{_name(number, content)}: {error}") from error


def _read_type(content: dict[str, Any]) -> str:
    if "ignore" in content:
        if content["ignore"] is not True:
            raise BadMapping("ignore: it can only be true; else leave it out")
        _refuse_others(content, (*_MATCHERS, "ignore"))
    _refuse_others(content, (*_MATCHERS, *_BILLING, "ignore"))
    kind = _read_text("type", content.get("type", "track"))
    if kind not in _TYPES:
        raise BadMapping(f"type: {kind} is none of {', '.join(_TYPES)}")
    return kind


def _read_events(content: dict[str, Any], kind: str) -> tuple[str, ...]:
    if "event" not in content:
        return ()
    if kind != "track":
        raise BadMapping(
            f"event: only track events have an event name; for {kind} events use when,"
            " as in when = \"name == 'Home'\""
        )
    names = content["event"]
    if not isinstance(names, list):
        return (_read_text("event", names),)
    if not names:
        raise BadMapping("event: the list is empty")
    for name in names:
        if names.count(_read_text("event", name)) > 1:
            raise BadMapping(f"event: {name} is in the list twice")
    return tuple(names)


def _read_billing(content: dict[str, Any], kind: str) -> Billing:
    if kind != "track" and "event_type" not in content:
        raise BadMapping(
            f"event_type is missing: {kind} events have no event name to take it from;"
            " give one, as in event_type = \"'Page Viewed'\""
        )
    record = _read_record(content.get("record"))
    return Billing(
        _read_expression(content, "customer_id", "userId"),
        _read_expression(content, "event_type", "event"),
        _read_expression(content, "timestamp", "timestamp"),
        record.pop("*", None),
        record,
    )


def _read_record(content: Any) -> dict[str, Expression]:
    if not isinstance(content, dict):
        raise BadMapping(
            "record is missing or no table: name what is sent, as in record ="
            ' { seats = "properties.seats" }, or all of it with { "*" = "properties" }'
        )
    if "id" in content:
        raise BadMapping("record.id: it is always the event's messageId; leave it out")
    return {name: _compile(f"record.{name}", text) for name, text in content.items()}


def _read_expression(
    content: dict[str, Any], field: str, default: str = ""
) -> Expression:
    return _compile(field, content.get(field, default))


def _compile(field: str, text: Any) -> Expression:
    try:
        return compile_expression(field, _read_text(field, text))
    except Invalid as error:
        raise BadMapping(f"{field}: {error}") from error


def _read_text(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise BadMapping(f"{field}: it must be text that is not empty, in quotes")
    return value


def _refuse_others(content: dict[str, Any], known: Iterable[str]) -> None:
    for name in content:
        if name not in known:
            raise BadMapping(f"{name} is unknown here; known are {', '.join(known)}")


def _check_order(rules: Iterable[Rule]) -> None:
    """Raise `BadMapping` for the first rule that earlier ones leave nothing to."""
    takers: dict[tuple[str, str], Rule] = {}
    for rule in rules:
        for event in rule.events or ("",):
            taker = takers.get((rule.type, "")) or takers.get((rule.type, event))
            if taker:
                words = f"the event {event}" if event else f"all {rule.type} events"
                raise BadMapping(
                    f"rule {rule.number}: it never gets {words}, since rule"
                    f" {taker.number} takes every one; put it before that rule, or give"
                    " that rule a condition (when)"
                )
            if rule.when is None:
                takers[rule.type, event] = rule


def _name(number: int, content: dict[str, Any]) -> str:
    """Return what an error calls the rule: its number, and the event it names."""
    event = content.get("event")
    return f"rule {number}" + (f" ({event})" if isinstance(event, str) else "")


_MATCHERS = ("type", "event", "when")
_BILLING = ("customer_id", "event_type", "timestamp", "record")
# https://www.twilio.com/docs/segment/connections/spec
_TYPES = ("track", "identify", "page", "screen", "group", "alias", "delete")
