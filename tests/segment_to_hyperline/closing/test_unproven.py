"""What was not proven never reads as right, and every difference is in a statement."""

import pytest

from local_stack.fake_hyperline import OddRow, find_customer_id
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.closing.invoicing import UNKNOWN
from segment_to_hyperline.closing.reading import Zone
from tests.segment_to_hyperline.closing.test_close import (
    ACME,
    find,
    list_counted,
    list_missing,
    list_stored,
    seats,
)
from tests.segment_to_hyperline.closing.world import (
    REPORTS,
    SEATS,
    World,
    event,
)

PLAN = {"property": "plan", "operator": "in", "value": ["pro", "team"]}


def test_the_terminal_says_what_was_not_checked(world: World) -> None:
    """With the reasons, and another exit status."""
    world.issue()
    world.core.forbidden |= {"/v2/customers", "/v1/aggregators"}

    done = world.close()

    assert done.exit_code == 3
    summary, _, *reasons, report = done.stdout.splitlines()
    assert summary == (
        "January 2026: 180 events sent. Not checked completely: stored, counted and"
        " invoiced."
    )
    assert [reason.split(": ")[:2] for reason in reasons] == [
        ["Not checked", "customers"],
        ["Not checked", "aggregators"],
        ["Not checked", "aggregators"],
    ]
    assert report.startswith("Report: ")
    assert done.stderr == "Incomplete: not everything could be checked.\n"


def test_many_reasons_are_cut_off(world: World) -> None:
    """The report has all."""
    world.issue()
    for number in range(12):
        world.core.add_aggregator(f"agg_{number}", SEATS, "sql_formula")

    done = world.close()

    lines = done.stdout.splitlines()
    assert sum(line.startswith("Not checked: ") for line in lines) == 11
    assert lines[-2] == "Not checked: 2 more"


def test_a_difference_counts_more_than_what_was_not_checked(world: World) -> None:
    """The exit status is that of differences."""
    world.delete(0)

    done = world.close()

    assert done.exit_code == 1
    assert done.stdout.startswith(
        "January 2026: 180 events sent, 1 missing, 1 total counted differently. Not"
        " checked completely: invoiced.\n"
    )


def test_an_event_that_cannot_be_billed_is_a_difference(world: World) -> None:
    """Nobody pays for it; one that no rule matches is not meant to be billed."""
    world.issue()
    world.events += [
        event(0, messageId="m-nobody", userId=None),
        event(0, messageId="m-page", type="page"),
        event(0, messageId="m-march", userId=None, timestamp="2026-03-01T00:00:00Z"),
    ]

    report = world.create_report()

    assert report.summary == "January 2026: 180 events sent, 1 that can't be billed."
    assert report.stored.differences == 1


def test_customers_named_by_hyperlines_ids_have_their_own_month(world: World) -> None:
    """Their invoicing entity is read too."""
    world.core.add_entity("ent_ny", "America/New_York", 3, is_default=False)
    world.core.customers[0]["invoicing_entity_id"] = "ent_ny"
    world.events = [
        event(0, userId=ACME),
        event(0, messageId="m-edge", userId=ACME, timestamp="2026-02-01T02:00:00Z"),
    ]
    world.hyperline.store.clear()
    world.bill(world.events[0])

    report = world.create_report()

    acme = find(report, "acme")
    assert acme.time_zone == "America/New_York"
    assert list_stored(report) == {("acme", SEATS): (1, 0, 0)}


def test_a_customer_of_an_unknown_entity_is_not_checked(world: World) -> None:
    """Its month can begin at another time."""
    world.issue()
    world.core.customers[0]["invoicing_entity_id"] = "ent_gone"

    report = world.create_report()

    (reason,) = report.stored.not_checked
    assert reason == (
        "customers: the month of 1 customer: the invoicing entity ent_gone isn't among"
        " those of Hyperline"
    )
    assert world.create_report(Zone("Europe/Paris", 3)).stored.not_checked == []


