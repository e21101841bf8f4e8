"""What a backfill plans to post and delete, and what it leaves out."""

from collections.abc import Iterator

import pytest

from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.planning import Planned, Wanted
from tests.segment_to_hyperline.reconciliation.corrections import (
    NOW,
    OTHER,
    compare,
    describe,
    execute,
)
from tests.segment_to_hyperline.reconciliation.helpers import (
    DAY,
    SEATS,
    START,
    add_event,
    body,
    put,
)

EVERYTHING = Wanted(different=True, unexpected=True, old=True)


@pytest.fixture
def store() -> Iterator[Store]:
    """What the input says."""
    with Store() as store:
        yield store


def plan(
    api: FakeHyperline,
    store: Store,
    wanted: Wanted = EVERYTHING,
    now: int = NOW,
    *,
    queue: bool = False,
) -> Planned:
    """Return what is planned."""
    with compare(api, store) as situation:
        return situation.plan(wanted, now, queue=queue)[1]


def test_what_is_missing_is_posted(store: Store, ingestion: FakeHyperline) -> None:
    """With its own JSON."""
    event = body("a", START)
    add_event(store, "a", event)

    (item,) = plan(ingestion, store, Wanted()).items

    assert (item.action, item.body.encode(), item.found) == ("post", event, [])
    assert (item.event_type, item.record_id, item.message_id) == (SEATS, "a", "a")
    assert (item.time, item.customer) == (START, "customer-1")


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(different=True)])
def test_what_differs_is_overwritten_if_that_is_wanted(
    store: Store, ingestion: FakeHyperline, wanted: Wanted
) -> None:
    """Somebody may have corrected it."""
    add_event(store, "a", body("a", START))
    put(ingestion, body("a", START, seats=9))

    planned = plan(ingestion, store, wanted)

    expected = {("overwrite", SEATS, "a")} if wanted.different else set()
    assert describe(planned) == expected


def test_what_is_deleted_is_of_an_event_in_the_input(
    store: Store, ingestion: FakeHyperline
) -> None:
    """Other unexpected rows can be another writer's, unless their ids are listed."""
    first, last = body("a:0", START), body("a:1", START)
    add_event(store, "a", first, last, received_at=1)
    add_event(store, "a", first, received_at=2)
    add_event(store, "f", outcome="filtered")
    put(ingestion, first, last, body("f", START), body("foreign", START))
    ours = {("delete", SEATS, "a:1"), ("delete", SEATS, "f")}

    with compare(ingestion, store) as situation:
        nothing = situation.plan(Wanted())[1]
        deletions = situation.plan(Wanted(unexpected=True))[1]

    assert describe(nothing) == set()
    assert describe(deletions) == ours


@pytest.mark.parametrize("listed", ["foreign", "another"])
def test_listed_ids_are_deleted(
    store: Store, ingestion: FakeHyperline, listed: str
) -> None:
    """If they are unexpected."""
    add_event(store, "a", body("a", START))
    put(ingestion, body("a", START), body("foreign", START))

    planned = plan(ingestion, store, Wanted(ids={listed, "a"}))

    expected = {("delete", SEATS, "foreign")} if listed == "foreign" else set()
    assert describe(planned) == expected


def test_a_deletion_restores_what_is_right_under_the_same_id(
    store: Store, ingestion: FakeHyperline
) -> None:
    """Hyperline deletes by id, whatever the event type is."""
    right, wrong = body("a", START), body("a", START, OTHER)
    add_event(store, "a", right)
    put(ingestion, right, wrong)

    planned = plan(ingestion, store)

    assert describe(planned) == {("delete", OTHER, "a"), ("restore", SEATS, "a")}


def test_a_deletion_never_removes_what_is_not_listed(
    store: Store, ingestion: FakeHyperline
) -> None:
    """A row at another time wasn't compared, so nothing is known about it."""
    add_event(store, "f", outcome="filtered")
    put(ingestion, body("f", START), body("f", START + 9 * DAY, OTHER))

    planned = plan(ingestion, store)

    assert planned.items == []
    (left_out,) = planned.left_out
    assert left_out.reason == "another event has the same id, and would be deleted too"


