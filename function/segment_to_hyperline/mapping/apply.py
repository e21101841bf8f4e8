"""Apply a mapping: what Hyperline is to bill for a Segment event.

The same event always results in the same bytes, because Hyperline overwrites: a retry
that differs would change an invoice.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from segment_to_hyperline.elements import TooDeep
from segment_to_hyperline.hyperline.billable_event import (
    MAX_EVENT_BYTES,
    BillableEvent,
)
from segment_to_hyperline.mapping.expressions import (
    Expression,
    UnmappableEvent,
    compile_expression,
)
from segment_to_hyperline.mapping.fields import (
    Scope,
    create_fields,
    fail_without_value,
    find_string,
    find_visible,
)
from segment_to_hyperline.mapping.limits import parse_received_at
from segment_to_hyperline.mapping.rules import Billing, Rule, Rules
from segment_to_hyperline.mapping.validation import ITEM
from segment_to_hyperline.mapping.values import describe_mismatch
from segment_to_hyperline.mapping.work import Work

_TYPE = compile_expression("", "type")
_EVENT = compile_expression("", "event")
_MESSAGE_ID = compile_expression("", "messageId")

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
    if isinstance(event, TooDeep):
        raise UnmappableEvent("the event is nested too deeply")
    if not isinstance(event, dict):
        raise UnmappableEvent(f"the event {describe_mismatch(event, 'an object')}")
    scope = Scope(event, Work(), parse_received_at(event))
    rule = _find_rule(rules, scope)
    if rule is None or rule.billing is None:
        return
    try:
        yield from _bill(rule.billing, scope)
    except UnmappableEvent as error:
        raise UnmappableEvent(f"{_name(rule, event)}: {error}") from error


def find_rule(rules: Rules, event: dict[str, Any]) -> Rule | None:
    """Return the first rule that matches *event*; raises `UnmappableEvent`."""
    return _find_rule(rules, Scope(event, Work()))


def _find_rule(rules: Rules, scope: Scope) -> Rule | None:
    for rule in _find_candidates(rules, scope):
        try:
            if rule.when is None or rule.when.is_true(scope.event, scope.work):
                return rule
        except UnmappableEvent as error:
            raise UnmappableEvent(f"{_name(rule, scope.event)}: {error}") from error
    return None


def _find_candidates(rules: Rules, scope: Scope) -> tuple[Rule, ...]:
    candidates = rules.get(find_string(_TYPE, scope))
    if candidates is None:
        return ()
    if not candidates.by_event:
        return candidates.others
    # An event without a name may be one that a rule names, so it is not filtered: this
    # raises `UnmappableEvent`.
    return candidates.by_event.get(find_string(_EVENT, scope), candidates.others)


def _name(rule: Rule, event: dict[str, Any]) -> str:
    # The event's name is only used if the mapping contains it, because reasons are
    # logged and other names can be personal data.
    return event["event"] if rule.events else f"rule {rule.number} ({rule.type})"


def _bill(billing: Billing, scope: Scope) -> Iterable[BillableEvent]:
    message_id = find_visible(_MESSAGE_ID, scope)
    if billing.each is not None:
        return _bill_items(billing, billing.each, scope, message_id)
    if billing.exclusive and _ITEM_ID.search(message_id):
        raise UnmappableEvent(
            "messageId ends with a colon and a number, like the record.id of an"
            " element; send the event with another messageId"
        )
    return (_create_event(billing, scope, message_id),)


def _bill_items(
    billing: Billing, each: Expression, scope: Scope, message_id: str
) -> Iterator[BillableEvent]:
    """Yield a billable event for each element of the array *each*.

    An element needs a record.id of its own, by which Hyperline overwrites and deletes.
    Every element has an index, and a retry has the same one.
    """
    items = each.find(scope.event, scope.work)
    if items is None:
        fail_without_value(each, scope)
    if not isinstance(items, list):
        each.fail(describe_mismatch(items, "an array"))
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


def _create_event(billing: Billing, scope: Scope, record_id: str) -> BillableEvent:
    fields = create_fields(billing, scope, record_id)
    try:
        billable_event = BillableEvent.create(fields)
    except ValueError as error:
        raise UnmappableEvent(
            "record contains a number that JSON can't represent"
        ) from error
    if len(billable_event.json) > MAX_EVENT_BYTES:
        raise UnmappableEvent(
            f"the billable event is larger than {MAX_EVENT_BYTES:,} bytes"
        )
    return billable_event
