"""Add up events: their number, and the totals of their numeric properties."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from segment_to_hyperline.mapping.arithmetic import to_decimal
from segment_to_hyperline.preview.usage import add_exactly, to_json_number


class Sum:
    """The number of some events, and the totals of their numeric properties."""

    def __init__(self) -> None:
        self.events = 0
        self.totals: dict[str, Decimal] = {}

    def add(self, record: Mapping[str, Any], times: int = 1) -> None:
        """Add the *record* of an event that often; subtract it if *times* is -1."""
        self.events += times
        for name, value in record.items():
            if type(value) in (int, float):
                total = self.totals.get(name, Decimal(0))
                self.totals[name] = add_exactly(total, to_decimal(value), times)

    def add_all(self, other: "Sum") -> None:
        """Add another sum."""
        self.events += other.events
        for name, value in other.totals.items():
            self.totals[name] = add_exactly(self.totals.get(name, Decimal(0)), value, 1)

    def to_json(self) -> dict[str, Any]:
        """Return the sum for programs."""
        totals = {name: to_json_number(total) for name, total in self.totals.items()}
        return {"events": self.events, "totals": totals}
