"""What is on an invoice is compared with what is stored, in both directions."""

from typing import Any

import pytest

from local_stack.fake_hyperline import find_customer_id
from segment_to_hyperline.closing.invoicing import (
    CHANGED,
    FOREIGN,
    LATE,
    NOT_STORED,
    OTHER_CUSTOMER,
    OTHER_TYPE,
    TWICE,
    UNCHARGED,
    UNKNOWN,
)
from segment_to_hyperline.closing.statements import MonthReport
from tests.segment_to_hyperline.closing.test_close import (
    ACME,
    find,
    list_missing,
    list_numbers,
    seats,
)
from tests.segment_to_hyperline.closing.world import (
    END,
    EVENTS,
    ISSUED_AT,
    REPORTS,
    SEATS,
    START,
    World,
    event,
)

ALL_RIGHT = "all stored, counted and invoiced"


def list_wrong(report: MonthReport) -> dict[tuple[str, str, str], tuple[int, float]]:
    """Return the number of events that are wrong on invoices, and their seats."""
    return {
        (s.customer, g.event_type, g.reason): (
            g.amount.events,
            float(g.amount.totals.get("seats", 0)),
        )
        for s in report.statements
        for g in s.wrongly_invoiced
    }


def test_an_event_that_was_corrected_after_the_issue_is_a_difference(
    world: World,
) -> None:
    """The invoice has what it was before."""
    number = list_numbers("acme", SEATS)[0]
    world.alter(number, record={"id": f"m-{number}", "seats": 50, "plan": "free"})
    world.issue()
    world.bill(EVENTS[number])

    report = world.create_report()

    assert list_wrong(report) == {("acme", SEATS, f"{CHANGED}: plan, seats"): (1, 50)}
    assert report.invoiced == (1, [])
    assert report.summary == "January 2026: 180 events sent, 1 wrongly invoiced."
    assert report.statements[0].customer == "acme"


def test_an_event_that_was_moved_after_the_issue_is_a_difference(world: World) -> None:
    """Also from another month."""
    first, second = list_numbers("acme", SEATS)[:2]
    world.alter(first, timestamp="2026-01-20T10:00:00.000Z")
    world.issue()
    world.bill(EVENTS[first])
    world.events[second] = event(second, timestamp="2026-02-10T00:00:00.000Z")
    world.bill(world.events[second])

    assert list_wrong(world.create_report()) == {
        ("acme", SEATS, f"{CHANGED}: timestamp"): (1, seats(first)),
        ("acme", SEATS, NOT_STORED): (1, seats(second)),
    }


@pytest.mark.parametrize(
    "hidden", [{"properties"}, {"timestamp"}, {"properties", "timestamp"}]
)
def test_an_invoice_that_does_not_show_its_contents_is_not_checked(
    world: World, hidden: set[str]
) -> None:
    """Nothing is claimed about them."""
    world.issue()
    world.core.hidden_event_fields = hidden
    world.bill(event(0, messageId="m-gone"))
    world.delete(1)

    report = world.create_report()

    assert report.invoiced.not_checked == [
        f"INV-{number}: Hyperline doesn't show all contents of its events"
        for number in (1, 2, 3)
    ]
    assert "Not checked completely: invoiced" in report.summary


def test_a_property_that_an_invoice_does_not_show_is_not_checked(
    world: World,
) -> None:
    """It can have been there when the invoice was issued, or not."""
    world.alter(0, record={"id": "m-0", "seats": EVENTS[0]["properties"]["seats"]})
    world.issue()
    world.bill(EVENTS[0])

    report = world.create_report()

    assert list_wrong(report) == {}
    (reason,) = report.invoiced.not_checked
    assert reason.startswith("INV-1: ")


@pytest.mark.parametrize(
    ("event_type", "reason"), [(SEATS, NOT_STORED), ("Ghost", OTHER_TYPE)]
)
def test_an_invoiced_event_that_nobody_sent_is_a_difference(
    world: World, event_type: str, reason: str
) -> None:
    """It isn't stored any more, or its type isn't compared; it can be on two lines."""
    world.core.add_aggregator("agg_ghost", "Ghost")
    for name in ("itm_ghost", "itm_ghost_2"):
        world.core.add_product(name, "Ghosts", "agg_ghost")
    world.core.add_subscription("sub_ghost", ACME, "itm_ghost", "itm_ghost_2")
    world.bill(event(0, messageId="m-ghost", event=event_type))
    world.issue()
    del world.hyperline.store[event_type, "m-ghost"]
    world.hyperline.rows.forget()

    report = world.create_report()

    assert list_wrong(report) == {("acme", event_type, reason): (1, seats(0))}
    (invoice,) = find(report, "acme").invoices
    assert invoice.events == 61