def test_a_grace_period_that_cannot_be_one_is_an_error(world: World) -> None:
    """Whether the month is closed would be wrong."""
    world.issue()
    world.core.invoicing_entities[0]["invoice_grace_period_duration"] = -40

    with pytest.raises(InputError, match="-40 days is not from 0 to 365: give another"):
        world.create_report()
    assert "since 2026-02-02" in world.create_report(Zone(None, 1)).closing


def test_a_given_time_zone_replaces_that_of_the_entities(world: World) -> None:
    """Their grace periods remain."""
    world.core.invoicing_entities[0]["invoice_grace_period_duration"] = 20
    report = world.create_report(Zone("Asia/Tokyo"))

    assert {s.time_zone for s in report.statements} == {"Asia/Tokyo"}
    assert "2026-02-21" in report.closing


def test_an_event_that_cannot_be_looked_up_is_missing(world: World) -> None:
    """Nobody knows that it is billed."""
    world.events.append(event(0, messageId="m,1"))

    report = world.create_report()

    assert [finding.kind for finding in report.findings] == ["unchecked"]
    assert list_stored(report) == {("acme", SEATS): (1, 0, 0)}
    assert "1 missing" in report.summary


def test_an_event_that_was_moved_to_the_month_is_different(world: World) -> None:
    """Although it was sent for another one."""
    moved = event(0, messageId="m-moved", timestamp="2026-02-10T00:00:00.000Z")
    world.events.append(moved)
    world.bill(moved | {"timestamp": "2026-01-10T00:00:00.000Z"})

    report = world.create_report()

    assert list_stored(report) == {("acme", SEATS): (0, 1, 0)}
    usage = find(report, "acme").stored[1]
    assert (usage.sent.events, usage.stored.events) == (30, 31)


def test_an_event_of_a_later_month_can_be_in_the_month_of_another_customer(
    world: World,
) -> None:
    """It is February for one, and still January for the other."""
    world.core.add_entity("ent_ny", "America/New_York", 3, is_default=False)
    world.core.customers[1]["invoicing_entity_id"] = "ent_ny"
    edge = event(0, messageId="m-edge", timestamp="2026-02-01T02:00:00.000Z")
    world.events.append(edge)
    world.bill(edge | {"userId": "globex"})

    report = world.create_report()

    assert list_stored(report) == {("globex", SEATS): (0, 0, 1)}
    assert [finding.kind for finding in report.findings] == ["different"]


def test_a_copy_of_another_customer_is_in_its_statement(world: World) -> None:
    """As it is counted there."""
    for number, customer in enumerate(("acme", "globex")):
        content = {
            "id": f"evt_{number}",
            "event_type": SEATS,
            "timestamp": "2026-01-05T00:00:00.000Z",
            "customer_id": find_customer_id(customer),
            "record_id": "m-copy",
            "record": {"id": "m-copy", "seats": 1},
        }
        world.hyperline.rows.odd.append(OddRow(SEATS, 1_767_571_200_000_000, content))

    report = world.create_report()

    assert list_stored(report) == {
        ("acme", SEATS): (0, 0, 1),
        ("globex", SEATS): (0, 0, 1),
    }


def test_an_unexpected_event_is_a_difference_of_its_customer(world: World) -> None:
    """Also if nothing counts or invoices it."""
    world.issue()
    world.core.forbidden |= {"/v2/invoices", "/v1/aggregators"}
    world.bill(event(0, messageId="m-extra"))

    report = world.create_report()

    assert [s.customer for s in report.statements if s.has_differences] == ["acme"]


def test_only_the_unread_invoice_of_the_customer_excuses_an_event(
    world: World,
) -> None:
    """Those of others don't."""
    world.delete(0)
    world.issue()
    world.bill(event(0))
    world.core.forbidden.add("/v1/invoices/inv_globex/")

    report = world.create_report()

    assert list_missing(report) == {("acme", SEATS, UNKNOWN): (1, seats(0))}


