"""Add up billable events: their number, and the totals of their numeric properties."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from typing import Any, NamedTuple

from segment_to_hyperline.mapping.arithmetic import to_decimal
from segment_to_hyperline.text import (
    LINE_LENGTH,
    align_and_wrap,
    format_count,
    make_printable,
)

# Limits so that a file of any size fits into memory. Events beyond the first
# `MAX_GROUPS` groups are added up as one group; further properties have no total.
MAX_GROUPS = 10_000
MAX_TOTALS = 50
_MAX_LINES = 40
_MAX_DIGITS = 21

# Precise enough for the longest numbers that an event can contain.
_EXACT = Context(prec=10_000)


class UsageGroup(NamedTuple):
    """Events that are added up together."""

    event_type: str
    """Their `event_type` in Hyperline."""
    customer_id: str
    """Their customer, by the id that the mapping sends."""


OTHERS = UsageGroup("(others)", "(others)")


class Usage:
    """What the events of a group add up to."""

    def __init__(self) -> None:
        self.events = 0
        """The number of events."""
        self.totals: dict[str, Decimal] = {}
        """The total of each numeric property, by its name."""

    def __eq__(self, other: object) -> bool:
        """Return whether *other* has the same number of events and totals."""
        return isinstance(other, Usage) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment] # it is mutable

    def __str__(self) -> str:
        """Return the usage for people: `12 events  revenue 240.5, seats 3`."""
        return f"{format_count(self.events, 'event')}  {self.list_totals()}".rstrip()

    def list_totals(self) -> str:
        """Return the totals for people: `revenue 240.5, seats 3`."""
        return ", ".join(
            f"{make_printable(name)} {format_number(total)}"
            for name, total in self.totals.items()
        )

    def add(self, record: Mapping[str, Any]) -> None:
        """Add an event's *record*."""
        self.events += 1
        for name, value in record.items():
            has_total = name in self.totals or len(self.totals) < MAX_TOTALS
            if has_total and type(value) in (int, float):
                total = self.totals.get(name, Decimal(0))
                self.totals[name] = add_exactly(total, to_decimal(value))

    def to_json(self) -> dict[str, Any]:
        """Return the usage for programs."""
        totals = {name: to_json_number(n) for name, n in self.totals.items()}
        return {"events": self.events, "totals": totals}


class UsageTable:
    """The usage of each group.

    *known* is the set of groups that are not among the `OTHERS`. Tables that are
    compared share it.
    """

    def __init__(self, known: set[UsageGroup]) -> None:
        self._known = known
        self._usage: defaultdict[UsageGroup, Usage] = defaultdict(Usage)

    def __getitem__(self, group: UsageGroup) -> Usage:
        """Return the usage of *group*, which may be empty."""
        return self._usage[group] if group in self._usage else Usage()

    def __iter__(self) -> Iterator[UsageGroup]:
        """Yield the groups with usage."""
        return iter(self._usage)

    def find_group(self, event_type: str, customer_id: str) -> UsageGroup:
        """Return the group of the events of a type and a customer."""
        group = UsageGroup(event_type, customer_id)
        if group not in self._known and len(self._known) >= MAX_GROUPS:
            return OTHERS
        self._known.add(group)
        return group

    def add(self, group: UsageGroup, record: Mapping[str, Any]) -> None:
        """Add the *record* of a billable event to a *group* from `find_group`."""
        self._usage[group].add(record)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the usage of each group for programs."""
        return [
            group._asdict() | usage.to_json() for group, usage in self._usage.items()
        ]

    def lines(self) -> Iterator[str]:
        """Yield a line for each group, those with the most events first."""
        groups = sorted(self._usage, key=lambda group: -self._usage[group].events)
        rows = [(*map(make_printable, group), str(self[group])) for group in groups]
        yield from align_and_wrap(rows[:_MAX_LINES], LINE_LENGTH)
        if rows[_MAX_LINES:]:
            yield f"and {len(rows) - _MAX_LINES:,} more; --json lists them"


def add_exactly(total: Decimal, value: Decimal, times: int = 1) -> Decimal:
    """Return *total* and *times* the *value*, without rounding."""
    return _EXACT.fma(value, times, total)


def format_number(number: Decimal) -> str:
    """Return *number* with all its digits, or rounded if it has very many."""
    short = number.normalize(_EXACT)
    if abs(short.adjusted()) < _MAX_DIGITS:
        return f"{short:,f}"
    return str(Context(prec=_MAX_DIGITS).plus(short).normalize())


def to_json_number(number: Decimal) -> int | float | str:
    """Return *number* as a JSON number, or as a string if it overflows a float."""
    if abs(number.adjusted()) > sys.float_info.max_10_exp:
        return str(number)
    is_whole = number == number.to_integral_value(context=_EXACT)
    return int(number) if is_whole else float(number)