def test_a_customer_without_events_can_be_invoiced_wrongly(world: World) -> None:
    """It gets a statement nevertheless."""
    world.core.add_customer("cus_ghost", "ghost")
    world.core.add_subscription("sub_ghost", "cus_ghost", "itm_seats")
    world.core.add_invoice("inv_ghost", "cus_ghost", START, END)
    number = list_numbers("acme", SEATS)[0]
    world.alter(number, customer_id="cus_ghost")
    world.issue()
    world.core.issue("inv_ghost", ISSUED_AT)
    world.bill(EVENTS[number])

    report = world.create_report()

    assert list_wrong(report) == {
        ("ghost", SEATS, f"{FOREIGN} acme"): (1, seats(number))
    }
    assert list_missing(report) == {
        ("acme", SEATS, OTHER_CUSTOMER): (1, seats(number)),
    }
    assert find(report, "ghost").stored == ()
    assert report.uninvoiced_types == []


def test_a_parent_is_charged_for_the_events_of_its_child(world: World) -> None:
    """They are on the invoices of both."""
    number = list_numbers("acme", SEATS)[0]
    world.alter(number, customer_id="globex")
    world.core.issue("inv_globex", ISSUED_AT)
    world.bill(EVENTS[number])
    for name in ("inv_acme", "inv_initech"):
        world.core.issue(name, ISSUED_AT)
    assert list_wrong(world.create_report()) == {
        ("globex", SEATS, f"{FOREIGN} acme"): (1, seats(number))
    }

    world.core.invoices[0]["status"] = "charged_on_parent"

    assert ALL_RIGHT in world.create_report().summary


def test_an_event_that_was_moved_out_of_the_month_is_a_difference(
    world: World,
) -> None:
    """Although the month of another customer still has that time."""
    world.core.add_entity("ent_ny", "America/New_York", 3, is_default=False)
    world.core.customers[1]["invoicing_entity_id"] = "ent_ny"
    number = list_numbers("acme", SEATS)[0]
    world.issue()
    world.events[number] = event(number, timestamp="2026-02-01T02:00:00.000Z")
    world.bill(world.events[number])

    report = world.create_report()

    assert list_wrong(report) == {
        ("acme", SEATS, f"{CHANGED}: timestamp"): (1, seats(number))
    }
    assert list_missing(report) == {}


def test_what_is_not_issued_can_have_newer_events(world: World) -> None:
    """They were stored after the events were read."""
    world.bill(event(0, messageId="m-new"))
    world.issue()
    del world.hyperline.store[SEATS, "m-new"]
    world.hyperline.rows.forget()
    world.core.invoices[0]["status"] = "grace_period"

    report = world.create_report()

    assert report.invoiced == (
        0,
        ["1 invoice isn't issued, and can change (grace_period)"],
    )
    assert find(report, "acme").invoices[0].events == 61


def test_an_aggregator_that_excludes_an_event_is_not_missing(world: World) -> None:
    """Only those that take it must be invoiced."""
    free = {"property": "plan", "operator": "equals", "value": "free"}
    where = {"conditional": "and", "fields": [free]}
    world.core.add_aggregator("agg_free", SEATS, name="Free", where=where)
    world.issue()

    assert ALL_RIGHT in world.create_report().summary


def test_an_aggregator_that_counts_another_type_is_a_difference(world: World) -> None:
    """The invoice may not be readable."""
    world.core.add_aggregator("agg_ghost", "Ghost", name="Ghosts")
    world.bill(event(0, messageId="m-ghost", event="Ghost"))
    world.issue()

    (ghosts, *_) = find(world.create_report(), "acme").counted

    assert ghosts.problem == "counts 1 event instead of 0; adds up to 1 instead of 0"


