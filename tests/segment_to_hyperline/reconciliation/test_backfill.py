"""Plans are carried out exactly, and can be repeated after any interruption."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.api.failures import AccessError
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.planning import Wanted
from tests.segment_to_hyperline.reconciliation.corrections import (
    OTHER,
    BreakingHyperline,
    Content,
    compare,
    execute,
    read,
)
from tests.segment_to_hyperline.reconciliation.helpers import (
    DAY,
    SEATS,
    START,
    add_event,
    body,
    create_events,
    put,
)

KINDS = [
    *("equal", "missing", "different", "moved", "foreign", "copied", "removed item"),
    *("filtered", "other type", "two types", "unknown row", "listed"),
]
EVERYTHING = [*KINDS, *KINDS]
Options = st.tuples(st.booleans(), st.booleans())


@pytest.fixture(scope="module")
def hyperline() -> Iterator[BreakingHyperline]:
    """An ingestion API for all examples."""
    with BreakingHyperline(rate_limit=1_000_000_000) as api:
        yield api


class World(NamedTuple):
    """An input, a Hyperline, and what a plan has to make of it."""

    store: Store
    api: FakeHyperline
    wanted: Wanted
    truth: Content

    def plant(self, number: int, kind: str) -> None:
        """Add an event, and what the plan has to do with it."""
        name, when = f"e-{number}", START + number
        right = body(name, when)
        match kind:
            case "equal":
                self._bill(name, right)
                self._expect(right)
            case "missing":
                add_event(self.store, name, right)
                self._expect(right)
            case "different" | "moved":
                changed = body(name, when, seats=9)
                if kind == "moved":
                    changed = body(name, when + DAY)
                add_event(self.store, name, right)
                put(self.api, changed)
                self._expect(right if self.wanted.different else changed)
            case "foreign":
                put(self.api, right)
                self._expect(right)
            case "listed":
                put(self.api, body(f"listed-{number}", when))
            case "copied":
                self._bill(name, right)
                self.api.rows.repeated.add(name)
                self._expect(right)
            case _:
                self._plant_unbilled(kind, name, when)

    def _plant_unbilled(self, kind: str, name: str, when: int) -> None:
        """Add an event of which Hyperline has something that isn't billed any more."""
        right = body(name, when)
        match kind:
            case "removed item":
                item = body(f"{name}:1", when)
                add_event(self.store, name, right, item, received_at=1)
                add_event(self.store, name, right, received_at=2)
                put(self.api, right, item)
                self._expect(right, *self._unless_deleted(item))
            case "filtered":
                add_event(self.store, name, outcome="filtered")
                put(self.api, right)
                self._expect(*self._unless_deleted(right))
            case "other type":
                self._bill(name, right)
                other = body(name, when, OTHER)
                put(self.api, other)
                self._expect(right, *self._unless_deleted(other))
            case "two types":
                add_event(self.store, name, outcome="filtered")
                both = right, body(name, when, OTHER)
                put(self.api, *both)
                self._expect(*self._unless_deleted(*both))
            case _:  # another writer's row at another time has the same id
                add_event(self.store, name, outcome="filtered")
                both = right, body(name, when + 9 * DAY, OTHER)
                put(self.api, *both)
                self._expect(*both)

    def _bill(self, name: str, event: bytes) -> None:
        add_event(self.store, name, event)
        put(self.api, event)

    def _unless_deleted(self, *events: bytes) -> Sequence[bytes]:
        return () if self.wanted.unexpected else events

    def _expect(self, *events: bytes) -> None:
        for event in events:
            content = json.loads(event)
            self.truth[content["event_type"], content["record"]["id"]] = content


def create_world(
    api: FakeHyperline, store: Store, kinds: list[str], options: tuple[bool, bool]
) -> World:
    """Return a world with events of these *kinds*."""
    api.store.clear()
    api.rows.repeated.clear()
    ids = {f"listed-{number}" for number in range(len(kinds))}
    wanted = Wanted(*options, ids=ids, old=True)
    world = World(store, api, wanted, {})
    for number, kind in enumerate(kinds):
        world.plant(number, kind)
    api.rows.forget()
    return world


