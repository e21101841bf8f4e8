"""Closing a month reports every kind of difference, by customer and with the sums."""

from collections.abc import Callable
from typing import Any

import pytest

from local_stack.fake_hyperline import OddRow, find_customer_id
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.closing.invoicing import (
    FILTERED,
    LATE,
    NO_AGGREGATOR,
    NO_INVOICE,
    NO_PRODUCT,
    NO_SUBSCRIPTION,
    UNKNOWN,
)
from segment_to_hyperline.closing.reading import Zone
from segment_to_hyperline.closing.statements import MonthReport, Statement
from tests.segment_to_hyperline.closing.world import (
    END,
    EVENTS,
    REPORTS,
    SEATS,
    START,
    World,
    event,
)

ACME = find_customer_id("acme")


def find(report: MonthReport, customer: str) -> Statement:
    """Return the statement of a customer."""
    return next(each for each in report.statements if each.customer == customer)


def list_stored(report: MonthReport) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Return how many are missing, different and unexpected, where any is."""
    return {
        (s.customer, u.event_type): (u.missing, u.different, u.unexpected)
        for s in report.statements
        for u in s.stored
        if any((u.missing, u.different, u.unexpected))
    }


def list_counted(report: MonthReport) -> dict[tuple[str, str], str]:
    """Return what is counted differently."""
    return {
        (s.customer, c.aggregator): c.problem
        for s in report.statements
        for c in s.counted
        if c.problem
    }


def list_missing(report: MonthReport) -> dict[tuple[str, str, str], tuple[int, float]]:
    """Return the number of events on no invoice, and the sum of their seats."""
    return {
        (s.customer, n.event_type, n.reason): (
            n.amount.events,
            float(n.amount.totals["seats"]),
        )
        for s in report.statements
        for n in s.not_invoiced
    }


def seats(*numbers: int) -> int:
    """Return the sum of the seats of events."""
    return sum(EVENTS[number]["properties"]["seats"] for number in numbers)


def list_numbers(customer: str, event_type: str) -> list[int]:
    """Return the numbers of the events of a customer and a type."""
    return [
        number
        for number, each in enumerate(EVENTS)
        if (each["userId"], each["event"]) == (customer, event_type)
    ]


def test_a_month_without_differences_is_right(world: World) -> None:
    """In all three steps, with the sums of each customer."""
    world.issue()

    report = world.create_report()

    assert report.summary == (
        "January 2026: 180 events sent, all stored, counted and invoiced."
    )
    assert report.closing.startswith("The month is closed")
    steps = report.stored, report.counted, report.invoiced
    assert steps == ((0, []), (0, []), (0, []))
    assert [s.customer for s in report.statements] == ["acme", "globex", "initech"]
    acme = find(report, "acme")
    assert not acme.has_differences
    assert acme.hyperline_id == ACME
    own = list_numbers("acme", SEATS)
    _, usage = acme.stored
    assert usage.event_type == SEATS
    assert usage.sent.to_json() == usage.stored.to_json()
    assert usage.sent.to_json() == {
        "events": len(own),
        "totals": {"seats": seats(*own)},
    }
    reports, counted = acme.counted
    assert (counted.aggregator, counted.unit) == ("Seats", "seat")
    assert counted.expected_count == counted.actual_count == len(own)
    assert counted.expected_total == counted.actual_total == seats(*own)
    assert reports.actual_total == len(list_numbers("acme", REPORTS))
    (invoice,) = acme.invoices
    assert (invoice.id, invoice.status) == ("inv_acme", "to_pay")
    assert invoice.events == 60
    assert sum(day.sent for day in report.days) == 180
    assert [day.day for day in report.days][:31] == [
        f"2026-01-{number:02}" for number in range(1, 32)
    ]
    assert all(day.sent == day.stored for day in report.days)


def test_missing_different_and_unexpected_events_are_reported(world: World) -> None:
    """By customer, with what was sent and what is stored."""
    first, second, third = list_numbers("globex", SEATS)[:3]
    world.delete(first)
    world.alter(second, record={"id": f"m-{second}", "seats": 100, "plan": "pro"})
    world.bill(event(third, messageId="m-other"))

    report = world.create_report()

    assert report.stored.differences == 3
    assert list_stored(report) == {("globex", SEATS): (1, 1, 1)}
    assert report.statements[0].customer == "globex"
    usage = report.statements[0].stored[1]
    stored = seats(*list_numbers("globex", SEATS)) - seats(first, second) + 100
    assert usage.stored.totals["seats"] == stored + seats(third)
    assert "1 missing, 1 different, 1 unexpected" in report.summary
    assert list_counted(report) == {
        ("globex", "Seats"): (
            f"adds up to {stored + seats(third):,} instead of"
            f" {seats(*list_numbers('globex', SEATS)):,}"
        )
    }


def test_an_event_of_another_customer_is_reported_under_both(world: World) -> None:
    """It is different, unexpected for the wrong one, and counted there."""
    number = list_numbers("acme", SEATS)[0]
    world.alter(number, customer_id="initech")

    report = world.create_report()

    assert list_stored(report) == {
        ("acme", SEATS): (0, 1, 0),
        ("initech", SEATS): (0, 0, 1),
    }
    assert len(report.findings) == 1
    assert set(list_counted(report)) == {("acme", "Seats"), ("initech", "Seats")}


def test_the_month_is_that_of_the_invoicing_entity(world: World) -> None:
    """Its first and last instant decide, for each customer."""
    world.core.add_entity("ent_tokyo", "Asia/Tokyo", 10, is_default=False)
    world.core.customers[0] |= {"invoicing_entity_id": "ent_tokyo"}
    times = {
        "paris-before": ("globex", "2025-12-31T22:59:59.999Z"),
        "paris-first": ("globex", "2025-12-31T23:00:00.000Z"),
        "paris-last": ("globex", "2026-01-31T22:59:59.999Z"),
        "paris-after": ("globex", "2026-01-31T23:00:00.000Z"),
        "tokyo-before": ("acme", "2025-12-31T14:59:59.999Z"),
        "tokyo-first": ("acme", "2025-12-31T15:00:00.000Z"),
        "tokyo-last": ("acme", "2026-01-31T14:59:59.999Z"),
        "tokyo-after": ("acme", "2026-01-31T15:00:00.000Z"),
    }
    world.events += [
        event(0, messageId=name, userId=customer, timestamp=time, event="Border")
        for name, (customer, time) in times.items()
    ]

    report = world.create_report()

    assert list_stored(report) == {
        ("acme", "Border"): (2, 0, 0),
        ("globex", "Border"): (2, 0, 0),
    }
    assert {f.record_id for f in report.findings} == {
        *("paris-first", "paris-last", "tokyo-first", "tokyo-last")
    }
    acme = find(report, "acme")
    assert acme.time_zone == "Asia/Tokyo"
    (note,) = acme.notes
    assert note == (
        "Invoice inv_acme is for 2026-01-01 to 2026-02-01, and not for the calendar"
        " month"
    )
    assert report.closing.endswith("Make the report again after that.")
    assert "2026-02-11" in report.closing
    border = {day.day: day.sent for day in report.days if day.event_type == "Border"}
    assert {day for day, sent in border.items() if sent} == {"2026-01-01", "2026-01-31"}


def test_the_zone_and_the_grace_period_can_be_given(world: World) -> None:
    """Then the key needs no access to the invoicing entities."""
    world.core.forbidden.add("/v1/invoicing-entities")
    world.events.append(event(0, messageId="m-utc", timestamp="2025-12-31T23:30:00Z"))

    report = world.create_report(Zone("UTC", 40))

    assert report.stored.differences == 0
    assert find(report, "acme").time_zone == "UTC"
    assert "2026-03-13" in report.closing
    with pytest.raises(InputError, match=r"scope.*give the time zone"):
        world.create_report()
    with pytest.raises(InputError, match="'Mars' is unknown"):
        world.create_report(Zone("Mars", 0))


def plant_late(world: World) -> dict[Any, Any]:
    """Events that were received after the invoice was issued."""
    world.issue()
    numbers = list_numbers("acme", SEATS)[:2]
    for number in numbers:
        world.events.append(
            event(number, messageId=f"late-{number}", receivedAt="2026-02-05T00:00:00Z")
        )
    world.bill(*world.events[-2:])
    return {("acme", SEATS, LATE): (2, seats(*numbers))}


def plant_no_aggregator(world: World) -> dict[Any, Any]:
    """A type that nothing counts."""
    world.core.aggregators.pop()
    world.core.links["itm_reports"] = ()
    return {
        (customer, REPORTS, NO_AGGREGATOR): (
            len(list_numbers(customer, REPORTS)),
            seats(*list_numbers(customer, REPORTS)),
        )
        for customer in ("acme", "globex", "initech")
    }


def plant_no_product(world: World) -> dict[Any, Any]:
    """A type whose aggregator nothing uses."""
    world.core.links["itm_reports"] = ()
    return {
        (customer, REPORTS, NO_PRODUCT): (
            len(list_numbers(customer, REPORTS)),
            seats(*list_numbers(customer, REPORTS)),
        )
        for customer in ("acme", "globex", "initech")
    }


def plant_no_subscription(world: World) -> dict[Any, Any]:
    """A customer without a subscription to one of the products."""
    subscribed = world.core.subscriptions[1]
    subscribed["products"] = subscribed["products"][:1]
    numbers = list_numbers("globex", REPORTS)
    return {
        ("globex", REPORTS, NO_SUBSCRIPTION): (len(numbers), seats(*numbers)),
    }


def plant_filter(world: World) -> dict[Any, Any]:
    """A filter that excludes a value that is sent."""
    condition = {"property": "plan", "operator": "equals", "value": "pro"}
    world.core.aggregators[0] |= {
        "where": {"conditional": "and", "fields": [condition]}
    }
    numbers = list_numbers("initech", SEATS)[:3]
    for number in numbers:
        changed = event(number)
        changed["properties"] = changed["properties"] | {"plan": "free"}
        world.events[number] = changed
        world.bill(changed)
    reason = f"{FILTERED}: plan equals 'pro'"
    return {("initech", SEATS, reason): (3, seats(*numbers))}


def plant_no_invoice(world: World) -> dict[Any, Any]:
    """A customer whose invoice ends before the month does."""
    world.core.invoices.pop(0)
    world.core.add_invoice("inv_acme", ACME, START, "2026-01-15T23:00:00Z")
    late = [n for n in range(180) if EVENTS[n]["timestamp"] > "2026-01-15T23"]
    return {
        ("acme", name, NO_INVOICE): (
            len([n for n in list_numbers("acme", name) if n in late]),
            seats(*[n for n in list_numbers("acme", name) if n in late]),
        )
        for name in (REPORTS, SEATS)
    }


PLANTS = [
    plant_late,
    plant_no_aggregator,
    plant_no_product,
    plant_no_subscription,
    plant_filter,
    plant_no_invoice,
]


@pytest.mark.parametrize("plant", PLANTS)
def test_events_on_no_invoice_are_reported(
    world: World, plant: Callable[[World], dict[Any, Any]]
) -> None:
    """With the reason, by customer, and with the sums; everything else is invoiced."""
    expected = plant(world)
    if plant is not plant_late:
        world.issue()

    report = world.create_report()

    assert list_missing(report) == expected
    number = sum(events for events, _ in expected.values())
    assert report.invoiced == (number, [])
    assert report.stored.differences == 0
    assert f"{number} on no invoice" in report.summary
    assert {s.customer for s in report.statements if s.has_differences} == {
        customer for customer, *_ in expected
    }


def test_a_type_that_nothing_invoices_is_in_the_summary(world: World) -> None:
    """It would be lost revenue of all customers."""
    plant_no_aggregator(world)
    world.issue()

    report = world.create_report()

    assert report.uninvoiced_types == [REPORTS]
    assert report.summary == (
        "January 2026: 180 events sent, 90 on no invoice, and nothing invoices Report"
        " Sent."
    )


def test_many_types_that_nothing_invoices_are_cut_off(world: World) -> None:
    """The report lists all of them."""
    for number in range(5):
        added = event(number, messageId=f"m-type-{number}", event=f"Type {number}")
        world.events.append(added)
        world.bill(added)
    world.issue()

    report = world.create_report()

    assert report.uninvoiced_types == [f"Type {number}" for number in range(5)]
    assert report.summary.endswith(
        "5 on no invoice, and nothing invoices Type 0, Type 1, Type 2 and 2 more."
    )


def test_a_summed_property_that_is_missing_in_some_records_is_reported(
    world: World,
) -> None:
    """These events are invoiced, and add nothing."""
    numbers = list_numbers("acme", SEATS)[:2]
    for number in numbers:
        world.events[number] = event(number, properties={"plan": "pro"})
        world.bill(world.events[number])

    report = world.create_report()

    assert list_counted(report) == {
        ("acme", "Seats"): "2 events without seats add nothing"
    }
    assert report.counted.differences == 1
    assert "1 total counted differently" in report.summary


def test_what_an_aggregator_counts_can_differ(world: World) -> None:
    """For example because of what another application has written."""
    condition = {"property": "seats", "operator": "gt", "value": 3}
    world.core.aggregators[0] |= {
        "where": {"conditional": "and", "fields": [condition]}
    }
    world.core.operators["gt"] = lambda value, wanted: value >= wanted

    problems = list_counted(world.create_report())

    own = [n for n in list_numbers("acme", SEATS) if seats(n) > 3]
    more = [n for n in list_numbers("acme", SEATS) if seats(n) >= 3]
    assert problems["acme", "Seats"] == (
        f"counts {len(more)} events instead of {len(own)};"
        f" adds up to {seats(*more)} instead of {seats(*own)}"
    )


def test_only_the_count_of_a_formula_is_compared(world: World) -> None:
    """The report says so."""
    world.core.aggregators[0] |= {"operation": "sql_formula"}
    world.core.formula_totals[ACME, "agg_seats"] = 12.5

    report = world.create_report()

    assert list_counted(report) == {}
    seats_usage = find(report, "acme").counted[1]
    assert seats_usage.expected_total is None
    assert float(seats_usage.actual_total or 0) == 12.5
    assert report.counted.not_checked == [
        "Seats: the total is computed by a sql_formula"
    ]


def test_a_filter_with_an_unknown_operator_is_not_checked(world: World) -> None:
    """Nothing is claimed about it."""
    condition = {"property": "plan", "operator": "resembles", "value": "pro"}
    world.core.aggregators[0] |= {
        "where": {"conditional": "and", "fields": [condition]}
    }
    world.core.operators["resembles"] = lambda *_: True

    report = world.create_report()

    assert list_counted(report) == {}
    assert list_missing(report) == {}
    assert report.counted.not_checked == [
        "Seats: the filter (plan resembles 'pro') can't be evaluated"
    ]


def test_what_the_key_may_not_read_is_not_checked(world: World) -> None:
    """The report says what, and what scope the key needs; the rest is checked."""
    world.core.forbidden |= {
        *("/v1/aggregators", "/v1/products", "/v2/subscriptions", "/v2/invoices")
    }
    world.delete(0)

    report = world.create_report()

    assert report.stored.differences == 1
    (reason,) = report.counted.not_checked
    assert "403) to read aggregators: add the scope" in reason
    assert [each.partition(":")[0] for each in report.invoiced.not_checked] == [
        *("invoices", "aggregators", "products", "subscriptions")
    ]
    assert report.counted.differences == report.invoiced.differences == 0
    assert report.uninvoiced_types == []
    assert report.closing == (
        "The grace period ended on 2026-02-04. Whether the invoices are issued was not"
        " checked."
    )


def test_without_invoices_what_cannot_be_on_one_is_reported(world: World) -> None:
    """It needs aggregators only."""
    expected = plant_no_aggregator(world)
    world.core.forbidden.add("/v2/invoices")

    report = world.create_report()

    assert list_missing(report) == expected
    assert report.uninvoiced_types == [REPORTS]


def test_an_invoice_that_cannot_be_read_is_not_checked(world: World) -> None:
    """Nothing is claimed about its events."""
    world.issue()
    world.core.forbidden.add("/v1/invoices/inv_acme/")

    report = world.create_report()

    assert list_missing(report) == {}
    (reason,) = report.invoiced.not_checked
    assert reason.startswith("inv_acme: ")


def test_products_without_a_link_to_aggregators_prove_nothing(world: World) -> None:
    """The reason is unknown then."""
    plant_no_product(world)
    world.core.shows_links = False

    report = world.create_report()

    assert {reason for *_, reason in list_missing(report)} == {UNKNOWN}


def test_a_usage_that_cannot_be_read_is_not_checked(world: World) -> None:
    """For this customer."""
    world.core.forbidden.add(f"/v1/customers/{ACME}/")

    report = world.create_report()

    assert report.counted.differences == 0
    assert all(each.not_checked for each in find(report, "acme").counted)
    assert not any(each.not_checked for each in find(report, "globex").counted)


def test_the_month_can_be_open(world: World) -> None:
    """Then its report says until when."""
    world.events = [event(n, timestamp="2026-02-03T10:00:00Z") for n in range(3)]
    world.hyperline.store.clear()
    world.bill(*world.events)
    for name in ("acme", "globex", "initech"):
        world.core.add_invoice(
            f"inv_{name}_2",
            find_customer_id(name),
            END,
            "2026-02-28T23:00:00Z",
            status="open",
        )

    report = world.create_report(month="2026-02")

    assert report.closing == (
        "The month isn't closed: its invoices can change until 2026-03-04. Make the"
        " report again after that."
    )
    assert report.invoiced == (
        0,
        ["3 invoices aren't issued, and can change (open)"],
    )
    assert report.summary == (
        "February 2026: 3 events sent, all stored and counted. Not checked completely:"
        " invoiced."
    )


def test_a_subscription_of_another_period_is_noted(world: World) -> None:
    """Also if the invoices can't be read."""
    world.core.forbidden.add("/v2/invoices")
    for subscription, start in zip(
        world.core.subscriptions, ("15T23:00", "31T23:00", "31T22:00"), strict=True
    ):
        subscription["current_period_started_at"] = f"2025-12-{start}:00.000Z"
        subscription["current_period_ends_at"] = "2026-01-15T22:59:59.999Z"

    report = world.create_report()

    begin = "The subscription's period is"
    end = "to 2026-01-15, and not a calendar month"
    assert [list(statement.notes) for statement in report.statements] == [
        [f"{begin} 2025-12-16 {end}"],
        [],
        [f"{begin} 2025-12-31 {end}"],
    ]