def test_a_deletion_never_overwrites_what_differs(
    store: Store, ingestion: FakeHyperline
) -> None:
    """What is posted again would replace somebody's correction."""
    add_event(store, "a", body("a", START))
    put(ingestion, body("a", START, seats=9), body("a", START, OTHER))

    planned = plan(ingestion, store, Wanted(unexpected=True, old=True))

    assert planned.items == []
    assert "differs; see --different" in planned.left_out[0].reason
    everything = plan_again(ingestion)
    assert describe(everything) == {
        *{("delete", OTHER, "a"), ("restore", SEATS, "a")},
        ("overwrite", SEATS, "a"),
    }


def plan_again(api: FakeHyperline) -> Planned:
    """Return the plan with `--different`."""
    with Store() as store:
        add_event(store, "a", body("a", START))
        return plan(api, store)


def test_what_is_stored_twice_is_replaced(
    store: Store, ingestion: FakeHyperline
) -> None:
    """One of both can't be deleted."""
    add_event(store, "a", body("a", START))
    put(ingestion, body("a", START))
    ingestion.rows.repeated.add("a")

    (item,) = plan(ingestion, store).items

    assert (item.action, len(item.found)) == ("replace", 2)


@pytest.mark.parametrize("old", [False, True])
def test_old_events_are_left_out(
    store: Store, ingestion: FakeHyperline, *, old: bool
) -> None:
    """Their invoice may be closed: 3 days after them, or later."""
    add_event(store, "a", body("a", START))
    add_event(store, "b", body("b", START + 1))
    add_event(store, "f", outcome="filtered")
    put(ingestion, body("f", START))
    wanted = Wanted(unexpected=True, old=old)

    planned = plan(ingestion, store, wanted, START + 3 * DAY + 1)

    every = {("post", SEATS, "a"), ("post", SEATS, "b"), ("delete", SEATS, "f")}
    assert describe(planned) == (every if old else {("post", SEATS, "b")})
    assert {each.record_id for each in planned.left_out} == (
        set() if old else {"a", "f"}
    )


def test_ids_that_cannot_be_looked_up_are_left_out(
    store: Store, ingestion: FakeHyperline
) -> None:
    """It isn't known whether Hyperline has them at another time."""
    add_event(store, "f,1", outcome="filtered")
    put(ingestion, body("f,1", START))

    planned = plan(ingestion, store)

    assert [each.reason for each in planned.left_out] == [
        "Hyperline can't look up its id"
    ]


@pytest.mark.parametrize("queue", [False, True])
def test_the_queue_sends_all_line_items(
    store: Store, ingestion: FakeHyperline, *, queue: bool
) -> None:
    """The plan lists all of them; a post is about one."""
    items = [body(f"a:{number}", START) for number in range(3)]
    add_event(store, "a", *items)
    put(ingestion, *items[1:])

    planned = plan(ingestion, store, Wanted(), queue=queue)

    repeated = {("repeat", SEATS, "a:1"), ("repeat", SEATS, "a:2")} if queue else set()
    assert describe(planned) == {("post", SEATS, "a:0")} | repeated


@pytest.mark.parametrize("different", [False, True])
def test_the_queue_never_overwrites_a_sibling_unasked(
    store: Store, ingestion: FakeHyperline, *, different: bool
) -> None:
    """Somebody has corrected it from 1 to 99."""
    items = [body(f"a:{number}", START) for number in range(2)]
    add_event(store, "a", *items)
    put(ingestion, body("a:1", START, seats=99))

    planned = plan(ingestion, store, Wanted(different=different), queue=True)

    if different:
        expected = {("post", SEATS, "a:0"), ("overwrite", SEATS, "a:1")}
        assert describe(planned) == expected
    else:
        assert planned.items == []
        (left_out,) = planned.left_out
        assert (left_out.record_id, "differs" in left_out.reason) == ("a:1", True)


