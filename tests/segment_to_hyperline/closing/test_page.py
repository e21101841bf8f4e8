"""The page of a month's report is complete, self-contained and safe."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest

from segment_to_hyperline.closing import page
from segment_to_hyperline.closing.charts import draw_charts
from segment_to_hyperline.closing.markup import show, table
from segment_to_hyperline.closing.page import render_page
from segment_to_hyperline.closing.statements import Day, MonthReport, Step
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.findings import MISSING, UNEXPECTED, Finding
from tests.segment_to_hyperline.closing.test_close import list_numbers, plant_late
from tests.segment_to_hyperline.closing.world import CUSTOMERS, REPORTS, SEATS, World

VOID = {"meta"}
HOSTILE = [
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "\u202eabc",
    "line\nbreak\ttab\0",
    "x" * 10_000,
    "&amp;",
    "\ud800",
    "",
]


class Parsed(HTMLParser):
    """A page, whose elements are all closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags = Counter[str]()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Record an element."""
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """Check that it is the last one that was opened."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Record a text."""
        if self._open and self._open[-1] != "style":
            self.texts.append(data)
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data


@pytest.fixture
def report(world: World) -> MonthReport:
    """A month with differences of customers, of which the second has most."""
    plant_late(world)
    first, second = list_numbers("globex", SEATS)[:2]
    world.delete(first)
    world.alter(second, record={"id": f"m-{second}", "seats": 100, "plan": "pro"})
    return world.create_report()


def parse(report: MonthReport) -> Parsed:
    """Return the page of a report."""
    return Parsed(render_page(report, Customers({})))


def test_the_page_needs_nothing_else(report: MonthReport) -> None:
    """No file, script, font or image is requested, even if a text asks for one."""
    text = render_page(report, Customers({}))
    parsed = Parsed(text)

    assert not {"script", "link", "img", "iframe", "object"} & parsed.tags.keys()
    assert "url(" not in text
    assert "@import" not in text
    links = {value for name, value in parsed.attributes if name in {"href", "src"}}
    assert all(link.startswith("#c-") for link in links)
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    assert ("charset", "utf-8") in parsed.attributes


def test_links_lead_to_statements(report: MonthReport) -> None:
    """Each customer has one."""
    parsed = parse(report)
    ids = [value for name, value in parsed.attributes if name == "id"]
    links = {value[1:] for name, value in parsed.attributes if name == "href"}

    assert len(ids) == len(set(ids)) == len(CUSTOMERS)
    assert links == set(ids)


def test_the_page_begins_with_the_result(report: MonthReport) -> None:
    """In a sentence, and by step."""
    texts = parse(report).texts
    text = " ".join(texts)

    assert report.summary in text
    assert report.closing in text
    assert "This is Hyperline's sandbox" in text
    for result in ("Stored: 2 differences", "Counted: 1 difference"):
        assert result in text
    assert "Invoiced: 4 differences" in text
    assert text.index(report.summary) < text.index("Stored:") < text.index("acme")


def test_production_has_no_warning(report: MonthReport) -> None:
    """Its invoices are real."""
    header = report.header._replace(environment="production")

    assert "sandbox" not in " ".join(parse(report._replace(header=header)).texts)


def test_what_was_not_checked_is_shown(report: MonthReport) -> None:
    """A step without differences isn't called right then."""
    unchecked = Step(0, ["invoices: no access"])
    changed = report._replace(stored=Step(0, []), counted=unchecked, invoiced=unchecked)

    text = " ".join(parse(changed).texts)

    assert "Stored: everything matches" in text
    assert "Counted: no differences in what was checked" in text
    assert "Not checked: invoices: no access" in text


def test_types_that_nothing_invoices_are_a_warning(report: MonthReport) -> None:
    """Before everything else that is listed."""
    text = " ".join(parse(report._replace(uninvoiced_types=[REPORTS])).texts)

    assert f"No event of the type {REPORTS} is on an invoice." in text


def test_customers_with_differences_are_first(report: MonthReport) -> None:
    """With their numbers, and with what is on no invoice."""
    rows = parse(report).rows
    position = rows.index(
        [
            *("customer", "event type", "sent", "billed", "missing", "different"),
            *("unexpected", "on no invoice", "wrongly invoiced"),
        ]
    )

    shown = [row[0] for row in rows[position + 1 : position + 7]]
    assert shown == ["acme"] * 2 + ["globex"] * 2 + ["initech"] * 2
    assert rows[position + 2] == ["acme", SEATS, "32", "32", "0", "0", "0", "2", "0"]
    assert rows[position + 4][4:7] == ["1", "1", "0"]


