"""Measure the mapping with rules that have conditions and computed fields.

Usage: `python -m bench.mapping_rules`; also a part of `make bench`.
"""

import json
import statistics
import time

from bench.harness.invocations import make_array
from segment_to_hyperline.mapping import file as mapping_file
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.rules import Rules

EVENTS, RULES = 1_000, 20
ROUNDS = 15
# The fields of a slow rule.
_SLOW_FIELDS = """
when = "properties.plan != 'free'"
customer_id = "context.groupId || userId"
record = { "*" = "properties", length = "length(messageId)" }
"""


def measure(rounds: int) -> float:
    """Return the CPU time of mapping events, relative to reading and writing them."""
    events = [
        event | {"event": f"Event {number % RULES}"}
        for number, event in enumerate(json.loads(make_array(EVENTS)["body"]))
    ]
    texts = [json.dumps(event) for event in events]
    rules = _make_rules(RULES)
    reference, mapping = [], []
    for _ in range(rounds):
        began = time.process_time_ns()
        for text in texts:
            json.dumps(json.loads(text))
        reference.append(time.process_time_ns() - began)
        began = time.process_time_ns()
        for event in events:
            apply_rules(rules, event)
        mapping.append(time.process_time_ns() - began)
    return statistics.median(mapping) / statistics.median(reference)


def _make_rules(number: int) -> Rules:
    tables = (f'[[rules]]\nevent = "Event {n}"\n{_SLOW_FIELDS}' for n in range(number))
    return mapping_file.parse_rules("".join(tables).encode(), "rules")


if __name__ == "__main__":
    print(f"{measure(ROUNDS):.2f} times reading and writing the JSON")
