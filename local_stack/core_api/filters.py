"""The filters of the core API's lists: `field=value` and `field__operator=value`.

Unknown parameters are ignored, the values of known ones are checked.
https://docs.hyperline.co/api-reference/docs/pagination
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import eq, ge, gt, le, lt
from typing import Any

from local_stack.core_api.pages import Errors, Query, Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Field:
    """A field that a list can be filtered by."""

    read: Callable[[Row], Any]
    operators: Mapping[str, Callable[[Any, str], bool]]
    """By the name after `__`; without a name for `field=value`."""
    find_error: Callable[[str], str | None] = lambda _: None
    is_default: Callable[[Row], bool] = lambda _: True
    """Whether a row is listed if there is no filter by this field."""


type Fields = Mapping[str, Field]


def find_filter_errors(query: Query, fields: Fields) -> Errors:
    """Return what is invalid in the known filters."""
    found = ((name, _find_field(name, fields), text) for name, text in query.items())
    errors = ((name, field.find_error(text)) for name, field, text in found if field)
    return {name: [error] for name, error in errors if error}


def select(rows: Sequence[Row], query: Query, fields: Fields) -> list[Row]:
    """Return the *rows* that match all filters of a valid *query*."""
    filters = [(name, text) for name, text in query.items()]
    filters = [(name, text) for name, text in filters if _find_field(name, fields)]
    named = {name.partition("__")[0] for name, _ in filters}
    hidden = [field for name, field in fields.items() if name not in named]
    return [
        row
        for row in rows
        if all(field.is_default(row) for field in hidden)
        and all(_is_match(row, name, text, fields) for name, text in filters)
    ]


def _find_field(parameter: str, fields: Fields) -> Field | None:
    name, _, operator = parameter.partition("__")
    field = fields.get(name)
    return field if field and operator in field.operators else None


def _is_match(row: Row, parameter: str, text: str, fields: Fields) -> bool:
    name, _, operator = parameter.partition("__")
    return fields[name].operators[operator](fields[name].read(row), text)


def text(path: str) -> Field:
    """Return a field with a string, such as `customer.id`.

    The operators are those of the vendor's command line, which has no `in`.
    https://www.npmjs.com/package/@hyperline/cli
    """
    return Field(
        _reader(path),
        {
            "": eq,
            "equals": eq,
            "not": lambda value, text: bool(value != text),
            "contains": lambda value, text: text in (value or ""),
            "startsWith": lambda value, text: (value or "").startswith(text),
            "endWith": lambda value, text: (value or "").endswith(text),
            "isNull": lambda value, _: value is None,
            "isNotNull": lambda value, _: value is not None,
        },
    )


def time(path: str) -> Field:
    """Return a field with a time.

    Each value is read as a time, so `isNull` can't be used in live requests either.
    https://github.com/estuary/connectors/tree/main/source-hyperline/bruno/Invoices
    """
    return Field(
        _reader(path),
        {
            "": _compare(eq),
            "equals": _compare(eq),
            "not": lambda value, text: not _compare(eq)(value, text),
            "isNull": lambda value, _: value is None,
            "isNotNull": lambda value, _: value is not None,
            "lt": _compare(lt),
            "lte": _compare(le),
            "gt": _compare(gt),
            "gte": _compare(ge),
        },
        lambda text: None if is_time(text) else "Invalid ISO datetime",
    )


def option(
    path: str,
    options: AbstractSet[str],
    default: AbstractSet[str] | None = None,
    groups: Mapping[str, AbstractSet[str]] | None = None,
) -> Field:
    """Return a field with one of *options*; a filter can name a group of them.

    Without a filter, rows with a *default* option are listed.
    """
    known = {**{name: {name} for name in options}, **(groups or {})}
    listed = options if default is None else default
    read = _reader(path)

    def is_in(value: Any, text: str) -> bool:
        return any(value in known[name] for name in text.split(","))

    def find_error(text: str) -> str | None:
        expected = "|".join(f'"{name}"' for name in sorted(known))
        is_known = all(name in known for name in text.split(","))
        return None if is_known else f"Invalid option: expected one of {expected}"

    return Field(
        read, {"": is_in, "in": is_in}, find_error, lambda row: read(row) in listed
    )


def is_time(text: str) -> bool:
    """Return whether *text* is an ISO 8601 date and time with a time zone."""
    with suppress(ValueError):
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    return False


def to_microseconds(time: str | datetime) -> int:
    """Return *time* in microseconds since 1970."""
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _compare(operate: Callable[[Any, Any], bool]) -> Callable[[Any, str], bool]:
    def is_match(value: Any, text: str) -> bool:
        parse = datetime.fromisoformat
        return value is not None and operate(parse(value), parse(text))

    return is_match


def _reader(path: str) -> Callable[[Row], Any]:
    """Return what reads the value at a *path* of keys, or None if it is missing."""

    def read(row: Row) -> Any:
        value: Any = row
        for key in path.split("."):
            value = (value or {}).get(key)
        return value

    return read
