"""The mapping: what Hyperline is to bill for a Segment event.

Pure: no network, no environment, no clock. The same event always gives the same bytes,
because Hyperline overwrites: a retry that differed would change an invoice.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import iso8601
from billable import BillableEvent, Key


class Unmappable(Exception):
    """Quarantine the event: a rule wants it, and it can't be billed as it is."""


class Rule(NamedTuple):
    """How the events of one type become billable events; paths reach into the event."""

    type: str
    customer_id: str
    event_type: str
    timestamp: str
    record: Mapping[str, str]


def load(path: Path) -> tuple[Rule, ...]:
    """Return the rules of the mapping file at *path*, in the order they are tried."""
    rules = tomllib.loads(path.read_text("utf-8"))["rules"]
    return tuple(Rule(**rule) for rule in rules)


def apply(rules: tuple[Rule, ...], event: Any) -> BillableEvent | None:
    """Return what to bill for *event*, or None if no rule wants it.

    Raises `Unmappable` with a reason that names fields and never holds their values.
    """
    if not isinstance(event, dict):
        raise Unmappable(f"the event is {_kind(event)}, not an object")
    kind = _text(event, "type")
    rule = next((rule for rule in rules if rule.type == kind), None)
    return None if rule is None else _bill(rule, event)


def _bill(rule: Rule, event: dict[str, Any]) -> BillableEvent:
    # https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
    key = Key(_text(event, rule.event_type), _text(event, "messageId"))
    try:
        return BillableEvent.of(
            key,
            customer_id=_customer_id(event, rule.customer_id),
            timestamp=_timestamp(event, rule.timestamp),
            record=_record(event, rule.record),
        )
    except ValueError as error:
        raise Unmappable("record holds a number too large to be billed") from error


def _record(event: dict[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the record's *fields*; one that is named wins over one that "*" copies."""
    record = _spread(event, fields["*"]) if "*" in fields else {}
    for name, path in fields.items():
        if name != "*":
            record[name] = _billable_value(event, path)
    return record


def _find(event: Any, path: str) -> Any:
    """Return the value at *path*; raises `Unmappable` if a step is missing."""
    value = event
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            raise Unmappable(f"{path} is missing")
        value = value[name]
    return value


def _text(event: Any, path: str) -> str:
    value = _find(event, path)
    if not isinstance(value, str):
        raise Unmappable(f"{path} is {_kind(value)}, not text")
    if not value:
        raise Unmappable(f"{path} is empty")
    return value


def _customer_id(event: Any, path: str) -> str:
    value = _find(event, path)
    if type(value) is int:
        return str(value)
    return _text(event, path)


def _timestamp(event: Any, path: str) -> str:
    """Return the time at *path* in UTC with milliseconds, further digits cut off."""
    try:
        moment = iso8601.parse(_text(event, path))
    except ValueError as error:
        raise Unmappable(f"{path} is not an ISO 8601 date and time") from error
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _spread(event: dict[str, Any], path: str) -> dict[str, Any]:
    """Return what can be billed of the object at *path*; nothing if it is missing."""
    try:
        value = _find(event, path)
    except Unmappable:
        value = None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unmappable(f"{path} is {_kind(value)}, not an object")
    return {name: item for name, item in value.items() if _is_billable(item)}


def _billable_value(event: dict[str, Any], path: str) -> Any:
    value = _find(event, path)
    if not _is_billable(value):
        raise Unmappable(f"{path} is {_kind(value)}, which Hyperline does not take")
    return value


def _is_billable(value: Any) -> bool:
    # https://docs.hyperline.co/docs/usage/send-usage-data
    if isinstance(value, list):
        return all(isinstance(item, _SCALARS) for item in value)
    return isinstance(value, _SCALARS)


def _kind(value: Any) -> str:
    return _KINDS[type(value)]


_SCALARS = (str, bool, int, float)
_KINDS = {
    dict: "an object",
    list: "an array",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
