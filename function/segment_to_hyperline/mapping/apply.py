"""Apply a mapping: what Hyperline is to bill for a Segment event.

The same event always results in the same bytes, because Hyperline overwrites: a retry
that differs would change an invoice.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from segment_to_hyperline.elements import TooDeep
from segment_to_hyperline.hyperline.billable_event import (
    MAX_EVENT_BYTES,
    BillableEvent,
    Key,
)
from segment_to_hyperline.hyperline.facts import VALUE_TYPES
from segment_to_hyperline.mapping.expressions import (
    Expression,
    UnmappableEvent,
    compile_expression,
)
from segment_to_hyperline.mapping.limits import find_excess, parse_received_at
from segment_to_hyperline.mapping.rules import Billing, Rule, Rules
from segment_to_hyperline.mapping.validation import ITEM
from segment_to_hyperline.mapping.values import describe_kind, is_invisible
from segment_to_hyperline.mapping.work import TooManySteps, Work
from segment_to_hyperline.segment.times import format_time, parse_time

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


class _Scope(NamedTuple):
    """What expressions are applied to: *event*, with the element as `item` if any.

    *work* has the steps that are left, and *received_at* is when Segment received the
    event, if known.
    """

    event: dict[str, Any]
    work: Work
    received_at: datetime | None = None


def apply_rules(rules: Rules, event: Any) -> tuple[BillableEvent, ...]:
    """Return what to bill for *event*; nothing if no rule matches it."""
    return tuple(iterate_billable(rules, event))


def iterate_billable(rules: Rules, event: Any) -> Iterator[BillableEvent]:
    """Yield what to bill for *event*; several if the rule has `each`.

    Raises `UnmappableEvent` with a reason that names the rule and the field, such as
    `Seats Added: record.seats: properties.seats is missing`, and never a value.
    """
    if isinstance(event, TooDeep):
        raise UnmappableEvent("the event is nested too deeply")
    if not isinstance(event, dict):
        raise UnmappableEvent(f"the event is {describe_kind(event)}, not an object")
    scope = _Scope(event, Work(), parse_received_at(event))
    rule = _find_rule(rules, scope)
    if rule is None or rule.billing is None:
        return
    try:
        yield from _bill(rule.billing, scope)
    except UnmappableEvent as error:
        raise UnmappableEvent(f"{_name(rule, event)}: {error}") from error


def find_rule(rules: Rules, event: dict[str, Any]) -> Rule | None:
    """Return the first rule that matches *event*; raises `UnmappableEvent`."""
    return _find_rule(rules, _Scope(event, Work()))


def _find_rule(rules: Rules, scope: _Scope) -> Rule | None:
    for rule in _find_candidates(rules, scope):
        try:
            if rule.when is None or rule.when.is_true(scope.event, scope.work):
                return rule
        except UnmappableEvent as error:
            raise UnmappableEvent(f"{_name(rule, scope.event)}: {error}") from error
    return None


def _find_candidates(rules: Rules, scope: _Scope) -> tuple[Rule, ...]:
    candidates = rules.get(_find_string(_TYPE, scope))
    if candidates is None:
        return ()
    if not candidates.by_event:
        return candidates.others
    # If rules name events, an event without a name can't be filtered safely.
    return candidates.by_event.get(_find_string(_EVENT, scope), candidates.others)


def _name(rule: Rule, event: dict[str, Any]) -> str:
    # The event's name is only used if the mapping contains it, because reasons are
    # logged and other names can be personal data.
    return event["event"] if rule.events else f"rule {rule.number} ({rule.type})"


def _bill(billing: Billing, scope: _Scope) -> Iterable[BillableEvent]:
    message_id = _find_visible(_MESSAGE_ID, scope)
    if billing.each is not None:
        return _bill_items(billing, billing.each, scope, message_id)
    if billing.exclusive and _ITEM_ID.search(message_id):
        raise UnmappableEvent(
            "messageId ends with a colon and a number, like the record.id of an"
            " element; send the event with another messageId"
        )
    return (_create_event(billing, scope, message_id),)


def _bill_items(
    billing: Billing, each: Expression, scope: _Scope, message_id: str
) -> Iterator[BillableEvent]:
    """Yield a billable event for each element of the array *each*.

    An element needs a record.id of its own, by which Hyperline overwrites and deletes.
    Every element has an index, and a retry has the same one.
    """
    items = each.find(scope.event, scope.work)
    if items is None:
        _fail_without_value(each, scope)
    if not isinstance(items, list):
        each.fail(f"is {describe_kind(items)}, not an array")
    if len(items) > MAX_ITEMS:
        each.fail(f"has more than {MAX_ITEMS:,} elements")
    available = MAX_TOTAL_BYTES
    for index, item in enumerate(items):
        of_item = scope._replace(event=scope.event | {ITEM: item})
        try:
            billable = _create_event(billing, of_item, f"{message_id}:{index}")
        except UnmappableEvent as error:
            raise UnmappableEvent(f"item {index}: {error}") from error
        available -= len(billable.json)
        if available < 0:
            raise UnmappableEvent(
                "the billable events are together larger than"
                f" {MAX_TOTAL_BYTES:,} bytes"
            )
        yield billable


def _create_event(billing: Billing, scope: _Scope, record_id: str) -> BillableEvent:
    key = Key(_find_visible(billing.event_type, scope), record_id)
    try:
        billable_event = BillableEvent.create(
            key,
            customer_id=_find_customer_id(billing.customer_id, scope),
            timestamp=_find_timestamp(billing, scope),
            record=_create_record(billing, scope),
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


def _create_record(billing: Billing, scope: _Scope) -> dict[str, Any]:
    """Return the record; named properties override those from "*"."""
    record = _spread(billing.spread, scope) if billing.spread else {}
    for name, expression in billing.record.items():
        record[name] = _find_value(expression, scope)
    return record


def _find_string(expression: Expression, scope: _Scope) -> str:
    value = expression.find(scope.event, scope.work)
    return _require_string(expression, scope, value)


def _find_visible(expression: Expression, scope: _Scope) -> str:
    return _require_visible(expression, _find_string(expression, scope))


def _find_customer_id(expression: Expression, scope: _Scope) -> str:
    value = expression.find(scope.event, scope.work)
    if type(value) is int:  # bool is a subclass of int
        return str(value)
    return _require_visible(expression, _require_string(expression, scope, value))


def _find_timestamp(billing: Billing, scope: _Scope) -> str:
    """Return the time in UTC with milliseconds; further digits are cut off."""
    text = _find_string(billing.timestamp, scope)
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


def _find_value(expression: Expression, scope: _Scope) -> Any:
    value = expression.find(scope.event, scope.work)
    if value is None:
        _fail_without_value(expression, scope)
    if not _is_billable(value):
        expression.fail(f"is {describe_kind(value)}, which Hyperline does not accept")
    return value


def _spread(expression: Expression, scope: _Scope) -> dict[str, Any]:
    """Return the properties of an object that can be billed; none if it is missing."""
    value = expression.find(scope.event, scope.work)
    if value is None:
        return {}
    if not isinstance(value, dict):
        expression.fail(f"is {describe_kind(value)}, not an object")
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
    lists = (len(value) for value in properties.values() if type(value) is list)
    return len(properties) + sum(lists)


def _require_string(expression: Expression, scope: _Scope, value: Any) -> str:
    if value is None:
        _fail_without_value(expression, scope)
    if not isinstance(value, str):
        expression.fail(f"is {describe_kind(value)}, not a string")
    if not value:
        expression.fail("is empty")
    return value


def _require_visible(expression: Expression, text: str) -> str:
    """Return *text*; fail if it shows nothing, because it can only be a mistake."""
    if is_invisible(text):
        expression.fail("has only spaces or invisible characters")
    return text


def _fail_without_value(expression: Expression, scope: _Scope) -> NoReturn:
    expression.fail(expression.explain_absence(scope.event))


def _is_billable(value: Any) -> bool:
    if type(value) is list:
        return all(type(item) in VALUE_TYPES for item in value)
    return type(value) in VALUE_TYPES