@settings(max_examples=30)
@given(st.lists(st.sampled_from(KINDS), max_size=12), Options, st.integers(0, 40))
@example(EVERYTHING, (True, True), 7)
@example(EVERYTHING, (False, False), 3)
def test_a_plan_is_carried_out_exactly(
    hyperline: BreakingHyperline,
    kinds: list[str],
    options: tuple[bool, bool],
    requests: int,
) -> None:
    """Also if it ends after any request and is carried out again."""
    hyperline.left = float("inf")
    with Store() as store:
        world = create_world(hyperline, store, kinds, options)
        with compare(hyperline, store) as situation:
            plan, _ = situation.plan(world.wanted)
        hyperline.left = requests
        with suppress(AccessError):
            execute(plan, hyperline)
        hyperline.left = float("inf")

        results = execute(plan, hyperline)

        assert read(hyperline) == world.truth
        assert not [result for result in results if result.is_failed]
        if world.wanted.unexpected:
            assert not hyperline.rows.repeated
        hyperline.requests.clear()
        again = execute(plan, hyperline)
        assert {result.state for result in again} <= {"done before"}
        assert hyperline.requests == []


@pytest.mark.parametrize("loses_response", [False, True])
def test_each_interruption_is_survived(
    hyperline: BreakingHyperline,
    monkeypatch: pytest.MonkeyPatch,
    *,
    loses_response: bool,
) -> None:
    """After every number of requests, also between a deletion and what it restores.

    Whether or not Hyperline did what the last one asked for.
    """
    monkeypatch.setattr(hyperline, "loses_response", loses_response)
    total = 1
    for requests in range(60):
        hyperline.left = float("inf")
        with Store() as store:
            world = create_world(hyperline, store, EVERYTHING, (True, True))
            with compare(hyperline, store) as situation:
                plan, _ = situation.plan(world.wanted)
        hyperline.left = requests
        try:
            execute(plan, hyperline)
        except AccessError:
            total += 1
        hyperline.left = float("inf")

        execute(plan, hyperline)

        assert read(hyperline) == world.truth
    assert 5 < total < 60


def make_plan(
    api: FakeHyperline, *events: bytes, queue: bool = False, **options: Any
) -> Any:
    """Return a plan for *events*, each of an event of its own."""
    with Store() as store:
        for event in events:
            name = json.loads(event)["record"]["id"]
            add_event(store, name.partition(":")[0], event)
        for name in options.pop("filtered", ()):
            add_event(store, name, outcome="filtered")
        with compare(api, store) as situation:
            return situation.plan(Wanted(old=True, **options), queue=queue)[0]


@pytest.mark.parametrize(
    ("now", "state"),
    [
        ((), "to do"),
        ((body("a", START),), "done before"),
        ((body("a", START, seats=5),), "changed since the plan was made"),
    ],
)
def test_what_is_delivered_meanwhile_is_left_alone(
    ingestion: FakeHyperline, now: tuple[bytes, ...], state: str
) -> None:
    """It could even be a newer version."""
    plan = make_plan(ingestion, body("a", START))
    put(ingestion, *now)
    ingestion.requests.clear()

    (result,) = execute(plan, ingestion)

    assert result.state == state
    assert result.is_failed == (state.startswith("changed"))
    assert len(ingestion.requests) == (state == "to do")


def test_what_is_corrected_meanwhile_is_not_overwritten(
    ingestion: FakeHyperline,
) -> None:
    """The plan was made for another content."""
    put(ingestion, body("a", START, seats=5))
    plan = make_plan(ingestion, body("a", START), different=True)
    put(ingestion, body("a", START, seats=6))

    (result,) = execute(plan, ingestion)

    assert result.state == "changed since the plan was made"
    assert json.loads(ingestion.store[SEATS, "a"])["record"]["seats"] == 6


@pytest.mark.parametrize("change", [body("f", START, seats=5), body("f", START, OTHER)])
def test_what_is_written_meanwhile_is_not_deleted(
    ingestion: FakeHyperline, change: bytes
) -> None:
    """Neither another content nor another event with the same id."""
    put(ingestion, body("f", START))
    plan = make_plan(ingestion, unexpected=True, filtered=["f"])
    put(ingestion, change)
    before = dict(ingestion.store)

    (result,) = execute(plan, ingestion)

    assert result.state == "changed since the plan was made"
    assert ingestion.store == before