def test_a_sibling_that_cannot_be_looked_up_keeps_its_event_out(
    store: Store, ingestion: FakeHyperline
) -> None:
    """It could be in Hyperline at another time."""
    add_event(store, "a", body("a", START), body("a,1", START))

    planned = plan(ingestion, store, queue=True)

    assert planned.items == []
    assert [each.record_id for each in planned.left_out] == ["a,1"]


@pytest.mark.parametrize("old", [False, True])
def test_the_queue_bills_no_old_sibling_unasked(
    store: Store, ingestion: FakeHyperline, *, old: bool
) -> None:
    """Nor is anything else of the event sent, which the queue can't divide."""
    items = [body("a:0", START - 1), body("a:1", START)]
    add_event(store, "a", *items)

    planned = plan(ingestion, store, Wanted(old=old), START + 3 * DAY, queue=True)

    both = {("post", SEATS, "a:0"), ("post", SEATS, "a:1")}
    assert describe(planned) == (both if old else set())
    reasons = {each.record_id: each.reason for each in planned.left_out}
    assert reasons == ({} if old else {"a:0": reasons["a:0"]})
    assert old or reasons["a:0"].startswith("older than 3 days")


def test_an_old_sibling_that_is_right_keeps_nothing_out(
    store: Store, ingestion: FakeHyperline
) -> None:
    """Sending it again changes nothing."""
    items = [body("a:0", START - 1), body("a:1", START)]
    add_event(store, "a", *items)
    put(ingestion, items[0])

    planned = plan(ingestion, store, Wanted(), START + 3 * DAY, queue=True)

    assert describe(planned) == {("repeat", SEATS, "a:0"), ("post", SEATS, "a:1")}


@pytest.mark.parametrize("queue", [False, True])
def test_a_sibling_out_of_the_range_is_planned_with_the_queue_only(
    store: Store, ingestion: FakeHyperline, *, queue: bool
) -> None:
    """It wasn't compared, but it is looked up by its id."""
    inside, outside = body("a:0", START), body("a:1", START + 2 * DAY)
    wrong = body("b:1", START + 2 * DAY, seats=99)
    add_event(store, "a", inside, outside)
    add_event(store, "b", body("b:0", START), body("b:1", START + 2 * DAY))
    put(ingestion, wrong)

    planned = plan(ingestion, store, Wanted(), queue=queue)

    if queue:
        assert describe(planned) == {("post", SEATS, "a:0"), ("post", SEATS, "a:1")}
        assert [each.record_id for each in planned.left_out] == ["b:1"]
    else:
        assert describe(planned) == {("post", SEATS, "a:0"), ("post", SEATS, "b:0")}
        assert planned.left_out == []


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(("time", "stored"), [(START, START - 1), (START - 1, START)])
def test_what_was_moved_is_old_if_one_of_both_times_is(
    store: Store, ingestion: FakeHyperline, time: int, stored: int, *, old: bool
) -> None:
    """Otherwise it would be billed in a new invoice besides a closed one."""
    add_event(store, "a", body("a", time))
    put(ingestion, body("a", stored))
    wanted = Wanted(different=True, old=old)

    planned = plan(ingestion, store, wanted, START + 3 * DAY)

    assert describe(planned) == ({("overwrite", SEATS, "a")} if old else set())
    assert {each.record_id for each in planned.left_out} == (set() if old else {"a"})


def test_an_old_line_item_keeps_no_other_one_out_of_a_post(
    store: Store, ingestion: FakeHyperline
) -> None:
    """Each is posted alone."""
    add_event(store, "a", body("a:0", START), body("a:1", START))
    put(ingestion, body("a:1", START - DAY))

    planned = plan(ingestion, store, Wanted(different=True), START + 3 * DAY)

    assert describe(planned) == {("post", SEATS, "a:0")}
    assert [each.record_id for each in planned.left_out] == ["a:1"]


