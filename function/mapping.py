"""The mapping: what Hyperline is to bill for a Segment event.

Pure: no network, no environment, no clock. The same event always gives the same bytes,
because Hyperline overwrites: a retry that differed would change an invoice.
"""

import re
from typing import Any, NoReturn

import iso8601
from billable import BillableEvent, Key
from expressions import Expression, Unmappable, compile_expression
from rules import Billing, Rule, Rules


def apply(rules: Rules, event: Any) -> BillableEvent | None:
    """Return what to bill for *event*, or None if no rule wants it.

    Raises `Unmappable` with a reason that names the rule and the fields, as in
    `Seats Added: record.seats: properties.seats is missing`, and never their values.
    """
    if not isinstance(event, dict):
        raise Unmappable(f"the event is {_kind(event)}, not an object")
    for rule in _candidates(rules, event):
        try:
            if rule.when is None or rule.when.holds(event):
                return _bill(rule.billing, event) if rule.billing else None
        except Unmappable as error:
            raise Unmappable(f"{_call(rule, event)}: {error}") from error
    return None


def _candidates(rules: Rules, event: dict[str, Any]) -> tuple[Rule, ...]:
    candidates = rules.get(_text(_TYPE, event))
    if candidates is None:
        return ()
    if not candidates.by_event:
        return candidates.others
    # Without its name nobody can tell whether a rule wants the event.
    return candidates.by_event.get(_text(_EVENT, event), candidates.others)


def _call(rule: Rule, event: dict[str, Any]) -> str:
    # The name of an event that no rule names is the customer's, and not for the log.
    return event["event"] if rule.events else f"rule {rule.number} ({rule.type})"


def _bill(billing: Billing, event: dict[str, Any]) -> BillableEvent:
    # https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
    key = Key(_text(billing.event_type, event), _text(_MESSAGE_ID, event))
    try:
        return BillableEvent.of(
            key,
            customer_id=_customer_id(billing.customer_id, event),
            timestamp=_timestamp(billing.timestamp, event),
            record=_record(billing, event),
        )
    except ValueError as error:
        raise Unmappable("record holds a number too large to be billed") from error


def _record(billing: Billing, event: dict[str, Any]) -> dict[str, Any]:
    """Return the record; what is named wins over what "*" spreads."""
    record = _spread(billing.spread, event) if billing.spread else {}
    for name, expression in billing.record.items():
        record[name] = _billable_value(expression, event)
    return record


def _text(expression: Expression, event: dict[str, Any]) -> str:
    return _check_text(expression, event, expression.find(event))


def _customer_id(expression: Expression, event: dict[str, Any]) -> str:
    value = expression.find(event)
    is_number = type(value) is int  # true and false are none
    return str(value) if is_number else _check_text(expression, event, value)


def _check_text(expression: Expression, event: dict[str, Any], value: Any) -> str:
    if value is None:
        _fail_for_nothing(expression, event)
    if not isinstance(value, str):
        expression.fail(f"is {_kind(value)}, not text")
    if not value:
        expression.fail("is empty")
    return value


def _fail_for_nothing(expression: Expression, event: dict[str, Any]) -> NoReturn:
    expression.fail("is missing" if expression.is_missing(event) else "is null")


def _timestamp(expression: Expression, event: dict[str, Any]) -> str:
    """Return the time in UTC with milliseconds, further digits cut off."""
    text = _text(expression, event)
    try:
        moment = iso8601.parse(text)
    except ValueError:
        expression.fail("is not an ISO 8601 date and time")
    if _IN_UTC.fullmatch(text):  # as Segment writes nearly all of them
        return text
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _spread(expression: Expression, event: dict[str, Any]) -> dict[str, Any]:
    """Return what can be billed of an object; nothing if it is missing."""
    value = expression.find(event)
    if value is None:
        return {}
    if not isinstance(value, dict):
        expression.fail(f"is {_kind(value)}, not an object")
    return {
        name: item
        for name, item in value.items()
        if type(item) in _SCALARS or _is_billable(item)
    }


def _billable_value(expression: Expression, event: dict[str, Any]) -> Any:
    value = expression.find(event)
    if value is None:
        _fail_for_nothing(expression, event)
    if not _is_billable(value):
        expression.fail(f"is {_kind(value)}, which Hyperline does not take")
    return value


def _is_billable(value: Any) -> bool:
    # https://docs.hyperline.co/docs/usage/send-usage-data
    if type(value) is list:
        return all(type(item) in _SCALARS for item in value)
    return type(value) in _SCALARS


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "nothing JSON knows")


_TYPE = compile_expression("", "type")
_EVENT = compile_expression("", "event")
_MESSAGE_ID = compile_expression("", "messageId")
_IN_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_SCALARS = {str, bool, int, float}
_KINDS = {
    dict: "an object",
    list: "an array",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