def test_a_statement_has_everything_about_a_customer(report: MonthReport) -> None:
    """Usage, totals, counts, invoices, and what is on none, with the sums."""
    rows = parse(report).rows

    assert ["Seats Added", "received after the invoice was issued", "2"] in [
        row[:3] for row in rows
    ]
    assert ["INV-1", "to_pay", "2026-01-01 00:00", "2026-01-31 23:59"] in [
        row[:4] for row in rows
    ]
    totals = next(row for row in rows if row[:2] == ["Seats Added", "seats"])
    assert totals[2] == totals[3]
    assert any(row[:2] == ["Seats", "seat"] and "instead of" in row[6] for row in rows)
    assert any(row[:2] == ["Reports", ""] and row[6] == "matches" for row in rows)


def test_each_day_has_a_bar_with_its_numbers(report: MonthReport) -> None:
    """Days that differ are marked, and are in a table."""
    texts = parse(report).texts

    for day in report.days:
        assert f"{day.day}: {day.sent} sent, {day.stored} billed" in texts
    assert texts.count("▼") == sum(day.sent != day.stored for day in report.days) == 1


def test_a_small_difference_of_many_events_is_seen() -> None:
    """The mark is there although the bars look the same."""
    days = [
        Day("2026-01-01", SEATS, 100_000, 99_997),
        Day("2026-01-02", SEATS, 1, 1),
        Day("2026-01-03", SEATS, 0, 0),
    ]

    text = draw_charts(days)

    assert text.count("▼") == 1
    assert Parsed(text).rows[1:] == [["2026-01-01", "100,000", "99,997"]]
    heights = [float(height) for height in re.findall(r' height="([\d.]+)"', text)]
    assert heights == [120, 120, 1, 1, 0, 0]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_others_are_only_text(report: MonthReport, text: str) -> None:
    """They add no element, and no attribute."""
    finding = Finding(UNEXPECTED, text, text, 0, text, text, {text: [1, 2]})
    statement = report.statements[0]
    usage = statement.stored[0]._replace(event_type=text)
    changed = report._replace(
        findings=[finding],
        uninvoiced_types=[text],
        statements=[statement._replace(customer=text, stored=[usage], notes=[text])],
        days=[Day("2026-01-01", text, 1, 2)],
    )

    parsed = parse(changed)

    assert not {"script", "img"} & parsed.tags.keys()
    assert {name for name, _ in parsed.attributes} <= {
        *("lang", "charset", "name", "content", "http-equiv", "class", "viewbox"),
        *("role", "aria-label", "x", "y", "width", "height", "scope", "href", "id"),
    }
    render_page(changed, Customers({})).encode()


def test_a_long_report_is_limited(
    report: MonthReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what the CSV files have."""
    monkeypatch.setattr(page, "MAX_STATEMENTS", 2)
    monkeypatch.setattr(page, "MAX_DIFFERENCES", 1)

    text = " ".join(parse(report).texts)

    assert "Of 3 customers, 2 are shown; the CSV files have all." in text
    assert "Of 2 differences, 1 are shown; the CSV files have all." in text


def test_findings_name_the_customer_and_the_fields(report: MonthReport) -> None:
    """Or why Hyperline has an event."""
    rows = parse(report).rows
    finding = next(f for f in report.findings if f.kind == MISSING)

    assert any(row[0] == "missing" and row[3] == finding.record_id for row in rows)
    assert any(row[0] == "different" and row[5] == "record.seats" for row in rows)


def test_an_empty_table_is_left_out() -> None:
    """And None is an empty cell."""
    rows = Parsed(table("One", ("a", "b"), [(None, "x")])).rows

    assert rows == [["a", "b"], ["", "x"]]
    assert table("Nothing", ("a",), []) == ""
    assert show(1_234) == "1,234"


def test_a_customer_without_an_id_in_hyperline_is_shown(report: MonthReport) -> None:
    """With the month, and nothing else."""
    statement = report.statements[0]._replace(hyperline_id="")

    texts = parse(report._replace(statements=[statement])).texts

    assert "2026-01-01 00:00 to 2026-02-01 00:00, Europe/Paris" in texts
