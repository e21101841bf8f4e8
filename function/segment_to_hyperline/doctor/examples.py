"""What the mapping makes of examples of events.

Pure: no network, no environment, no clock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from segment_to_hyperline.archive.captured import Captured
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.mapping.values import describe_kind
from segment_to_hyperline.preview.verdict import judge

# More examples than these are ignored.
MAX_EXAMPLES = 100_000
# As many records of an event type are remembered.
_MAX_RECORDS = 1_000


class Records:
    """The records of an event type."""

    def __init__(self) -> None:
        self.number = 0
        # How many have a property, and of which kind it is.
        self.present = Counter[str]()
        self.kinds: dict[str, Counter[str]] = defaultdict(Counter)
        # The least number of a property.
        self.least: dict[str, float] = {}
        # Some of them.
        self.samples: list[Mapping[str, Any]] = []

    def add(self, record: Mapping[str, Any]) -> None:
        """Add a record."""
        self.number += 1
        for name, value in record.items():
            self.present[name] += 1
            self.kinds[name][describe_kind(value)] += 1
            if isinstance(value, int | float):
                self.least[name] = min(self.least.get(name, value), value)
        if len(self.samples) < _MAX_RECORDS:
            self.samples.append(record)


class Examples:
    """What the mapping makes of events."""

    def __init__(self) -> None:
        # The number of events by outcome.
        self.outcomes = Counter[str]()
        # By event type.
        self.records: dict[str, Records] = defaultdict(Records)
        # The event types of each customer, by the id in the billable events.
        self.customers: dict[str, set[str]] = defaultdict(set)


def read_examples(
    rules: Rules, items: Iterable[Captured], most: int = MAX_EXAMPLES
) -> Examples:
    """Return what *rules* make of items, at *most* of so many."""
    examples = Examples()
    for item in islice(items, most):
        verdict = judge(rules, item)
        examples.outcomes[verdict.outcome] += 1
        for billable in verdict.billable:
            fields = billable.fields()
            examples.records[fields["event_type"]].add(fields["record"])
            examples.customers[fields["customer_id"]].add(fields["event_type"])
    return examples
