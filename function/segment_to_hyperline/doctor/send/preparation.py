"""Prepare the event that is sent: one of the owner's, or one that a rule bills.

Pure: no network, no environment, no clock.
"""

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.doctor.send.creation import Identity, create_event
from segment_to_hyperline.elements import Element
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.mapping.apply import find_rule
from segment_to_hyperline.mapping.expressions import Expression, UnmappableEvent
from segment_to_hyperline.mapping.rules import Billing, Rule, Rules
from segment_to_hyperline.mapping.validation import ITEM
from segment_to_hyperline.preview.verdict import Verdict, judge
from segment_to_hyperline.segment.facts import EVENT_TIMES
from segment_to_hyperline.text import make_printable

# How many of EVENTS are looked at to find one that is billed.
MOST_EVENTS = 100_000
_MOST_DESCRIBED = 5
_USE_EVENTS = "pass a file with one of your own events as EVENTS"


class Prepared(NamedTuple):
    """The event to send, and what the mapping makes of it."""

    event: dict[str, Any]
    billable: tuple[BillableEvent, ...]
    """Empty if the mapping doesn't bill it."""
    problem: str
    """Why it isn't billed."""
    origin: str
    """Where it is from, for people."""


class Unprepared(NamedTuple):
    """Why there is no event to send."""

    reason: str
    remedy: str


_NO_RULE = Unprepared("the mapping bills no events", "add a rule without ignore")


def prepare_created(rules: Rules, identity: Identity) -> Prepared | Unprepared:
    """Return an event for the first rule for which one can be created that is billed.

    The customer of *identity* is billed.
    """
    first: Unprepared | None = None
    for rule, billing in _list_billing_rules(rules):
        prepared = _create(rules, rule, billing, identity)
        if isinstance(prepared, Prepared):
            return prepared
        first = first or prepared
    return first or _NO_RULE


def prepare_received(
    rules: Rules, events: Iterable[dict[str, Any]], identity: Identity
) -> Prepared | Unprepared:
    """Return the first of *events* that is billed, or else the first one.

    It has the messageId and, if there is one, the customer of *identity*.
    """
    first: Prepared | Unprepared | None = None
    for event in islice(events, MOST_EVENTS):
        prepared = _adapt(rules, event, identity)
        if isinstance(prepared, Prepared) and prepared.billable:
            return prepared
        first = first or prepared
    return first or Unprepared("EVENTS has no events", "pass a file with events")


def describe_billed(rules: Rules) -> str:
    """Return which events the mapping bills, for people."""
    described = [_describe_rule(rule) for rule, _ in _list_billing_rules(rules)]
    more = ["…"] if len(described) > _MOST_DESCRIBED else []
    return "; ".join([*described[:_MOST_DESCRIBED], *more])


def _list_billing_rules(rules: Rules) -> list[tuple[Rule, Billing]]:
    """Return the rules that bill events, in the order of the file."""
    found = {
        rule.number: (rule, rule.billing)
        for candidates in rules.values()
        for of_event in (*candidates.by_event.values(), candidates.others)
        for rule in of_event
        if rule.billing
    }
    return [found[number] for number in sorted(found)]


def _describe_rule(rule: Rule) -> str:
    names = " or ".join(make_printable(name) for name in rule.events)
    condition = f" if {make_printable(rule.when.text)}" if rule.when else ""
    return f"{rule.type} {names or 'events'}{condition} (rule {rule.number})"


def _create(
    rules: Rules, rule: Rule, billing: Billing, identity: Identity
) -> Prepared | Unprepared:
    event = create_event(rule, billing, identity)
    verdict = _judge(rules, event)
    if not verdict.billable:
        return Unprepared(
            f"rule {rule.number} needs special values, so no event can be created for"
            f" it ({_explain(verdict)})",
            _USE_EVENTS,
        )
    if not _bills_only(verdict, identity.customer):
        return _describe_computed(billing.customer_id)
    origin = f"created from the mapping: {_describe_rule(rule)}"
    return Prepared(event, verdict.billable, "", origin)


def _adapt(
    rules: Rules, received: dict[str, Any], identity: Identity
) -> Prepared | Unprepared:
    """Return an event of the owner's, changed so that it can be sent now.

    Its own times, and the one that is billed, are moved to the present. Otherwise an
    event that was captured long ago could exceed the limits of the mapping, and the
    Receiver would park it instead of leaving the retry to the sender.
    """
    event = {
        **received,
        **dict.fromkeys(EVENT_TIMES & received.keys(), identity.now),
        "messageId": identity.message_id,
        "receivedAt": identity.now,
    }
    billing = _find_billing(rules, event)
    if billing and _is_replaceable(billing.timestamp):
        event = _replace(event, billing.timestamp.path, identity.now)
    if billing and identity.customer:
        if not _is_replaceable(billing.customer_id):
            return _describe_computed(billing.customer_id)
        event = _replace(event, billing.customer_id.path, identity.customer)
    verdict = _judge(rules, event)
    origin = "one of EVENTS, with another messageId and the present time"
    return Prepared(event, verdict.billable, _explain(verdict), origin)


def _find_billing(rules: Rules, event: dict[str, Any]) -> Billing | None:
    with suppress(UnmappableEvent):
        rule = find_rule(rules, event)
        return rule.billing if rule else None
    return None


def _is_replaceable(expression: Expression) -> bool:
    """Return whether the value of *expression* is at one place of the event."""
    return bool(expression.path) and expression.path[0] != ITEM


def _replace(value: Any, path: tuple[str, ...], new: Any) -> Any:
    """Return *value* with *new* at *path*, without changing *value* itself."""
    if not path:
        return new
    inside = value if isinstance(value, dict) else {}
    name, *rest = path
    return {**inside, name: _replace(inside.get(name), tuple(rest), new)}


def _judge(rules: Rules, event: dict[str, Any]) -> Verdict:
    return judge(rules, CapturedEvent(1, Element(event, "")))


def _explain(verdict: Verdict) -> str:
    """Return why an event isn't billed; empty if it is."""
    return "" if verdict.billable else f"{verdict.outcome}: {verdict.reason}"


def _bills_only(verdict: Verdict, customer: str | None) -> bool:
    return all(each.fields()["customer_id"] == customer for each in verdict.billable)


def _describe_computed(expression: Expression) -> Unprepared:
    return Unprepared(
        f"the mapping computes the customer ({make_printable(expression.text)}), so"
        " --customer can't set it",
        f"{_USE_EVENTS} that has this customer, and leave out --customer",
    )
