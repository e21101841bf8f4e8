"""Random differences are planted: a comparison finds exactly these."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_stack.fake_hyperline import FakeHyperline, find_customer_id
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.rows import Window
from segment_to_hyperline.reconciliation.compare import Comparison
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.findings import (
    COPIED,
    DIFFERENT,
    FOREIGN,
    MISSING,
    SUPERSEDED,
    UNEXPECTED,
    UNMAPPED,
)
from tests.segment_to_hyperline.reconciliation.helpers import (
    START,
    add_event,
    body,
    create_events,
    put,
)

# Enough for windows to be halved.
EQUAL = 700
LENGTH = 5_000
TYPES = ["Seats Added", "Other"]
KINDS = [
    *("missing", "different", "moved", "customer", "unexpected", "copied"),
    *("superseded", "filtered", "other type"),
]
Planted = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from(TYPES),
        # Where it is expected, and where it is if it was moved.
        st.integers(-LENGTH // 4, LENGTH + LENGTH // 4),
        st.integers(-LENGTH // 4, LENGTH + LENGTH // 4),
    ),
    max_size=25,
)
type Findings = set[tuple[str, str, str, str]]


class World(NamedTuple):
    """An input, a Hyperline, and what differs between them."""

    store: Store
    api: FakeHyperline
    truth: Findings

    def plant(
        self, name: str, kind: str, event_type: str, time: int, other: int
    ) -> None:
        """Add an event of this *kind*; its time can be outside of the range."""
        event = body(name, START + time, event_type)
        is_inside, is_other_inside = 0 <= time < LENGTH, 0 <= other < LENGTH
        match kind:
            case "missing":
                add_event(self.store, name, event)
                self._expect(MISSING, event_type, name, is_inside)
            case "different":
                add_event(self.store, name, event)
                put(self.api, body(name, START + time, event_type, seats=7))
                self._expect(DIFFERENT, event_type, name, is_inside)
            case "moved":
                add_event(self.store, name, event)
                put(self.api, body(name, START + other, event_type))
                is_any = time != other and (is_inside or is_other_inside)
                self._expect(DIFFERENT, event_type, name, is_any)
            case "customer":
                add_event(self.store, name, event)
                put(self.api, event)
                self.api.rows.customers[name] = find_customer_id("customer-2")
                self._expect(DIFFERENT, event_type, name, is_inside)
            case "unexpected":
                put(self.api, event)
                self._expect(UNEXPECTED, event_type, name, is_inside, FOREIGN)
            case "copied":
                add_event(self.store, name, event)
                put(self.api, event)
                self.api.rows.repeated.add(name)
                self._expect(UNEXPECTED, event_type, name, is_inside, COPIED)
            case "superseded":
                self._plant_versions(name, event, event_type, time)
                self._expect(UNEXPECTED, event_type, f"{name}:1", is_inside, SUPERSEDED)
            case "filtered":
                add_event(self.store, name, event, received_at=1)
                add_event(self.store, name, received_at=2, outcome="filtered")
                put(self.api, event)
                self._expect(UNEXPECTED, event_type, name, is_inside, SUPERSEDED)
            case _:
                (other_type,) = {*TYPES} - {event_type}
                add_event(self.store, name, event)
                put(self.api, event, body(name, START + time, other_type))
                self._expect(UNEXPECTED, other_type, name, is_inside, UNMAPPED)

    def _plant_versions(
        self, name: str, event: bytes, event_type: str, time: int
    ) -> None:
        """Add a version that has a line item less than the one before."""
        removed = body(f"{name}:1", START + time, event_type)
        add_event(self.store, name, event, removed, received_at=1)
        add_event(self.store, name, event, received_at=2)
        put(self.api, event, removed)

    def _expect(
        self,
        kind: str,
        event_type: str,
        name: str,
        is_compared: bool,  # noqa: FBT001 - a condition
        origin: str = "",
    ) -> None:
        if is_compared:
            self.truth.add((kind, event_type, name, origin))


@pytest.fixture(scope="module")
def hyperline() -> Iterator[FakeHyperline]:
    """An ingestion API for all examples."""
    with FakeHyperline(rate_limit=1_000_000_000) as api:
        yield api


def create_world(api: FakeHyperline, store: Store, planted: Any) -> World:
    """Return a world with equal events besides those *planted*."""
    api.store.clear()
    api.rows.repeated.clear()
    api.rows.customers.clear()
    world = World(store, api, set())
    for number in range(EQUAL):
        event = body(f"e-{number}", START + number * LENGTH // EQUAL, TYPES[number % 2])
        add_event(store, f"e-{number}", event)
        put(api, event)
    other = body("e-other", START, customer="customer-2")
    add_event(store, "e-other", other)
    put(api, other)
    for number, one in enumerate(planted):
        world.plant(f"p-{number}", *one)
    store.finish_input()
    return world


def create_windows(borders: list[int]) -> list[Window]:
    """Return windows of both types with these borders."""
    every = sorted({0, LENGTH, *borders})
    return [
        Window(event_type, START + start, START + end)
        for event_type in TYPES
        for start, end in pairwise(every)
    ]


def find(store: Store) -> Findings:
    """Return the findings."""
    return {(f.kind, f.event_type, f.record_id, f.origin) for f in store.findings()}


Borders = st.lists(st.integers(1, LENGTH - 1), max_size=5)
EVERYTHING = [(kind, TYPES[0], 10 * n, 4_000) for n, kind in enumerate(KINDS)]


@settings(max_examples=40)
@given(Planted, Borders)
@example(EVERYTHING, [])
def test_the_contents_show_exactly_what_was_planted(
    hyperline: FakeHyperline, planted: Any, borders: list[int]
) -> None:
    """Whatever it is, and wherever the borders of the windows are."""
    with Store() as store:
        world = create_world(hyperline, store, planted)
        comparison = Comparison(store, create_events(hyperline), Customers({}), 10_000)
        comparison.compare_all(create_windows(borders))
        comparison.confirm()

        assert find(store) == world.truth


@settings(max_examples=40)
@given(Planted, Borders)
@example(EVERYTHING, [])
def test_counts_show_what_they_can(
    hyperline: FakeHyperline, planted: Any, borders: list[int]
) -> None:
    """Only what was planted, in each window with another number of events.

    Rows of earlier versions are always found.
    """
    windows = create_windows(borders)
    with Store() as store:
        world = create_world(hyperline, store, planted)
        events = create_events(hyperline)
        comparison = Comparison(store, events, Customers({}), 10_000)
        comparison.compare_counts(windows)
        comparison.confirm()
        found = find(store)
        balances = {w: events.count(w) - store.count(w) for w in windows}
        times = {f[1:3]: find_times(world, f) for f in world.truth}

    assert found <= world.truth
    assert {f for f in world.truth if f[3] == SUPERSEDED} <= found
    for window, balance in balances.items():
        inside = [
            f
            for f in found
            if any(window.start <= t < window.end for t in times[f[1:3]])
        ]
        assert len(inside) >= abs(balance)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["missing", "different"]),
            st.sampled_from(TYPES),
            st.integers(0, LENGTH - 1),
            st.just(0),
        ),
        max_size=40,
    ),
    Borders,
)
def test_counts_show_everything_that_is_missing(
    hyperline: FakeHyperline, planted: Any, borders: list[int]
) -> None:
    """If nothing makes up for it."""
    with Store() as store:
        world = create_world(hyperline, store, planted)
        comparison = Comparison(store, create_events(hyperline), Customers({}), 10_000)
        comparison.compare_counts(create_windows(borders))
        comparison.confirm()

        found = find(store)
        kinds = Counter(kind for kind, *_ in world.truth)
        assert found <= world.truth
        assert Counter(kind for kind, *_ in found)[MISSING] == kinds[MISSING]


def find_times(world: World, finding: tuple[str, str, str, str]) -> list[int]:
    """Return when an event is expected, and when Hyperline has it."""
    _, event_type, record_id, _ = finding
    found = world.store.find(event_type, record_id)
    rows = create_events(world.api).find(event_type, [record_id])
    return [*([found.time] if found else []), *(row.time for row in rows if row.time)]
