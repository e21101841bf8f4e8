"""The events that wait in Quarantine, and what today's mapping would make of them."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.aws.messages import ReceivedMessage, parse_message
from segment_to_hyperline.elements import (
    Element,
    MalformedBody,
    TooDeep,
    decode_element,
    skip_space,
)
from segment_to_hyperline.mapping.apply import find_rule
from segment_to_hyperline.mapping.expressions import UnmappableEvent
from segment_to_hyperline.mapping.rules import Rule, Rules
from segment_to_hyperline.mapping.work import Work
from segment_to_hyperline.preview.verdict import Verdict, judge
from segment_to_hyperline.reconciliation.api.rows import read_milliseconds

UNKNOWN = "-"

# The id of a message, and the position of an event in it.
type Place = tuple[str, int]


class Waiting(NamedTuple):
    """An event that waits in Quarantine."""

    message: ReceivedMessage
    """The message that stores it."""
    position: int
    """Its position among the events of the message."""
    element: Element
    """Its data and its text."""
    code: str
    """The code of the reason."""
    reason: str
    """Why it waits; it can have values of the event."""
    rule: str
    """The number of the rule that matches it today."""
    customer: str
    """The customer that this rule bills."""
    verdict: Verdict
    """What today's mapping would make of it."""

    @property
    def place(self) -> Place:
        """Where it is stored."""
        return self.message.id, self.position

    @property
    def fields(self) -> dict[str, Any]:
        """Its fields; none if it isn't an object."""
        data = self.element.data
        return data if isinstance(data, dict) else {}

    @property
    def message_id(self) -> str:
        """Its `messageId`."""
        return _show(self.fields.get("messageId"))

    @property
    def event(self) -> str:
        """Its name, or its type if it has no name."""
        fields = self.fields
        return _show(fields.get("event") or fields.get("name") or fields.get("type"))

    @property
    def time(self) -> float | None:
        """When it happened, as a Unix timestamp, if it says so."""
        milliseconds = read_milliseconds(self.fields.get("timestamp"))
        return None if milliseconds is None else milliseconds / 1_000

    @property
    def outlook(self) -> str:
        """What would become of it in `Replay`, by today's mapping."""
        verdict = self.verdict
        if verdict.billable:
            return "would be billed"
        if verdict.outcome == "filtered":
            return f"would not be billed: {verdict.reason}"
        return f"would fail again: {verdict.reason}"


def read_message(message: ReceivedMessage, rules: Rules) -> list[Waiting]:
    """Return the events of *message*; none if this application didn't write it."""
    try:
        texts = parse_message(message.body)
        data = decode_element(message.body, skip_space(message.body))[0].data
    except MalformedBody:
        return []
    fields = data.fields if isinstance(data, TooDeep) else data
    code, reason = fields.get("code"), fields.get("reason")
    if not isinstance(reason, str):
        return []
    return [
        _read_event(message, position, text, _show(code), reason, rules)
        for position, text in enumerate(texts)
    ]


def hash_texts(texts: Iterable[str]) -> str:
    """Return a hash of *texts* that doesn't depend on their order."""
    return hashlib.sha256(json.dumps(sorted(texts)).encode()).hexdigest()


def _read_event(  # noqa: PLR0913, PLR0917 - the fields of an event
    message: ReceivedMessage,
    position: int,
    text: str,
    code: str,
    reason: str,
    rules: Rules,
) -> Waiting:
    element, _ = decode_element(text, 0)
    verdict = judge(rules, CapturedEvent(position, element))
    rule = _find_rule(rules, element.data)
    customer = _find_customer(rule, element.data, verdict)
    number = str(rule.number) if rule else UNKNOWN
    return Waiting(message, position, element, code, reason, number, customer, verdict)


def _find_rule(rules: Rules, data: Any) -> Rule | None:
    try:
        return find_rule(rules, data) if isinstance(data, dict) else None
    except UnmappableEvent:
        return None


def _find_customer(rule: Rule | None, data: Any, verdict: Verdict) -> str:
    """Return the customer, also of an event of which another field can't be mapped."""
    if verdict.billable:
        return verdict.billable[0].fields()["customer_id"]
    try:
        billing = rule and rule.billing
        return _show(billing and billing.customer_id.find(data, Work()))
    except UnmappableEvent:
        return UNKNOWN


def _show(value: Any) -> str:
    return value if isinstance(value, str) and value else UNKNOWN
