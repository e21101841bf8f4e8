"""A month is that of a time zone, with its summer time and its grace period."""

import pytest

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.closing.months import Months, create_month, to_local_time
from segment_to_hyperline.reconciliation.api.core.entities import Entity
from segment_to_hyperline.reconciliation.api.rows import (
    format_milliseconds,
    read_milliseconds,
)

HOUR = 60 * 60 * 1_000


@pytest.mark.parametrize(
    ("name", "zone", "start", "end", "days"),
    [
        ("2026-01", "UTC", "2026-01-01T00:00", "2026-02-01T00:00", 31),
        ("2026-02", "Europe/Paris", "2026-01-31T23:00", "2026-02-28T23:00", 28),
        ("2026-03", "Europe/Paris", "2026-02-28T23:00", "2026-03-31T22:00", 31),
        ("2026-10", "Europe/Paris", "2026-09-30T22:00", "2026-10-31T23:00", 31),
        ("2024-02", "America/New_York", "2024-02-01T05:00", "2024-03-01T05:00", 29),
        ("2026-12", "Pacific/Kiritimati", "2026-11-30T10:00", "2026-12-31T10:00", 31),
    ],
)
def test_a_month_begins_and_ends_at_midnight(
    name: str, zone: str, start: str, end: str, days: int
) -> None:
    """Of its time zone."""
    month = create_month(name, zone, 3)

    assert format_milliseconds(month.start) == f"{start}:00.000Z"
    assert format_milliseconds(month.end) == f"{end}:00.000Z"
    assert len(month.days) == days
    assert month.has(month.start)
    assert month.has(month.end - 1)
    assert not month.has(month.start - 1)
    assert not month.has(month.end)
    assert month.find_day(month.start) == f"{name}-01"
    assert month.find_day(month.end - 1) == f"{name}-{days}"


def test_a_day_can_have_another_length() -> None:
    """On that of the change to summer time, and back."""
    march, october = (
        create_month(n, "Europe/Paris", 0) for n in ("2026-03", "2026-10")
    )

    assert march.days[29] - march.days[28] == 23 * HOUR
    assert october.days[25] - october.days[24] == 25 * HOUR
    change = read_milliseconds("2026-03-29T22:30:00Z") or 0
    assert march.find_day(change) == "2026-03-30"


def test_the_grace_period_has_days_of_the_time_zone() -> None:
    """It begins at the end of the month."""
    month = create_month("2026-03", "Europe/Paris", 3)

    assert format_milliseconds(month.closed_at) == "2026-04-03T22:00:00.000Z"
    assert create_month("2026-03", "Europe/Paris", 0).closed_at == month.end


@pytest.mark.parametrize(
    "name",
    [
        *("", "2026", "2026-13", "2026-1", "january", "2026-01-01", "2026-W01"),
        *("0001-01", "1969-12", "9991-01", "9999-12", "\uff12\uff10\uff12\uff16-01"),
    ],
)
def test_a_month_must_be_written_as_usual(name: str) -> None:
    """The message has an example."""
    with pytest.raises(InputError, match="is not a month such as 2026-01"):
        create_month(name, "UTC", 0)


@pytest.mark.parametrize("days", [-1, 366, 10**10])
def test_a_grace_period_has_at_most_a_year(days: int) -> None:
    """It can't end before it begins, or after the calendar."""
    with pytest.raises(InputError, match="give another one with --grace-days"):
        create_month("2026-01", "UTC", days)

    assert create_month("9990-12", "Pacific/Kiritimati", 365).closed_at > 0
    assert create_month("1971-01", "Pacific/Kiritimati", 0).start > 0


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T09:00:00"),
        ("9999-12-31T23:59:59.999Z", "9999-12-30T09:00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-03T09:18:59"),
    ],
)
def test_a_time_at_the_end_of_the_calendar_is_shown(moment: str, shown: str) -> None:
    """As the nearest one that exists in all time zones."""
    milliseconds = read_milliseconds(moment)
    assert milliseconds is not None

    assert to_local_time(milliseconds, "Asia/Tokyo").isoformat() == shown


@pytest.mark.parametrize("zone", ["", "Mars", "../etc/passwd", "Europe", "a\0b"])
def test_an_unknown_time_zone_is_reported(zone: str) -> None:
    """The message has an example."""
    with pytest.raises(
        InputError, match="is unknown: give another one, such as Europe"
    ):
        create_month("2026-01", zone, 0)


def test_customers_without_an_entity_belong_to_the_default_one() -> None:
    """Or to the only one that there is."""
    entities = [
        Entity("ent_1", "", "Asia/Tokyo", 3, is_default=False),
        Entity("ent_2", "", "Europe/Paris", 3, is_default=True),
    ]
    members = {"cus_1": "ent_1", "cus_3": "ent_gone"}

    months = Months("2026-01", entities, members)

    assert months.find("cus_1").time_zone == "Asia/Tokyo"
    assert months.find("cus_2").time_zone == "Europe/Paris"
    assert months.find("cus_3").time_zone == "Europe/Paris"
    assert [month.time_zone for month in months] == ["Asia/Tokyo", "Europe/Paris"]
    only = Months("2026-01", entities[:1], {})
    assert only.find("cus_2").time_zone == "Asia/Tokyo"


def test_an_unknown_entity_leaves_doubts() -> None:
    """So does a missing default one, unless the time zone was given by hand."""
    entities = [
        Entity("ent_1", "", "Asia/Tokyo", 3, is_default=False),
        Entity("ent_2", "", "Europe/Paris", 3, is_default=True),
    ]
    members = {"cus_1": "ent_1", "cus_3": "ent_gone", "cus_4": "ent_gone"}
    customers = ["cus_1", "cus_2", "cus_3", "cus_4"]

    (doubt,) = Months("2026-01", entities, members).list_doubts(customers)

    assert doubt == (
        "the month of 2 customers: the invoicing entity ent_gone isn't among those of"
        " Hyperline"
    )
    others = [entity._replace(is_default=False) for entity in entities]
    _, other = sorted(Months("2026-01", others, members).list_doubts(customers))
    assert other.startswith("the month of 2 customers: the invoicing entity")
    given = [Entity("", "", "Europe/Paris", 3, is_default=True)]
    assert list(Months("2026-01", given, members).list_doubts(customers)) == []
