"""What Hyperline would do with waiting events now, and until when it matters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from segment_to_hyperline.closing.months import create_month
from segment_to_hyperline.quarantine.groups import Group
from segment_to_hyperline.quarantine.waiting import UNKNOWN
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.core.aggregators import (
    SUM,
    Aggregator,
    read_aggregators,
)
from segment_to_hyperline.reconciliation.api.core.entities import Entity, read_entities
from segment_to_hyperline.reconciliation.api.customers import Customers, find_customers

_DAY = 24 * 60 * 60


class Check:
    """What the core API says about *groups*; raises as `Client.get`."""

    def __init__(self, core: Client, groups: Sequence[Group]) -> None:
        names = {group.customer for group in groups} - {UNKNOWN}
        self._customers: Customers = find_customers(core, names)
        self._aggregators: list[Aggregator] = read_aggregators(core)
        self._entities: list[Entity] = read_entities(core)

    def describe(self, group: Group, now: float) -> dict[str, Any]:
        """Return the fields of *group* that Hyperline knows."""
        customer = self._customers.find_id(group.customer)
        outlook = group.outlook
        if customer is None and group.customer != UNKNOWN:
            missing = f"Hyperline has no customer {group.customer}"
            is_mapped = any(event.verdict.billable for event in group.events)
            before = "would fail again: " if is_mapped else f"{outlook}, and "
            outlook = f"{before}{missing}"
        return {
            "now": outlook,
            "sums": self._sum(group),
            "closed_in_days": self._count_days(group, customer, now),
        }

    def _sum(self, group: Group) -> dict[str, float]:
        """Return the sum of each property that Hyperline adds up.

        What the mapping can't bill isn't in it.
        """
        sums: dict[str, float] = {}
        for event in {e.element.text: e for e in group.events}.values():
            for billable in event.verdict.billable:
                fields = billable.fields()
                for name in self._find_properties(fields["event_type"]):
                    value = fields["record"].get(name)
                    if isinstance(value, int | float):
                        sums[name] = sums.get(name, 0) + value
        return sums

    def _find_properties(self, event_type: str) -> set[str]:
        return {
            each.property
            for each in self._aggregators
            if each.entity == event_type and each.operation == SUM and each.property
        }

    def _count_days(
        self, group: Group, customer: str | None, now: float
    ) -> float | None:
        """Return in how many days the invoice of the oldest event is closed.

        The periods of invoices are taken for months.
        """
        if not group.times or not self._entities:
            return None
        own = self._customers.entities.get(customer or "")
        default = next((e for e in self._entities if e.is_default), self._entities[0])
        entity = next((e for e in self._entities if e.id == own), default)
        day = datetime.fromtimestamp(min(group.times), UTC)
        month = create_month(f"{day:%Y-%m}", entity.time_zone, entity.grace_days)
        return round((month.closed_at / 1_000 - now) / _DAY, 1)
