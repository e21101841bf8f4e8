"""Compare what the aggregators should count with what Hyperline counts.

Pure: no network, no environment, no clock.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from segment_to_hyperline.closing.aggregation import describe_filter, takes
from segment_to_hyperline.closing.statements import CountedUsage
from segment_to_hyperline.mapping.arithmetic import to_decimal
from segment_to_hyperline.preview.usage import add_exactly, format_number
from segment_to_hyperline.reconciliation.api.core.aggregators import (
    COUNT,
    SUM,
    Aggregator,
)
from segment_to_hyperline.reconciliation.api.core.usage import CustomerUsage
from segment_to_hyperline.text import format_count

# Hyperline's totals are binary floating-point numbers, which are added one by one. The
# error is in proportion to the sum of the magnitudes.
_PRECISION = Decimal("1e-12")


class Tally:
    """What an aggregator should count of a customer's events."""

    def __init__(self) -> None:
        self.events = 0
        self.total = Decimal(0)
        # The sum of the numbers without their signs.
        self.magnitude = Decimal(0)
        # Of the events, how many don't have the property that is summed.
        self.lacking = 0
        # Of the events, in how many it is something else than a number.
        self.odd = 0
        # How many events the filter may or may not take.
        self.undecided = 0

    def add(self, aggregator: Aggregator, record: Mapping[str, Any]) -> None:
        """Add an event, if the filter of *aggregator* takes it."""
        is_taken = takes(aggregator, record)
        self.undecided += is_taken is None
        if not is_taken:
            return
        self.events += 1
        if aggregator.operation == COUNT:
            self.total += 1
        elif aggregator.operation == SUM:
            value = record.get(aggregator.property)
            if isinstance(value, int | float) and not isinstance(value, bool):
                number = to_decimal(value)
                self.total = add_exactly(self.total, number)
                self.magnitude = add_exactly(self.magnitude, abs(number))
            else:
                self.lacking += value is None
                self.odd += value is not None


class Tallies:
    """What *aggregators* should count, by customer."""

    def __init__(self, aggregators: Sequence[Aggregator]) -> None:
        self._by_type: dict[str, list[Aggregator]] = defaultdict(list)
        for aggregator in aggregators:
            self._by_type[aggregator.entity].append(aggregator)
        # By customer and the id of the aggregator.
        self._tallies: dict[str, dict[str, Tally]] = defaultdict(
            lambda: defaultdict(Tally)
        )
        self._aggregators = sorted(aggregators, key=lambda each: (each.name, each.id))

    def add(self, customer: str, event_type: str, record: Mapping[str, Any]) -> None:
        """Add an event that a customer should be billed for."""
        for aggregator in self._by_type.get(event_type, ()):
            self._tallies[customer][aggregator.id].add(aggregator, record)

    def compare(
        self, customer: str, usage: Mapping[str, CustomerUsage]
    ) -> Iterator[CountedUsage]:
        """Yield what Hyperline counts of a customer's events, by aggregator.

        What it counts of other events is too much.
        """
        tallies = self._tallies.get(customer, {})
        for aggregator in self._aggregators:
            tally, actual = tallies.get(aggregator.id), usage.get(aggregator.id)
            if tally:
                yield compare(aggregator, tally, actual)
            elif actual and actual.events:
                counted = compare(aggregator, Tally(), actual)
                # A formula can be about several types.
                yield counted._replace(problem="") if counted.not_checked else counted

    def list_unread(self, customer: str, reason: str) -> Iterator[CountedUsage]:
        """Yield the same, if Hyperline's usage can't be read for this *reason*."""
        for counted in self.compare(customer, {}):
            yield counted._replace(problem="", not_checked=reason)


def compare(
    aggregator: Aggregator, tally: Tally, usage: CustomerUsage | None
) -> CountedUsage:
    """Return what Hyperline counts, and whether it is what it should count.

    *usage* is None if Hyperline has none.
    """
    actual = usage or CustomerUsage(Decimal(0), 0)
    is_known = aggregator.operation in (COUNT, SUM)
    not_checked = _find_doubt(aggregator, tally)
    problems = (
        [] if tally.undecided else list(_find_problems(aggregator, tally, actual))
    )
    return CountedUsage(
        aggregator.name,
        aggregator.unit,
        tally.events,
        tally.total if is_known else None,
        actual.events,
        actual.total,
        "; ".join(problems),
        not_checked,
    )


def _find_doubt(aggregator: Aggregator, tally: Tally) -> str:
    """Return why something can't be compared, or an empty text."""
    if tally.undecided:
        return f"the filter ({describe_filter(aggregator)}) can't be evaluated"
    if aggregator.operation not in (COUNT, SUM):
        return f"the total is computed by a {aggregator.operation or 'formula'}"
    if tally.odd:
        return f"{aggregator.property} isn't a number in {_count(tally.odd)}"
    return ""


def _find_problems(
    aggregator: Aggregator, tally: Tally, actual: CustomerUsage
) -> Iterator[str]:
    # It isn't documented whether an event without the property is counted.
    fewest = tally.events - tally.lacking - tally.odd
    if not fewest <= actual.events <= tally.events:
        yield f"counts {_count(actual.events)} instead of {tally.events:,}"
    is_exact = aggregator.operation in (COUNT, SUM) and not tally.odd
    if is_exact and not _is_close(actual.total, tally):
        totals = format_number(actual.total), format_number(tally.total)
        yield f"adds up to {totals[0]} instead of {totals[1]}"
    if tally.lacking:
        yield f"{_count(tally.lacking)} without {aggregator.property} add nothing"


def _is_close(actual: Decimal, tally: Tally) -> bool:
    return abs(add_exactly(actual, tally.total, -1)) <= _PRECISION * tally.magnitude


def _count(number: int) -> str:
    return format_count(number, "event")