def test_an_event_on_two_issued_invoices_is_a_difference(world: World) -> None:
    """Both show how many events they have."""
    world.core.add_invoice("inv_acme_2", ACME, START, END)
    world.issue()
    world.core.issue("inv_acme_2", ISSUED_AT)

    report = world.create_report()

    assert list_wrong(report) == {
        ("acme", name, TWICE): (30, seats(*list_numbers("acme", name)))
        for name in (REPORTS, SEATS)
    }
    assert [invoice.events for invoice in find(report, "acme").invoices] == [60, 60]


@pytest.mark.parametrize(
    "changes",
    [
        *({"status": "voided"}, {"status": "draft"}, {"type": "child_invoice_ref"}),
        {"status": "charged_on_parent"},
    ],
)
def test_an_event_can_be_on_an_invoice_that_does_not_count(
    world: World, changes: dict[str, Any]
) -> None:
    """It was replaced, is charged by a parent, or isn't issued."""
    world.core.add_invoice("inv_acme_2", ACME, START, END)
    world.issue()
    world.core.issue("inv_acme_2", ISSUED_AT)
    world.core.invoices[-1] |= changes

    assert list_wrong(world.create_report()) == {}


@pytest.mark.parametrize(
    "credited",
    [
        {"original_invoice_id": "inv_acme"},
        {"original_invoice_number": "INV-1"},
        {},
    ],
)
def test_a_credited_invoice_is_not_checked(
    world: World, credited: dict[str, Any]
) -> None:
    """Another invoice may replace it."""
    world.issue()
    world.core.add_invoice(
        *("cn_1", ACME, START, END),
        **{"type": "credit_note", "status": "paid", "number": "CN-1", **credited},
    )
    world.core.add_invoice("inv_acme_2", ACME, START, END)
    world.core.issue("inv_acme_2", ISSUED_AT)

    report = world.create_report()

    assert list_wrong(report) == {}
    assert (
        "INV-1: the credit note CN-1 may take it back, and Hyperline doesn't show for"
        " which events"
    ) in report.invoiced.not_checked


@pytest.mark.parametrize(
    "changes",
    [
        {"original_invoice_id": "inv_other"},
        {"issued_at": "2025-12-01T00:00:00.000Z"},
        {"status": "voided"},
    ],
)
def test_other_credit_notes_have_no_effect(
    world: World, changes: dict[str, Any]
) -> None:
    """They are for another invoice or from an earlier month, or were voided."""
    world.issue()
    world.core.add_invoice(
        *("cn_1", ACME, START, END), type="credit_note", status="paid"
    )
    world.core.invoices[-1] |= changes

    assert ALL_RIGHT in world.create_report().summary


def test_an_aggregator_that_is_on_no_invoice_is_a_difference(world: World) -> None:
    """The events are on the invoices for another one."""
    world.core.add_aggregator("agg_adds", SEATS, name="Adds")
    world.core.add_product("itm_adds", "Adds", "agg_adds")
    world.issue()

    report = world.create_report()

    reason = f"{UNCHARGED} Adds"
    assert list_wrong(report) == {
        (name, SEATS, reason): (30, seats(*list_numbers(name, SEATS)))
        for name in ("acme", "globex", "initech")
    }


def test_a_customer_without_the_subscription_has_nothing_to_pay(world: World) -> None:
    """An aggregator that others are charged for is not missing."""
    world.core.add_aggregator("agg_adds", SEATS, name="Adds")
    world.core.add_product("itm_adds", "Adds", "agg_adds")
    world.core.add_subscription("sub_adds", ACME, "itm_adds")
    world.issue()
    assert ALL_RIGHT in world.create_report().summary

    world.core.add_subscription("sub_new", find_customer_id("globex"), "itm_adds")

    assert list_wrong(world.create_report()) == {
        ("globex", SEATS, f"{UNCHARGED} Adds"): (
            30,
            seats(*list_numbers("globex", SEATS)),
        )
    }


@pytest.mark.parametrize("hidden", ["links", "billing"])
def test_which_aggregator_is_invoiced_can_be_unknown(world: World, hidden: str) -> None:
    """Then it isn't checked."""
    world.core.add_aggregator("agg_adds", SEATS, name="Adds")
    world.core.add_product("itm_adds", "Adds", "agg_adds")
    world.issue()
    world.core.shows_links = hidden != "links"
    world.core.hidden_event_fields = {hidden}

    report = world.create_report()

    assert list_wrong(report) == {}
    (reason,) = report.invoiced.not_checked
    assert reason == (
        f"{SEATS}: several aggregators count it, and Hyperline doesn't show which of"
        " them are invoiced"
    )


