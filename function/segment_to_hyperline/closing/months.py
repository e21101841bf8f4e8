"""When a month begins and ends: it is that of the customer's invoicing entity.

Pure: no network, no environment, no clock.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.reconciliation.api.core.entities import Entity
from segment_to_hyperline.text import format_count

MAX_GRACE_DAYS = 365
# With these, no time is outside of the calendar, nor before 1970.
_FIRST_YEAR, _LAST_YEAR = 1971, 9990
_NO_MONTH = "{} is not a month such as 2026-01"
# Times that exist in all time zones, in milliseconds since 1970.
_FIRST, _LAST = -62_135_424_000_000, 253_402_128_000_000


class Month(NamedTuple):
    """A month in a time zone, in milliseconds since 1970."""

    name: str
    """Such as `2026-01`."""
    time_zone: str
    days: Sequence[int]
    """The first instant of each day."""
    end: int
    """The first instant of the next month."""
    closed_at: int
    """The end of the grace period, after which invoices don't change."""

    @property
    def start(self) -> int:
        """Return the first instant of the month."""
        return self.days[0]

    def has(self, moment: int) -> bool:
        """Return whether *moment* is in this month."""
        return self.start <= moment < self.end

    def find_day(self, moment: int) -> str:
        """Return the date of a moment of this month."""
        return self.format_day(bisect_right(self.days, moment) - 1)

    def format_day(self, position: int) -> str:
        """Return the date of a day by its position, which begins at 0."""
        return f"{self.name}-{position + 1:02}"


class Months:
    """The month *name* of each customer.

    *members* has the id of the invoicing entity by Hyperline's id of the customer.
    Others belong to the default entity. Raises `InputError`.
    """

    def __init__(
        self, name: str, entities: Sequence[Entity], members: Mapping[str, str]
    ) -> None:
        self._members = members
        self._months = {
            entity.id: create_month(name, entity.time_zone, entity.grace_days)
            for entity in entities
        }
        default = next((e for e in entities if e.is_default), entities[0])
        self._default = self._months[default.id]
        self._has_default = default.is_default or len(entities) == 1
        # Whether the month was given by hand.
        self._is_for_all = not any(entity.id for entity in entities)

    def __iter__(self) -> Iterator[Month]:
        """Yield the months of the entities."""
        yield from self._months.values()

    def find(self, customer_id: str) -> Month:
        """Return the month of a customer."""
        return self._months.get(self._members.get(customer_id, ""), self._default)

    def list_doubts(self, customer_ids: Iterable[str]) -> Iterator[str]:
        """Yield why the months of *customer_ids* may be others."""
        unknown = Counter(
            entity
            for customer_id in customer_ids
            for entity in [self._members.get(customer_id)]
            if not self._is_for_all
            and (entity not in self._months if entity else not self._has_default)
        )
        for entity, number in unknown.items():
            name = f"the invoicing entity {entity}" if entity else "the default entity"
            customers = format_count(number, "customer")
            yield f"the month of {customers}: {name} isn't among those of Hyperline"


def create_month(name: str, time_zone: str, grace_days: int) -> Month:
    """Return the month *name*, such as `2026-01`; raises `InputError`."""
    try:
        first = date.fromisoformat(f"{name}-01")
    except ValueError as error:
        raise InputError(_NO_MONTH.format(name)) from error
    if not (_FIRST_YEAR <= first.year <= _LAST_YEAR and name == f"{first:%Y-%m}"):
        raise InputError(_NO_MONTH.format(name))
    if not 0 <= grace_days <= MAX_GRACE_DAYS:
        raise InputError(
            f"the grace period of {grace_days} days is not from 0 to {MAX_GRACE_DAYS}:"
            " give another one with --grace-days"
        )
    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"the time zone '{time_zone}' is unknown: give another one, such as"
            " Europe/Paris, with --time-zone"
        ) from error
    following = (first + timedelta(days=31)).replace(day=1)
    dates = [first + timedelta(days=n) for n in range((following - first).days)]
    days = [_find_midnight(day, zone) for day in dates]
    closed = _find_midnight(following + timedelta(days=grace_days), zone)
    return Month(name, time_zone, days, _find_midnight(following, zone), closed)


def to_local_time(moment: int, time_zone: str) -> datetime:
    """Return a time in milliseconds since 1970 as it is shown in a time zone.

    An invoice without an end can have the last year of the calendar.
    """
    seconds = min(max(moment, _FIRST), _LAST) // 1_000
    return datetime.fromtimestamp(seconds, ZoneInfo(time_zone)).replace(tzinfo=None)


def _find_midnight(day: date, zone: ZoneInfo) -> int:
    moment = datetime.combine(day, time(), zone).astimezone(UTC)
    return round(moment.timestamp() * 1_000)
