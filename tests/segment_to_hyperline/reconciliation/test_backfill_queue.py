"""Through the queue, exactly the planned events are billed, whatever happens."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.backfill import State
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.planning import Wanted
from tests.segment_to_hyperline.reconciliation.corrections import (
    Content,
    compare,
    execute,
    read,
)
from tests.segment_to_hyperline.reconciliation.helpers import (
    SEATS,
    START,
    add_event,
    body,
    put,
)

# What Hyperline has of an item when the plan is made, and what happens to it then.
STATES = ["equal", "missing", "different"]
MEANWHILE = ["nothing", "delivered", "corrected"]
Items = st.lists(
    st.tuples(st.sampled_from(STATES), st.sampled_from(MEANWHILE)),
    min_size=1,
    max_size=3,
)
EVERYTHING = [
    *([(state, meanwhile)] for state in STATES for meanwhile in MEANWHILE),
    *([("missing", "nothing"), (state, "nothing")] for state in STATES),
    *([("missing", "nothing"), ("equal", meanwhile)] for meanwhile in MEANWHILE),
]


class Killed(BaseException):
    """Raised instead of the signal that ends the command."""


class Queue(NamedTuple):
    """A queue from which all events are delivered at once."""

    api: FakeHyperline
    events: dict[str, list[bytes]]
    """By messageId, what is billed for an event."""
    sent: list[str]
    failing: set[str]
    """The events that it rejects."""
    most: int
    """After how many events the command is killed."""

    def send(self, texts: Sequence[str]) -> dict[int, str]:
        """Deliver events; return the problems of the others by their position."""
        problems: dict[int, str] = {}
        for position, text in enumerate(texts):
            name = text.removeprefix("text of ")
            if len(self.sent) == self.most:
                raise Killed
            if name in self.failing:
                problems[position] = "the queue rejected it"
                continue
            self.sent.append(name)
            put(self.api, *self.events[name])
        return problems


@pytest.fixture(scope="module")
def hyperline() -> Iterator[FakeHyperline]:
    """An ingestion API for all examples."""
    with FakeHyperline(rate_limit=1_000_000_000) as api:
        yield api


def find_truth(
    before: Content, name: str, items: list[tuple[str, str]], *, different: bool
) -> Content:
    """Return what Hyperline must have of an event in the end, if it had *before*."""
    states = [state for state, _ in items]
    is_planned = "missing" in states or (different and "different" in states)
    is_planned = is_planned and (different or "different" not in states)
    is_corrected = any(meanwhile == "corrected" for _, meanwhile in items)
    found: Content = {}
    for number in range(len(items)):
        key = SEATS, f"{name}:{number}"
        if is_planned and not is_corrected:
            found[key] = json.loads(body(key[1], START))
        elif key in before:
            found[key] = before[key]
    return found


@settings(max_examples=60)
@given(
    st.lists(Items, max_size=8),
    st.booleans(),
    st.sets(st.integers(0, 7)),
    st.integers(0, 8),
)
@example(EVERYTHING, True, {1}, 2)  # noqa: FBT003 - an option
@example(EVERYTHING, False, set(), 99)  # noqa: FBT003 - an option
def test_the_queue_gets_exactly_what_is_planned(
    hyperline: FakeHyperline,
    events: list[list[tuple[str, str]]],
    different: bool,  # noqa: FBT001 - an option
    failing: set[int],
    most: int,
) -> None:
    """Also if it rejects events, if the command is killed, and what was changed since.

    An event is sent with all of its items or not at all.
    """
    hyperline.store.clear()
    hyperline.rows.forget()
    right = {
        f"e-{n}": [body(f"e-{n}:{i}", START) for i in range(len(items))]
        for n, items in enumerate(events)
    }
    with Store() as store:
        for (name, bodies), items in zip(right.items(), events, strict=True):
            add_event(store, name, *bodies)
            for number, (state, _) in enumerate(items):
                put_item(hyperline, state, f"{name}:{number}")
        with compare(hyperline, store) as situation:
            plan, _ = situation.plan(Wanted(different, old=True), queue=True)
    for (name, _), items in zip(right.items(), events, strict=True):
        for number, (_, meanwhile) in enumerate(items):
            put_item(hyperline, meanwhile, f"{name}:{number}")
    before = read(hyperline)
    truth: Content = {}
    for name, items in zip(right, events, strict=True):
        truth |= find_truth(before, name, items, different=different)
    names = {f"e-{number}" for number in failing}
    first = Queue(hyperline, right, [], names, most)

    with suppress(Killed):
        results = execute(plan, hyperline, first.send)
        rejected = {r.item.message_id for r in results if r.problem}
        assert rejected == names & {
            r.item.message_id for r in results if r.state == State.TO_DO
        }
    second = Queue(hyperline, right, [], set(), 999)
    results = execute(plan, hyperline, second.send)

    assert read(hyperline) == truth
    assert not {*first.sent} & {*second.sent}
    assert len(results) == len(plan.items)
    changed = {r.item.message_id for r in results if r.is_failed}
    assert changed.isdisjoint([*first.sent, *second.sent])
    again = Queue(hyperline, right, [], set(), 0)
    execute(plan, hyperline, again.send)
    assert read(hyperline) == truth


def put_item(api: FakeHyperline, state: str, record_id: str) -> None:
    """Store an item as it is in this state, if at all."""
    match state:
        case "equal" | "delivered":
            put(api, body(record_id, START))
        case "different":
            put(api, body(record_id, START, seats=99))
        case "corrected":
            put(api, body(record_id, START, seats=77))
