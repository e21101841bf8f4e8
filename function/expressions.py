"""The expressions of a mapping: JMESPath, which finds or computes a value of an event.

Pure: no network, no environment, no clock. https://jmespath.org/specification.html
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, NoReturn

import jmespath
from aws_lambda_powertools.utilities.jmespath_utils import PowertoolsFunctions
from jmespath.exceptions import JMESPathTypeError, ParseError
from jmespath.functions import signature
from jmespath.parser import ParsedResult


class Invalid(Exception):
    """Mend the expression: it is no JMESPath."""


class Unmappable(Exception):
    """Quarantine the event: a rule wants it, and it can't be billed as it is."""


class Expression(NamedTuple):
    """A compiled expression: its text, and the field of the rule that holds it, if any.

    *path* has the names of an expression that only reaches into objects, as most do.
    *find* returns what the expression gives for an event, which must be an object, and
    None if there is nothing. It raises `Unmappable` where a function gets what it does
    not take.
    """

    field: str
    text: str
    path: tuple[str, ...]
    find: Callable[[dict[str, Any]], Any]

    def holds(self, event: dict[str, Any]) -> bool:
        """Return whether JMESPath takes what the expression gives for true."""
        value = self.find(event)
        return bool(value) or (value == 0 and value is not False)

    def is_missing(self, event: Any) -> bool:
        """Return whether *event* lacks what a path reaches for; null is not missing."""
        for name in self.path:
            if not isinstance(event, dict) or name not in event:
                return True
            event = event[name]
        return False

    def fail(self, words: str) -> NoReturn:
        """Raise `Unmappable`, saying that the expression is *words*."""
        raise Unmappable(_describe(self.field, self.text, words))


def compile_expression(field: str, text: str) -> Expression:
    """Return the expression *text* of the rule's *field*; raises `Invalid`."""
    try:
        parsed = jmespath.compile(text)
    except ParseError as error:
        place = f"{text[: error.lex_position]}▸{text[error.lex_position :]}"
        raise Invalid(f"no JMESPath expression; the fault is at ▸: {place}") from error
    except RecursionError as error:
        raise Invalid("nested too deeply") from error
    _check(parsed.parsed)
    names = set(_names(parsed.parsed))
    _check_names(names)
    if field == "when" and not names:
        raise Invalid("the condition is the same for every event")
    path = tuple(_path(parsed.parsed))
    return Expression(field, text, path, _make_find(field, text, path, parsed))


def _make_find(
    field: str, text: str, path: tuple[str, ...], parsed: ParsedResult
) -> Callable[[dict[str, Any]], Any]:
    # To reach for a path ourselves takes a tenth of the time that the library takes.
    match path:
        case ():
            return partial(_search, field, text, parsed)
        case (name,):
            return lambda event: event.get(name)
        case _:
            return partial(_reach, path)


def _reach(path: tuple[str, ...], event: Any) -> Any:
    for name in path:
        if not isinstance(event, dict):
            return None
        event = event.get(name)
    return event


def _search(field: str, text: str, parsed: ParsedResult, event: Any) -> Any:
    try:
        return parsed.search(event, _OPTIONS)
    except JMESPathTypeError as error:
        # The library's own message quotes the value.
        words = f"fails: {error.function_name}() does not take what it gets"
        raise Unmappable(_describe(field, text, words)) from error
    except Exception as error:  # whatever it is, this event does not fit
        words = f"fails with {type(error).__name__}"
        raise Unmappable(_describe(field, text, words)) from error


def _describe(field: str, text: str, words: str) -> str:
    return f"{field}: {text} {words}" if field else f"{text} {words}"


def _path(node: Any) -> Iterator[str]:
    """Yield the names of a plain path; nothing for any other expression."""
    names = node["children"] if node["type"] == "subexpression" else [node]
    if all(name["type"] == "field" for name in names):
        yield from (name["value"] for name in names)


def _check(node: Any) -> None:
    """Raise `Invalid` for what parses and yet can't be meant, anywhere in *node*."""
    match node:
        case {"type": "function_expression", "value": name, "children": [*given]}:
            _check_call(name, len(given))
        case {
            "type": "subexpression" | "value_projection",
            "children": [{"type": "not_expression"}, *_],
        }:
            # The library reads `!a.b` as `(!a).b`, which is null whatever b is.
            raise Invalid("! goes before a dot here: for !a.b write !(a.b)")
    for child in node["children"] if isinstance(node, dict) else ():
        _check(child)


def _names(node: Any) -> Iterator[str]:
    """Yield the names that *node* takes from the top of the event; @ is all of it."""
    match node:
        case {"type": "field", "value": name}:
            yield name
        case {"type": "current"}:
            yield "@"
        case {"type": kind, "children": [first, *_]} if kind in _CHAINS:
            yield from _names(first)
        case {"type": kind, "children": children} if kind != "expref":
            for child in children:
                yield from _names(child)


def _check_names(names: set[str]) -> None:
    """Raise `Invalid` for a name that would find nothing in any event."""
    for name in names - _FIELDS - {"@"}:
        raise Invalid(
            f"no event of Segment has a field {name}; for text write '{name}', for a"
            f" value `{name}`, and for a field that you add to the events @.{name}"
        )


def _check_call(name: str, given: int) -> None:
    """Raise `Invalid` for a call that the library would notice at the first event."""
    known = _Functions.FUNCTION_TABLE.get(name)
    if known is None:
        raise Invalid(f"there is no function {name}()")
    takes = known["signature"]
    variadic = bool(takes) and takes[-1].get("variadic", False)
    if given < len(takes) or (given > len(takes) and not variadic):
        raise Invalid(f"{name}() takes {len(takes)} values, not {given}")


class _Functions(PowertoolsFunctions):
    """JMESPath's functions and Powertools' (powertools_json and others)."""

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> int | float | None:
        # The library's own also takes what Python takes: "1_000", "nan", " ٣ ". What
        # counts is JSON's way to write a number.
        # https://jmespath.org/specification.html#to-number
        if isinstance(value, str):
            try:
                value = json.loads(value, parse_constant=lambda _: None)
            except (ValueError, RecursionError):
                return None
        return value if type(value) in (int, float) else None


# What an event can hold at its top. https://www.twilio.com/docs/segment/connections/spec
_FIELDS = {
    *("type", "event", "userId", "anonymousId", "messageId", "timestamp"),
    *("properties", "traits", "context", "integrations", "name", "category"),
    *("groupId", "previousId", "originalTimestamp", "sentAt", "receivedAt"),
    *("channel", "version", "projectId", "sourceId", "writeKey", "email", "_metadata"),
}
# Of these the first child alone is applied to the event, the others to what that gives.
_CHAINS = {
    *("subexpression", "pipe", "index_expression", "flatten"),
    *("projection", "value_projection", "filter_projection"),
}
_OPTIONS = jmespath.Options(custom_functions=_Functions())