def test_a_rejected_event_does_not_stop_the_others(ingestion: FakeHyperline) -> None:
    """It is reported with Hyperline's status."""
    events = [body(f"e-{n}", START, customer=f"customer-{n}") for n in range(3)]
    plan = make_plan(ingestion, *events)
    ingestion.unknown_customers.add("customer-1")

    results = execute(plan, ingestion)

    problems = {result.item.record_id: result.problem for result in results}
    assert problems["e-0"] == problems["e-2"] == ""
    assert "Hyperline rejected the event (400)" in problems["e-1"]
    assert {name for _, name in ingestion.store} == {"e-0", "e-2"}


def test_the_queue_gets_each_event_once(ingestion: FakeHyperline) -> None:
    """With all of its items, and only if one of them is missing."""
    items = [body(f"a:{n}", START) for n in range(2)]
    plan = make_plan(ingestion, *items, body("b", START), queue=True)
    put(ingestion, body("b", START))
    sent: list[Sequence[str]] = []

    def send(texts: Sequence[str]) -> dict[int, str]:
        sent.append(texts)
        return {0: "no queue"}

    results = execute(plan, ingestion, send)

    assert sent == [["text of a"]]
    states = {(r.item.record_id, r.state, r.problem) for r in results}
    assert states == {
        *{("a:0", "to do", "no queue"), ("a:1", "to do", "no queue")},
        ("b", "done before", ""),
    }


def test_the_queue_gets_no_event_with_a_changed_item(
    ingestion: FakeHyperline,
) -> None:
    """It would be overwritten."""
    plan = make_plan(ingestion, *(body(f"a:{n}", START) for n in range(2)), queue=True)
    put(ingestion, body("a:1", START, seats=7))

    results = execute(plan, ingestion, lambda _: pytest.fail("something was sent"))

    assert [result.is_failed for result in results] == [True, True]


def test_an_event_can_move_to_another_type(ingestion: FakeHyperline) -> None:
    """The deletion of the old one is done, once the new one is posted."""
    put(ingestion, body("a", START))
    with Store() as store:
        add_event(store, "a", body("a", START), received_at=1)
        add_event(store, "a", body("a", START, OTHER), received_at=2)
        with compare(ingestion, store) as situation:
            plan, _ = situation.plan(Wanted(unexpected=True, old=True))

    first, second = execute(plan, ingestion), execute(plan, ingestion)

    assert list(ingestion.store) == [(OTHER, "a")]
    assert [r.state for r in first] == ["to do", "to do"]
    assert [r.state for r in second] == ["done before", "done before"]


def test_what_somebody_else_deleted_is_not_billed_again(
    ingestion: FakeHyperline,
) -> None:
    """As long as the plan's own deletion was not done."""
    put(ingestion, body("a", START), body("a", START, OTHER))
    plan = make_plan(ingestion, body("a", START), unexpected=True)
    del ingestion.store[SEATS, "a"]
    ingestion.rows.forget()
    before = dict(ingestion.store)

    results = execute(plan, ingestion)

    assert {result.state for result in results} == {"changed since the plan was made"}
    assert ingestion.store == before


@pytest.mark.parametrize("includes_old", [False, True])
def test_a_plan_leaves_out_what_has_become_old(
    ingestion: FakeHyperline, *, includes_old: bool
) -> None:
    """Its invoice may be closed by now, unless the plan includes such events."""
    put(ingestion, body("f", START))
    events = body("a", START), body("b", START + DAY // 2)
    plan = make_plan(ingestion, *events, unexpected=True, filtered=["f"])
    plan = plan._replace(includes_old=includes_old)

    results = execute(plan, ingestion, now=START + 3 * DAY + 1)

    states = {result.item.record_id: result.state for result in results}
    old = "to do" if includes_old else "older than 3 days by now"
    assert states == {"a": old, "f": old, "b": "to do"}
    stored = {"a", "b"} if includes_old else {"b", "f"}
    assert {name for _, name in ingestion.store} == stored
    again = execute(plan, ingestion, now=START + 9 * DAY)
    assert {r.item.record_id: r.state for r in again}["b"] == "done before"


def test_what_a_plan_has_deleted_is_restored_however_old_it_is(
    ingestion: FakeHyperline,
) -> None:
    """It was billed before."""
    put(ingestion, body("a", START), body("a", START, OTHER))
    plan = make_plan(ingestion, body("a", START), unexpected=True)
    plan = plan._replace(includes_old=False)
    create_events(ingestion).delete(["a"])

    execute(plan, ingestion, now=START + 9 * DAY)

    assert list(ingestion.store) == [(SEATS, "a")]
