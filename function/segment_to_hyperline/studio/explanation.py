"""Explain what a mapping makes of an event: rule by rule, and field by field."""

import json
from collections.abc import Iterator
from typing import Any

from segment_to_hyperline.archive.captured import CapturedEvent
from segment_to_hyperline.mapping.apply import find_rule
from segment_to_hyperline.mapping.expressions import Expression, UnmappableEvent
from segment_to_hyperline.mapping.rules import Billing, Rule, Rules
from segment_to_hyperline.mapping.validation import ITEM
from segment_to_hyperline.mapping.work import Work
from segment_to_hyperline.mapping_tests.usage import list_rules, name_rule
from segment_to_hyperline.preview.verdict import judge

# So that the page stays readable.
_MAX_ELEMENTS = 10


def explain(rules: Rules, item: CapturedEvent) -> dict[str, Any]:
    """Return the outcome of an event, the rules and fields, and what is billed."""
    verdict = judge(rules, item)
    event = item.event.data
    explained: dict[str, Any] = {"rules": [], "fields": [], "each": ""}
    if isinstance(event, dict):
        rule = _find_rule(rules, event)
        explained["rules"] = list(_explain_rules(list_rules(rules), event, rule))
        if rule and rule.billing:
            each = rule.billing.each
            explained["each"] = each.text if each else ""
            explained["fields"] = _explain_fields(rule.billing, event)
    return explained | {
        "text": item.event.text,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "value": verdict.value,
        "billable": [_write(b.fields(), indent=2) for b in verdict.billable],
    }


def _find_rule(rules: Rules, event: dict[str, Any]) -> Rule | None:
    try:
        return find_rule(rules, event)
    except UnmappableEvent:
        return None


def _explain_rules(
    rules: list[Rule], event: dict[str, Any], matching: Rule | None
) -> Iterator[dict[str, Any]]:
    """Yield the rules up to the one that matches, with why the earlier ones don't."""
    for rule in rules:
        is_match = matching is not None and rule.number == matching.number
        why = _explain_match(rule) if is_match else _explain_mismatch(rule, event)
        yield {"number": rule.number, "name": name_rule(rule), "why": why}
        if is_match:
            return


def _explain_match(rule: Rule) -> str:
    return "matches" if rule.billing else "matches, and ignores the event"


def _explain_mismatch(rule: Rule, event: dict[str, Any]) -> str:
    if event.get("type") != rule.type:
        return f"is for {rule.type} events"
    if rule.events and event.get("event") not in rule.events:
        return f"is for {', '.join(rule.events)}"
    if rule.when:
        value = _evaluate(rule.when, event)
        return f"when: {rule.when.text} is {value.get('problem') or value['value']}"
    return "was not reached"


def _explain_fields(billing: Billing, event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each field with its expression, and its value for each element."""
    scopes = [event]
    fields: dict[str, Expression] = {}
    if billing.each:
        fields["each"] = billing.each
        items = _find_items(billing.each, event)
        scopes = [event | {ITEM: item} for item in items[:_MAX_ELEMENTS]]
    for name in ("customer_id", "event_type", "timestamp"):
        fields[name] = getattr(billing, name)
    if billing.spread:
        fields["record.*"] = billing.spread
    fields |= {f"record.{name}": value for name, value in billing.record.items()}
    return [
        {
            "name": name,
            "expression": field.text,
            "values": [
                _evaluate(field, scope)
                for scope in ([event] if name == "each" else scopes)
            ],
        }
        for name, field in fields.items()
    ]


def _find_items(each: Expression, event: dict[str, Any]) -> list[Any]:
    try:
        items = each.find(event, Work())
    except UnmappableEvent:
        return []
    return items if isinstance(items, list) else []


def _evaluate(expression: Expression, event: dict[str, Any]) -> dict[str, str]:
    """Return the JSON of an *expression*'s value for *event*, or the problem."""
    try:
        return {"value": _write(expression.find(event, Work()))}
    except UnmappableEvent as error:
        return {"problem": str(error)}


def _write(value: Any, indent: int | None = None) -> str:
    """Return *value* as JSON, because JavaScript would round a long number."""
    return json.dumps(value, indent=indent, ensure_ascii=False)
