"""Add up what was sent and what is stored, by customer, event type and day."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain, groupby
from typing import Any

from segment_to_hyperline.closing.months import Month, Months
from segment_to_hyperline.closing.rows import StoredRow
from segment_to_hyperline.closing.statements import Day, StoredUsage
from segment_to_hyperline.hyperline.billable_event import read_fields
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.rows import read_milliseconds
from segment_to_hyperline.reconciliation.expected.versions import Expected
from segment_to_hyperline.reconciliation.findings import (
    DIFFERENT,
    MISSING,
    UNCHECKED,
    UNEXPECTED,
    Finding,
)
from segment_to_hyperline.reconciliation.sums import Sum

# Unchecked events count as missing, because nobody knows that they are billed.
_KINDS = {UNCHECKED: MISSING}


class Usage:
    """The events of a month, in which each customer has a month of its own.

    A customer is Hyperline's id if it is known, and else the id that the mapping sends.
    """

    def __init__(self, customers: Customers, months: Months) -> None:
        self._customers = customers
        self._months = months
        self._sent: dict[tuple[str, str], Sum] = defaultdict(Sum)
        self._stored: dict[tuple[str, str], Sum] = defaultdict(Sum)
        self._days: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._findings: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def identify(self, name: str) -> str:
        """Return the customer of a name that the mapping sends."""
        return self._customers.find_id(name) or name

    def find_name(self, customer: str) -> str:
        """Return the name that the mapping sends for a customer."""
        return self._customers.find_name(customer)

    def find_month(self, customer: str) -> Month:
        """Return the month of a customer."""
        return self._months.find(customer)

    def add_sent(self, event: Expected) -> Mapping[str, Any] | None:
        """Add what was sent, and return its record, if the customer's month has it."""
        customer = self.identify(event.customer)
        month = self.find_month(customer)
        if not month.has(event.time):
            return None
        record = read_fields(event.body)["record"]
        self._sent[customer, event.event_type].add(record)
        self._days[event.event_type, month.find_day(event.time)]["sent"] += 1
        return record

    def add_stored(self, row: StoredRow) -> None:
        """Add what is stored, if it is in the customer's month."""
        month = self.find_month(row.customer)
        if not month.has(row.time):
            return
        self._stored[row.customer, row.event_type].add(row.record)
        self._days[row.event_type, month.find_day(row.time)]["stored"] += 1

    def add_finding(self, finding: Finding) -> bool:
        """Add a difference, and return whether it is in the customer's month.

        An event that was moved from one month to another is in both, and one of another
        customer is unexpected there.
        """
        own = self.identify(finding.customer)
        kind = _KINDS.get(finding.kind, finding.kind)
        kinds = {
            customer: kind if customer == own else UNEXPECTED
            for customer, moment in _list_places(finding, own)
            # The time of a row that can't be read is 0.
            if moment == 0 or self.find_month(customer).has(moment)
        }
        for customer, found in kinds.items():
            self._findings[customer, finding.event_type][found] += 1
        return bool(kinds)

    def list_months(self) -> list[Month]:
        """Return the months of the invoicing entities."""
        return list(self._months)

    def find_range(self) -> tuple[int, int]:
        """Return when the first month begins, and when the last one ends."""
        months = self.list_months()
        return min(m.start for m in months), max(m.end for m in months)

    def has(self, row: StoredRow) -> bool:
        """Return whether a row is in the customer's month."""
        return self.find_month(row.customer).has(row.time)

    def list_customers(self) -> list[str]:
        """Return all customers with events in their month."""
        return sorted({customer for customer, _ in self._list_keys()})

    def list_usage(self) -> Iterator[tuple[str, list[StoredUsage]]]:
        """Yield each customer with events in its month, and the usage by event type."""
        keys = sorted(set(self._list_keys()))
        for customer, same in groupby(keys, lambda key: key[0]):
            yield customer, [self._create_usage(key) for key in same]

    def list_days(self) -> Iterator[Day]:
        """Yield the numbers of each day by event type."""
        month = next(iter(self._months))
        for event_type in sorted({event_type for _, event_type in self._list_keys()}):
            for position in range(len(month.days)):
                day = month.format_day(position)
                counts = self._days.get((event_type, day), Counter())
                yield Day(day, event_type, counts["sent"], counts["stored"])

    def _create_usage(self, key: tuple[str, str]) -> StoredUsage:
        counts = self._findings.get(key, Counter())
        return StoredUsage(
            key[1],
            self._sent.get(key, Sum()),
            self._stored.get(key, Sum()),
            *(counts[kind] for kind in (MISSING, DIFFERENT, UNEXPECTED)),
        )

    def _list_keys(self) -> Iterator[tuple[str, str]]:
        return chain(self._sent, self._stored, self._findings)


def _list_places(finding: Finding, customer: str) -> Iterator[tuple[str, int]]:
    """Yield where Hyperline should have an event of a *customer*, and where it has it.

    That is a customer, and a time in milliseconds since 1970 or 0.
    """
    yield customer, finding.time
    details = finding.details
    if finding.kind == DIFFERENT:
        moved = details.get("timestamp", (None, None))[1]
        other = details.get("customer_id", (None, None))[1]
        yield other or customer, read_milliseconds(moved) or finding.time
    for time, other, _ in details.get("others", (None, ()))[1]:
        yield other or customer, read_milliseconds(time) or 0