def test_a_row_whose_time_cannot_be_read_is_reported(world: World) -> None:
    """In the month that it was found in."""
    content = {
        "id": "evt_odd",
        "event_type": SEATS,
        "timestamp": "soon",
        "customer_id": ACME,
        "record_id": "m-odd",
        "record": {"id": "m-odd"},
    }
    world.hyperline.rows.odd.append(OddRow(SEATS, 1_767_268_800_000_000, content))
    world.core.forbidden |= {"/v2/invoices", f"/v1/customers/{ACME}/"}

    report = world.create_report()

    assert list_stored(report) == {("acme", SEATS): (0, 0, 1)}


def test_a_customer_that_hyperline_does_not_know_is_not_counted(world: World) -> None:
    """Its events are missing, and its name is that of the mapping."""
    world.events.append(event(0, messageId="m-nobody", userId="nobody"))

    report = world.create_report()

    assert list_stored(report) == {("nobody", SEATS): (1, 0, 0)}
    nobody = find(report, "nobody")
    assert nobody.hyperline_id == ""
    assert [each.not_checked for each in nobody.counted] == [
        "the customer isn't known in Hyperline"
    ]
    assert list_counted(report) == {}


def test_without_subscriptions_a_reason_is_unknown(world: World) -> None:
    """The product alone doesn't tell."""
    plant_no_subscription(world)
    world.core.forbidden.add("/v2/subscriptions")

    assert {reason for *_, reason in list_missing(world.create_report())} == {UNKNOWN}
