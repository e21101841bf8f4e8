"""Measure the mapping with few rules and with very many."""

import json
import statistics
import time
from typing import Any

from bench.invocations import make_array
from segment_to_hyperline.mapping import file as mapping_file
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.rules import Rules

EVENTS = 1_000
FEW, MANY = 20, 1_000
ROUNDS = 15
# The fields of a slow rule: it has a condition and computed values.
_SLOW_FIELDS = """
when = "properties.plan != 'free'"
customer_id = "context.groupId || userId"
record = { "*" = "properties", length = "length(messageId)" }
"""


def measure() -> dict[str, float]:
    """Return the CPU time of few rules relative to JSON, and of many to few."""
    events = [
        event | {"event": f"Event {number % FEW}"}
        for number, event in enumerate(json.loads(make_array(EVENTS)["body"]))
    ]
    texts = [json.dumps(event) for event in events]
    few, many = _make_rules(FEW), _make_rules(MANY)
    times: dict[str, list[int]] = {"json": [], "few": [], "many": []}
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for text in texts:
            json.dumps(json.loads(text))
        times["json"].append(time.process_time_ns() - began)
        times["few"].append(_measure_cpu(few, events))
        times["many"].append(_measure_cpu(many, events))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "few": medians["few"] / medians["json"],
        "many": medians["many"] / medians["few"],
    }


def _measure_cpu(rules: Rules, events: list[Any]) -> int:
    """Return the CPU nanoseconds that applying *rules* to *events* takes."""
    began = time.process_time_ns()
    for event in events:
        apply_rules(rules, event)
    return time.process_time_ns() - began


def _make_rules(number: int) -> Rules:
    tables = (f'[[rules]]\nevent = "Event {n}"\n{_SLOW_FIELDS}' for n in range(number))
    return mapping_file.parse_rules("".join(tables).encode(), "rules")