def test_an_id_with_a_lone_surrogate_is_found_on_its_invoice(world: World) -> None:
    """It is stored as escaped text."""
    content = {
        "id": "evt_\ud800",
        "event_type": REPORTS,
        "timestamp": "2026-01-05T00:00:00.000Z",
        "customer_id": ACME,
        "record_id": "m-odd",
        "record": {"id": "m-odd"},
    }
    world.hyperline.rows.odd.append(OddRow(REPORTS, 1_767_571_200_000_000, content))
    world.issue()

    report = world.create_report()

    assert report.invoiced == (0, [])
    assert find(report, "acme").invoices[0].events == 61


def test_a_filter_that_cannot_be_evaluated_excludes_nothing(world: World) -> None:
    """The reason is another one."""
    where = {"property": "plan", "operator": "resembles", "value": "pro"}
    world.core.aggregators[0]["where"] = {"conditional": "and", "fields": [where]}
    world.issue()

    reasons = {reason for *_, reason in list_missing(world.create_report())}

    assert reasons == {UNKNOWN}


def test_a_filter_can_have_a_list(world: World) -> None:
    """For `in`."""
    world.core.aggregators[0]["where"] = {"conditional": "and", "fields": [PLAN]}
    world.issue()

    report = world.create_report()

    assert report.summary.endswith("all stored, counted and invoiced.")


def test_an_invoice_that_ends_seconds_before_the_month_is_noted(world: World) -> None:
    """A millisecond is the end of the month."""
    world.core.invoices[0]["period_ends_at"] = "2026-01-31T22:59:59.000Z"

    report = world.create_report()

    assert [len(statement.notes) for statement in report.statements] == [1, 0, 0]


@pytest.mark.parametrize("path", ["/v1/aggregators", "/v1/products"])
def test_a_list_that_is_not_complete_makes_no_report(world: World, path: str) -> None:
    """What it doesn't show could be missing on invoices."""
    world.issue()
    route = world.core.find_list

    def cut(asked: str, query: dict[str, str]) -> object:
        first = {"take": "1", "skip": "0"}
        return route(asked, query | first if asked == path else query)

    world.core.find_list = cut  # type: ignore[method-assign, assignment] # a fake
    done = world.close()

    assert done.exit_code == 3
    assert "Hyperline counts 2 rows, but returns 1 of them" in done.stderr
    assert not world.report.exists()


def test_a_usage_that_has_an_aggregator_twice_is_not_checked(world: World) -> None:
    """Which of them is right isn't known."""
    world.issue()
    usage = world.core.list_usage
    world.core.list_usage = lambda *a: usage(*a) * 2  # type: ignore[method-assign] # a fake

    report = world.create_report()

    assert list_counted(report) == {}
    assert all("isn't as documented" in r for r in report.counted.not_checked)
    assert "Not checked completely: counted" in report.summary


def test_a_customer_whose_usage_cannot_be_read_is_not_checked(world: World) -> None:
    """For each of its aggregators, in the summary too."""
    world.issue()
    world.core.forbidden.add(f"/v1/customers/{ACME}/")

    report = world.create_report()

    assert len(find(report, "acme").counted) == 2
    assert len(report.counted.not_checked) == 2
    assert "all stored and invoiced. Not checked completely: counted." in report.summary


def test_customers_can_be_swapped_without_their_scope(world: World) -> None:
    """The summary says that this isn't checked."""
    swapped = {"acme": "globex", "globex": "acme", "initech": "initech"}
    world.hyperline.store.clear()
    world.bill(*[e | {"userId": swapped[e["userId"]]} for e in world.events])
    world.issue()
    world.core.forbidden.add("/v2/customers")

    report = world.create_report()

    assert "Not checked completely: stored" in report.summary
    assert not any(statement.has_differences for statement in report.statements)
