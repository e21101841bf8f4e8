"""The tables of a month's report are read right by a spreadsheet program."""

import csv
import io
from decimal import Decimal

import pytest

from segment_to_hyperline.closing.tables import list_tables, write_table
from segment_to_hyperline.reconciliation.api.customers import Customers
from tests.segment_to_hyperline.closing.test_close import (
    ACME,
    list_numbers,
    plant_late,
    seats,
)
from tests.segment_to_hyperline.closing.world import EVENTS, SEATS, World, event

type Tables = dict[str, list[list[str]]]


def read(content: str) -> list[list[str]]:
    """Return the rows of a file, as a spreadsheet program reads it."""
    data = content.encode("utf-8")
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.fixture
def tables(world: World) -> Tables:
    """The tables of a month with differences."""
    plant_late(world)
    first, second = list_numbers("globex", SEATS)[:2]
    world.delete(first)
    world.alter(second, record={"id": f"m-{second}", "seats": 2.5, "plan": "pro"})
    world.events.append(event(5, messageId="m-page", type="page"))
    report = world.create_report()
    return {
        name: read(text) for name, text in list_tables(report, Customers({})).items()
    }


def test_customers_have_a_row_for_each_type(tables: Tables) -> None:
    """With totals in the last row."""
    header, *rows, total = tables["customers.csv"]

    assert header[:4] == ["customer", "hyperline_id", "event_type", "sent"]
    assert len(rows) == 6
    assert ["acme", ACME, SEATS, "32", "32", "0", "0", "0"] in rows
    globex = next(row for row in rows if row[0] == "globex" and row[2] == SEATS)
    assert globex[3:] == ["30", "29", "1", "1", "0"]
    assert total == ["total", "", "", "182", "181", "1", "1", "0"]


def test_totals_of_properties_have_all_digits(tables: Tables) -> None:
    """As decimal numbers."""
    rows = tables["properties.csv"]
    first, second = list_numbers("globex", SEATS)[:2]
    sent = seats(*list_numbers("globex", SEATS))
    stored = sent - seats(first, second) + 2.5

    assert ["globex", SEATS, "seats", str(sent), str(stored)] in rows


def test_each_day_is_a_date(tables: Tables) -> None:
    """All days are there."""
    header, *rows, total = tables["days.csv"]

    assert header == ["day", "event_type", "sent", "billed"]
    assert [row[0] for row in rows[:31]] == [f"2026-01-{n:02}" for n in range(1, 32)]
    assert total == ["total", "", "182", "181"]
    assert sum(int(row[2]) for row in rows) == 182


def test_counts_invoices_and_what_is_on_none_are_tables(tables: Tables) -> None:
    """With what they refer to."""
    numbers = list_numbers("acme", SEATS)[:2]
    counted = next(r for r in tables["aggregators.csv"] if r[:2] == ["globex", "Seats"])
    invoice = tables["invoices.csv"][1]
    late = [row for row in tables["not-invoiced.csv"] if row[0] == "acme"]

    assert "instead of" in counted[7]
    assert invoice[:4] == ["acme", "inv_acme", "INV-1", "to_pay"]
    assert invoice[4:] == [
        "2025-12-31T23:00:00.000Z",
        "2026-01-31T22:59:59.999Z",
        "2026-02-03T23:00:00.000Z",
        "60",
    ]
    reason = "received after the invoice was issued"
    assert late == [
        ["acme", SEATS, reason, "2", "", ""],
        ["acme", SEATS, reason, "", "seats", str(seats(*numbers))],
    ]


def test_differences_have_their_fields(tables: Tables) -> None:
    """With what was expected, and what Hyperline has."""
    header, different, missing = tables["differences.csv"]
    first, second = list_numbers("globex", SEATS)[:2]

    assert header[0] == "kind"
    assert missing[:3] == ["missing", SEATS, f"m-{first}"]
    assert missing[3].startswith(EVENTS[first]["timestamp"][:19])
    assert different[:3] == ["different", SEATS, f"m-{second}"]
    assert different[6] == f'{{"record.seats": [{seats(second)}, 2.5]}}'


def test_what_is_not_billable_has_a_reason(tables: Tables) -> None:
    """And a total."""
    assert tables["not-billable.csv"] == [
        ["outcome", "reason", "events"],
        ["filtered", "no rule matches", "1"],
        ["total", "", "1"],
    ]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
        ("+1", "'+1"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1+1", "'  =1+1"),
        ("\t=1", "' =1"),
        ("\r\n@x", "'  @x"),
        ("a=1", "a=1"),
        ("a\nb\0c", "a b c"),
        ('say "x", y', 'say "x", y'),
        ("\ud800", " "),
        ("\u202egnp", " gnp"),
        ("é", "é"),
        (-2, "-2"),
        (Decimal("-2.50"), "-2.50"),
        (Decimal("0.3"), "0.3"),
        (Decimal(10) ** 20, "100000000000000000000"),
        (Decimal("1E+3"), "1000"),
        (None, ""),
        (0, "0"),
    ],
)
def test_a_cell_is_shown_as_it_is(cell: str | int | Decimal | None, shown: str) -> None:
    """No text is a formula, and numbers are numbers."""
    content = write_table(["name"], [(cell, "end")])

    assert read(content) == [["name"], [shown, "end"]]
    assert content.endswith("\r\n")
