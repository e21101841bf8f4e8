"""Apply a mapping: what Hyperline is to bill for a Segment event.

Pure: no network, no environment, no clock. The same event always results in the same
bytes, because Hyperline overwrites: a retry that differs would change an invoice.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from forwarder.hyperline.billable_event import MAX_EVENT_BYTES, BillableEvent, Key
from forwarder.hyperline.facts import VALUE_TYPES
from forwarder.mapping.expressions import (
    Expression,
    UnmappableEvent,
    compile_expression,
)
from forwarder.mapping.rules import Billing, Rule, Rules
from forwarder.mapping.validation import ITEM
from forwarder.mapping.values import describe_kind
from forwarder.segment.times import format_time, parse_time

_TYPE = compile_expression("", "type")
_EVENT = compile_expression("", "event")
_MESSAGE_ID = compile_expression("", "messageId")

# How Segment writes nearly all times, and how they are posted.
_UTC_MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

# An event with more elements is a mistake, or an attack on the invoice.
MAX_ITEMS = 1_000
# How the record.id of an element ends.
_ITEM_ID = re.compile(r":[0-9]+\Z")

# The most bytes of the billable events of an event, because each element can contain
# the properties of the whole event.
MAX_TOTAL_BYTES = 1024 * 1024


def apply_rules(rules: Rules, event: Any) -> tuple[BillableEvent, ...]:
    """Return what to bill for *event*; nothing if no rule matches it."""
    return tuple(iterate_billable(rules, event))


def iterate_billable(rules: Rules, event: Any) -> Iterator[BillableEvent]:
    """Yield what to bill for *event*; several if the rule has `each`.

    Raises `UnmappableEvent` with a reason that names the rule and the field, such as
    `Seats Added: record.seats: properties.seats is missing`, and never a value.
    """
    if not isinstance(event, dict):
        raise UnmappableEvent(f"the event is {describe_kind(event)}, not an object")
    rule = find_rule(rules, event)
    if rule is None or rule.billing is None:
        return
    try:
        yield from _bill(rule.billing, event)
    except UnmappableEvent as error:
        raise UnmappableEvent(f"{_name(rule, event)}: {error}") from error


def find_rule(rules: Rules, event: dict[str, Any]) -> Rule | None:
    """Return the first rule that matches *event*; raises `UnmappableEvent`."""
    for rule in _find_candidates(rules, event):
        try:
            if rule.when is None or rule.when.is_true(event):
                return rule
        except UnmappableEvent as error:
            raise UnmappableEvent(f"{_name(rule, event)}: {error}") from error
    return None


def _find_candidates(rules: Rules, event: dict[str, Any]) -> tuple[Rule, ...]:
    candidates = rules.get(_find_string(_TYPE, event))
    if candidates is None:
        return ()
    if not candidates.by_event:
        return candidates.others
    # If rules name events, an event without a name can't be filtered safely.
    return candidates.by_event.get(_find_string(_EVENT, event), candidates.others)


def _name(rule: Rule, event: dict[str, Any]) -> str:
    # The event's name is only used if the mapping contains it, because reasons are
    # logged and other names can be personal data.
    return event["event"] if rule.events else f"rule {rule.number} ({rule.type})"


def _bill(billing: Billing, event: dict[str, Any]) -> Iterable[BillableEvent]:
    message_id = _find_string(_MESSAGE_ID, event)
    if billing.each is not None:
        return _bill_items(billing, billing.each, event, message_id)
    if billing.exclusive and _ITEM_ID.search(message_id):
        raise UnmappableEvent(
            "messageId ends with a colon and a number, like the record.id of an"
            " element; send the event with another messageId"
        )
    return (_create_event(billing, event, message_id),)


def _bill_items(
    billing: Billing, each: Expression, event: dict[str, Any], message_id: str
) -> Iterator[BillableEvent]:
    """Yield a billable event for each element of the array *each*.

    An element needs a record.id of its own, by which Hyperline overwrites and deletes.
    Every element has an index, and a retry has the same one.
    """
    items = each.find(event)
    if items is None:
        _fail_without_value(each, event)
    if not isinstance(items, list):
        each.fail(f"is {describe_kind(items)}, not an array")
    if len(items) > MAX_ITEMS:
        each.fail(f"has more than {MAX_ITEMS:,} elements")
    available = MAX_TOTAL_BYTES
    for index, item in enumerate(items):
        try:
            billable = _create_event(
                billing, event | {ITEM: item}, f"{message_id}:{index}"
            )
        except UnmappableEvent as error:
            raise UnmappableEvent(f"item {index}: {error}") from error
        available -= len(billable.json)
        if available < 0:
            raise UnmappableEvent(
                "the billable events are together larger than"
                f" {MAX_TOTAL_BYTES:,} bytes"
            )
        yield billable


def _create_event(
    billing: Billing, event: dict[str, Any], record_id: str
) -> BillableEvent:
    key = Key(_find_string(billing.event_type, event), record_id)
    try:
        billable_event = BillableEvent.create(
            key,
            customer_id=_find_customer_id(billing.customer_id, event),
            timestamp=_find_timestamp(billing.timestamp, event),
            record=_create_record(billing, event),
        )
    except ValueError as error:
        raise UnmappableEvent(
            "record contains a number that JSON can't represent"
        ) from error
    if len(billable_event.json) > MAX_EVENT_BYTES:
        raise UnmappableEvent(
            f"the billable event is larger than {MAX_EVENT_BYTES:,} bytes"
        )
    return billable_event


def _create_record(billing: Billing, event: dict[str, Any]) -> dict[str, Any]:
    """Return the record; named properties override those from "*"."""
    record = _spread(billing.spread, event) if billing.spread else {}
    for name, expression in billing.record.items():
        record[name] = _find_value(expression, event)
    return record


def _find_string(expression: Expression, event: dict[str, Any]) -> str:
    return _require_string(expression, event, expression.find(event))


def _find_customer_id(expression: Expression, event: dict[str, Any]) -> str:
    value = expression.find(event)
    is_integer = type(value) is int  # bool is a subclass of int
    return str(value) if is_integer else _require_string(expression, event, value)


def _find_timestamp(expression: Expression, event: dict[str, Any]) -> str:
    """Return the time in UTC with milliseconds; further digits are cut off."""
    text = _find_string(expression, event)
    try:
        time = parse_time(text)
    except ValueError:
        expression.fail("is not an ISO 8601 date and time")
    if _UTC_MILLISECONDS.fullmatch(text):
        return text
    return format_time(time)


def _find_value(expression: Expression, event: dict[str, Any]) -> Any:
    value = expression.find(event)
    if value is None:
        _fail_without_value(expression, event)
    if not _is_billable(value):
        expression.fail(f"is {describe_kind(value)}, which Hyperline does not accept")
    return value


def _spread(expression: Expression, event: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of an object that can be billed; none if it is missing."""
    value = expression.find(event)
    if value is None:
        return {}
    if not isinstance(value, dict):
        expression.fail(f"is {describe_kind(value)}, not an object")
    return {
        name: item
        for name, item in value.items()
        if type(item) in VALUE_TYPES or _is_billable(item)
    }


def _require_string(expression: Expression, event: dict[str, Any], value: Any) -> str:
    if value is None:
        _fail_without_value(expression, event)
    if not isinstance(value, str):
        expression.fail(f"is {describe_kind(value)}, not a string")
    if not value:
        expression.fail("is empty")
    return value


def _fail_without_value(expression: Expression, event: dict[str, Any]) -> NoReturn:
    expression.fail(expression.explain_absence(event))


def _is_billable(value: Any) -> bool:
    if type(value) is list:
        return all(type(item) in VALUE_TYPES for item in value)
    return type(value) in VALUE_TYPES
