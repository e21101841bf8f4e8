"""Time the mapping with few and with very many rules."""

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "function"))

import mapping  # noqa: E402
import mapping_file  # noqa: E402
from calls import make_array  # noqa: E402
from rules import Rules  # noqa: E402

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
        mapping.apply(current, event)
    return time.process_time_ns() - began


def _make_rules(number: int) -> Rules:
    tables = (f'[[rules]]\nevent = "Event {n}"\n{_RICH}' for n in range(number))
    return mapping_file.parse("".join(tables).encode(), "rules")