def test_invoices_that_are_not_issued_do_not_close_the_month(world: World) -> None:
    """The grace period may be over."""
    world.issue()
    world.core.invoices[0] |= {"status": "draft", "issued_at": None}

    report = world.create_report()

    assert report.closing == (
        "The month isn't closed: 1 invoice isn't issued, although the grace period"
        " ended on 2026-02-04. Make the report again after that."
    )
    assert report.invoiced == (0, ["1 invoice isn't issued, and can change (draft)"])
    assert ALL_RIGHT not in report.summary


def test_an_event_that_was_delivered_meanwhile_must_be_invoiced_too(
    world: World,
) -> None:
    """It was found when the differences were looked up again."""
    world.delete(0)
    world.issue()
    deliver_at_second_look(world, EVENTS[0])

    report = world.create_report()

    assert report.stored.differences == 0
    assert list_missing(report) == {("acme", SEATS, UNKNOWN): (1, seats(0))}
    usage = find(report, "acme").stored[1]
    assert usage.stored.to_json() == usage.sent.to_json()


def test_an_event_that_was_corrected_meanwhile_is_shown_as_it_is(world: World) -> None:
    """What it was before is on the invoice."""
    world.alter(0, record={"id": "m-0", "seats": 50, "plan": "pro"})
    world.issue()
    deliver_at_second_look(world, EVENTS[0])

    report = world.create_report()

    assert report.stored.differences == 0
    assert list_wrong(report) == {("acme", SEATS, f"{CHANGED}: seats"): (1, 50)}
    usage = find(report, "acme").stored[1]
    assert usage.stored.to_json() == usage.sent.to_json()


def deliver_at_second_look(world: World, *events: dict[str, Any]) -> None:
    """Store *events* when their ids are looked up."""

    def deliver() -> None:
        if "record_id__in" in world.hyperline.reads[-1]:
            world.bill(*events)

    world.hyperline.rows.before_read = deliver


def test_an_invoice_in_advance_explains_nothing(world: World) -> None:
    """An event that was received before the last invoice isn't late."""
    world.delete(0)
    world.issue()
    world.core.add_invoice("inv_fee", ACME, START, END)
    world.core.issue("inv_fee", START)
    world.core.subscriptions[0]["products"] = []
    world.bill(EVENTS[0])
    world.core.links["itm_seats"] = ()

    (((_, _, reason), _),) = list_missing(world.create_report()).items()

    assert reason == "no product uses the aggregator"


@pytest.mark.parametrize(
    ("received_at", "reason"),
    [(ISSUED_AT, UNKNOWN), ("2026-02-03T23:00:00.001Z", LATE)],
)
def test_an_event_is_late_after_the_instant_of_the_issue(
    world: World, received_at: str, reason: str
) -> None:
    """Not at it, and whatever was issued in advance."""
    world.issue()
    world.core.add_invoice("inv_fee", ACME, START, END)
    world.core.issue("inv_fee", START)
    late = event(0, messageId="m-late", receivedAt=received_at)
    world.events.append(late)
    world.bill(late)

    assert set(list_missing(world.create_report())) == {("acme", SEATS, reason)}


def test_an_invoice_can_be_without_an_end(world: World) -> None:
    """Its time is shown as far as the calendar goes."""
    world.issue()
    world.core.invoices[0]["period_ends_at"] = "9999-12-31T23:59:59.999Z"
    world.core.invoices[1]["period_starts_at"] = "0001-01-01T00:00:00.000Z"
    world.core.invoices[2]["issued_at"] = "9999-12-31T23:59:59.000Z"
    period = {
        "current_period_started_at": "2026-01-15T00:00:00.000Z",
        "current_period_ends_at": "9999-12-31T23:59:59.999Z",
    }
    for subscription in world.core.subscriptions:
        subscription.update(period)

    done = world.close()

    assert done.exit_code == 0
    assert "9999-12-" in (world.report / "report.html").read_text()
