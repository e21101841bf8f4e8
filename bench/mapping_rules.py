"""Time the mapping with few and with very many rules."""

import json
import statistics
import time
from typing import Any

from bench.calls import make_array
from forwarder.mapping import file as mapping_file
from forwarder.mapping.apply import apply_rules
from forwarder.mapping.rules import Rules

EVENTS = 1_000
FEW, MANY = 20, 1_000
ROUNDS = 15
# What a rule may hold at most: a condition, and values that are computed.
_RICH = """
when = "properties.plan != 'free'"
customer_id = "context.groupId || userId"
record = { "*" = "properties", length = "length(messageId)" }
"""


def measure() -> dict[str, float]:
    """Return what few rules cost, in times of the JSON, and many, in times of few."""
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
        times["few"].append(_time(few, events))
        times["many"].append(_time(many, events))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "few": medians["few"] / medians["json"],
        "many": medians["many"] / medians["few"],
    }


def _time(current: Rules, events: list[Any]) -> int:
    """Return the CPU nanoseconds in which *current* are applied to *events*."""
    began = time.process_time_ns()
    for event in events:
        apply_rules(current, event)
    return time.process_time_ns() - began


def _make_rules(number: int) -> Rules:
    tables = (f'[[rules]]\nevent = "Event {n}"\n{_RICH}' for n in range(number))
    return mapping_file.parse_rules("".join(tables).encode(), "rules")