@pytest.mark.parametrize("old", [False, True])
def test_what_a_deletion_restores_is_not_old(
    store: Store, ingestion: FakeHyperline, *, old: bool
) -> None:
    """For a moment, it would not be in its invoice."""
    right, wrong = body("a", START - 1), body("a", START, OTHER)
    add_event(store, "a", right)
    put(ingestion, right, wrong)

    planned = plan(ingestion, store, EVERYTHING._replace(old=old), START + 3 * DAY)

    everything = {("delete", OTHER, "a"), ("restore", SEATS, "a")}
    assert describe(planned) == (everything if old else set())
    assert len(planned.left_out) == (not old)


def test_what_was_delivered_since_the_comparison_is_repeated(
    store: Store, ingestion: FakeHyperline
) -> None:
    """The plan says that nothing changes."""
    event = body("a", START)
    add_event(store, "a", event)
    with compare(ingestion, store) as situation:
        put(ingestion, event)

        planned = situation.plan(Wanted())[1]

    assert describe(planned) == {("repeat", SEATS, "a")}


def test_what_is_no_difference_any_more_is_not_deleted_as_one(
    store: Store, ingestion: FakeHyperline
) -> None:
    """Somebody has deleted the row since the comparison."""
    add_event(store, "f", outcome="filtered")
    put(ingestion, body("f", START))
    with compare(ingestion, store) as situation:
        ingestion.store.clear()
        ingestion.rows.forget()

        planned = situation.plan(EVERYTHING)[1]

    assert (planned.items, planned.left_out) == ([], [])


@pytest.mark.parametrize("outcome", ["quarantined", "not sent"])
def test_what_may_be_right_is_deleted_by_a_listed_id_only(
    store: Store, ingestion: FakeHyperline, outcome: str
) -> None:
    """The mapping can't tell, or the destination may have another name."""
    add_event(store, "a", body("a", START), received_at=1)
    add_event(store, "a", outcome=outcome, received_at=2)
    add_event(store, "b", outcome=outcome)
    put(ingestion, body("a", START), body("b", START))

    with compare(ingestion, store) as situation:
        nothing = situation.plan(EVERYTHING)[1]
        listed = situation.plan(Wanted(ids={"b", "c"}))[1]

    assert describe(nothing) == set()
    assert describe(listed) == {("delete", SEATS, "b")}
    (left_out,) = listed.left_out
    assert (left_out.record_id, left_out.reason) == (
        "c",
        "in --delete-ids, and the id of no unexpected event",
    )


def test_what_cannot_be_looked_up_is_left_out(
    store: Store, ingestion: FakeHyperline
) -> None:
    """Instead of a plan that seems to have everything."""
    add_event(store, "a,1", body("a,1", START))

    (left_out,) = plan(ingestion, store).left_out

    assert left_out.reason == "Hyperline can't look up its id"


@pytest.mark.parametrize("deletes", [False, True])
def test_ids_are_looked_up_under_the_types_that_matter(
    store: Store, ingestion: FakeHyperline, *, deletes: bool
) -> None:
    """A post is about one type; a deletion removes an id of every type."""
    add_event(store, "a", body("a", START))
    if deletes:
        put(ingestion, body("a", START), body("x", START))

    with compare(ingestion, store) as situation:
        ingestion.reads.clear()
        made, _ = situation.plan(Wanted(ids={"x"}) if deletes else Wanted())
        planning = list(ingestion.reads)
        ingestion.reads.clear()
        execute(made, ingestion)

    types = ["Other", "Seats+Added"] if deletes else ["Seats+Added"]
    for reads in (planning, ingestion.reads):
        assert [f"event_type={name}" for name in types] == sorted(
            part
            for path in reads
            for part in path.split("?")[1].split("&")
            if part.startswith("event_type=")
        )
