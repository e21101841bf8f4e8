"""Read the fields of a billable event from an event, as a rule's expressions say."""

import re
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from segment_to_hyperline.hyperline.billable_event import Fields
from segment_to_hyperline.hyperline.facts import VALUE_TYPES
from segment_to_hyperline.mapping.expressions import Expression
from segment_to_hyperline.mapping.limits import find_excess
from segment_to_hyperline.mapping.rules import Billing
from segment_to_hyperline.mapping.values import (
    describe_kind,
    describe_mismatch,
    is_invisible,
)
from segment_to_hyperline.mapping.work import TooManySteps, Work
from segment_to_hyperline.segment.times import format_time, parse_time

# How Segment writes nearly all times, and how they are posted.
_UTC_MILLISECONDS = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
)


class Scope(NamedTuple):
    """What expressions are applied to."""

    event: dict[str, Any]
    """The event; with the element as `item`, if one is billed."""
    work: Work
    """The steps that are left."""
    received_at: datetime | None = None
    """When Segment received the event, if it says so."""


def create_fields(billing: Billing, scope: Scope, record_id: str) -> Fields:
    """Return the fields of the billable event; raises `UnmappableEvent`."""
    # An event with several problems is quarantined for the first of them.
    event_type = find_visible(billing.event_type, scope)
    return {
        "customer_id": _find_customer_id(billing.customer_id, scope),
        "event_type": event_type,
        "timestamp": _find_timestamp(billing, scope),
        "record": _create_record(billing, scope, record_id),
    }


def find_string(expression: Expression, scope: Scope) -> str:
    """Return the string, which is not empty."""
    value = expression.find(scope.event, scope.work)
    if not value or not isinstance(value, str):
        _fail_without_string(expression, scope, value)
    return value


def find_visible(expression: Expression, scope: Scope) -> str:
    """Return the string, which shows at least one character."""
    return _require_visible(expression, scope, expression.find(scope.event, scope.work))


def fail_without_value(expression: Expression, scope: Scope) -> NoReturn:
    """Raise `UnmappableEvent`, because the value is missing or null."""
    expression.fail(expression.explain_absence(scope.event))


def _find_customer_id(expression: Expression, scope: Scope) -> str:
    value = expression.find(scope.event, scope.work)
    if type(value) is int:  # bool is a subclass of int
        return str(value)
    return _require_visible(expression, scope, value)


def _find_timestamp(billing: Billing, scope: Scope) -> str:
    """Return the time in UTC with milliseconds; further digits are cut off."""
    text = find_string(billing.timestamp, scope)
    try:
        time = parse_time(text)
    except ValueError:
        billing.timestamp.fail("is not an ISO 8601 date and time")
    excess = find_excess(time, scope.received_at, billing.limits)
    if excess:
        billing.timestamp.fail(f"is {excess}")
    if _UTC_MILLISECONDS.fullmatch(text):
        return text
    return format_time(time)


def _create_record(billing: Billing, scope: Scope, record_id: str) -> dict[str, Any]:
    """Return the record; named properties override those from "*", and the id both."""
    record = _copy_properties(billing.spread, scope) if billing.spread else {}
    for name, expression in billing.record.items():
        record[name] = _find_value(expression, scope)
    record["id"] = record_id
    return record


def _copy_properties(expression: Expression, scope: Scope) -> dict[str, Any]:
    """Return the properties of an object that can be billed; none if it is missing."""
    value = expression.find(scope.event, scope.work)
    if value is None:
        return {}
    if not isinstance(value, dict):
        expression.fail(describe_mismatch(value, "an object"))
    try:
        scope.work.spend(_count_values(value))
    except TooManySteps as error:
        expression.fail(str(error))
    return {
        name: item
        for name, item in value.items()
        if type(item) in VALUE_TYPES or _is_billable(item)
    }


def _count_values(properties: dict[str, Any]) -> int:
    """Return how many values are looked at to copy *properties*."""
    lists = [value for value in properties.values() if type(value) is list]
    return len(properties) + sum(map(len, lists))


def _find_value(expression: Expression, scope: Scope) -> Any:
    value = expression.find(scope.event, scope.work)
    if value is None:
        fail_without_value(expression, scope)
    if not _is_billable(value):
        expression.fail(f"is {describe_kind(value)}, which Hyperline does not accept")
    return value


def _is_billable(value: Any) -> bool:
    if type(value) is list:
        return all(type(item) in VALUE_TYPES for item in value)
    return type(value) in VALUE_TYPES


def _require_visible(expression: Expression, scope: Scope, value: Any) -> str:
    """Return the string *value*; fail if it shows nothing, which must be a mistake."""
    if not value or not isinstance(value, str):
        _fail_without_string(expression, scope, value)
    if is_invisible(value):
        expression.fail("has only spaces or invisible characters")
    return value


def _fail_without_string(expression: Expression, scope: Scope, value: Any) -> NoReturn:
    if value is None:
        fail_without_value(expression, scope)
    if not isinstance(value, str):
        expression.fail(describe_mismatch(value, "a string"))
    expression.fail("is empty")
