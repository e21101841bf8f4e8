"""Carry out a plan: post what is missing, and delete what should not be billed.

Before anything is changed, it is looked up again. So the same plan can be repeated: it
does what is left of it, and leaves alone what was changed since it was made.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import batched, chain
from typing import NamedTuple

from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.failures import Rejected
from segment_to_hyperline.reconciliation.api.in_flight import work_in_flight
from segment_to_hyperline.reconciliation.api.lookup import group, look_up_types
from segment_to_hyperline.reconciliation.api.rows import Row
from segment_to_hyperline.reconciliation.expected.versions import Expected
from segment_to_hyperline.reconciliation.plan import (
    DELETE,
    POSTS,
    REPLACE,
    Item,
    Plan,
    describe_rows,
)
from segment_to_hyperline.reconciliation.planning import differs, find_limit

# How many items are looked up and changed at a time, so that little time is in between.
_BATCH = 500

# Puts events into the queue by their JSON; returns the problem of each that isn't.
type Send = Callable[[Sequence[str]], dict[int, str]]


class State(StrEnum):
    """What an item needs, in view of what Hyperline has now."""

    TO_DO = "to do"
    DONE = "done before"
    CHANGED = "changed since the plan was made"
    OLD = "older than 3 days by now"


# Why nothing is done about an item, nor about those that it belongs to.
_LEFT_ALONE = (State.CHANGED, State.OLD)


class Result(NamedTuple):
    """What became of an item."""

    item: Item
    state: State
    """What it needed before; if that was something to do, it is done now."""
    problem: str = ""
    """Why it isn't done, if it failed."""

    @property
    def is_failed(self) -> bool:
        """Whether a person has to look at it."""
        return bool(self.problem) or self.state in _LEFT_ALONE


def decide(item: Item, rows: Sequence[Row], customers: Customers) -> State:
    """Return what *item* needs, if Hyperline has these *rows* for it."""
    if item.action == DELETE:
        is_right = not rows
    elif not rows and item.action not in POSTS:
        return State.TO_DO  # it was deleted already, but not posted again
    elif item.action == REPLACE and len(rows) > 1:
        is_right = False
    else:
        is_right = not differs(_read_expected(item), rows, customers)
    if is_right:
        return State.DONE
    is_same = describe_rows(rows) == item.found
    return State.TO_DO if is_same else State.CHANGED


def _read_expected(item: Item) -> Expected:
    """Return the expected event that an item posts."""
    return Expected(
        item.event_type,
        item.record_id,
        item.message_id,
        item.time,
        item.customer,
        item.body.encode(),
    )


class Found(NamedTuple):
    """An item, and what Hyperline has for it now."""

    item: Item
    state: State
    rows: Sequence[Row]
    has_others: bool
    """Whether its id has rows of a type with which the plan doesn't delete it."""


class Backfill:
    """Carries out a *plan*.

    *send* puts events into the queue; without it, they are posted. *now* is the time in
    milliseconds since 1970.
    """

    def __init__(self, plan: Plan, events: Events, send: Send | None, now: int) -> None:
        self._plan = plan
        self._events = events
        self._send = send
        self._limit = find_limit(now, includes_old=plan.includes_old)
        self._customers = Customers(plan.customers)
        # The types under which the plan has an id that it deletes.
        self._types: dict[str, set[str]] = defaultdict(set)
        for item in plan.items:
            if item.action not in POSTS:
                self._types[item.record_id].add(item.event_type)

    def execute(self) -> Iterator[Result]:
        """Yield what became of each item.

        Raises as `Client.get`; then the same plan can be carried out again.
        """
        deletions = [item for item in self._plan.items if item.action not in POSTS]
        by_id = group(deletions, lambda item: item.record_id)
        for ids in batched(by_id.values(), _BATCH):
            yield from self._delete(ids)
        posts = [item for item in self._plan.items if item.action in POSTS]
        by_event = group(posts, lambda item: item.message_id)
        for events in batched(by_event.values(), _BATCH):
            yield from self._put(events) if self._send else self._post(events)

    def _delete(self, by_id: Sequence[Sequence[Item]]) -> Iterator[Result]:
        """Delete ids, and post again what is right under them."""
        # A deletion removes an id of every type.
        ids = {item.record_id: item.time for same in by_id for item in same}
        times = dict.fromkeys(self._plan.event_types, ids)
        results: list[Result] = []
        deleted: list[str] = []
        posted: list[Item] = []
        for same in self._look_up(times, by_id):
            is_deleted = any(
                found.rows and found.state == State.TO_DO for found in same
            )
            reason = _find_reason(same)
            # A deletion would remove another event with this id, too; and if it wasn't
            # done, then another writer has deleted what is to be restored.
            is_other = same[0].has_others or any(
                not found.rows and found.item.action != DELETE for found in same
            )
            if is_deleted and is_other:
                reason = State.CHANGED
            if reason:
                results += [Result(found.item, reason) for found in same]
                continue
            deleted += [same[0].item.record_id] if is_deleted else []
            for item, state, *_ in same:
                if item.action != DELETE and (is_deleted or state == State.TO_DO):
                    posted.append(item)
                else:
                    results.append(Result(item, state))
        if deleted:
            self._events.delete(deleted)
        yield from results
        yield from self._post_each(posted)

    def _post(self, by_event: Sequence[Sequence[Item]]) -> Iterator[Result]:
        """Post events one by one."""
        posted: list[Item] = []
        for same in self._look_up(_find_times(by_event), by_event):
            for item, state, *_ in same:
                if state == State.TO_DO:
                    posted.append(item)
                else:
                    yield Result(item, state)
        yield from self._post_each(posted)

    def _put(self, by_event: Sequence[Sequence[Item]]) -> Iterator[Result]:
        """Put events into the queue, each with all of its items."""
        to_send: list[list[Found]] = []
        for same in self._look_up(_find_times(by_event), by_event):
            states = {found.state for found in same}
            # If one was changed, the others would overwrite it.
            reason = _find_reason(same)
            if reason or State.TO_DO not in states:
                state = reason or State.DONE
                yield from (Result(found.item, state) for found in same)
            else:
                to_send.append(same)
        texts = [self._plan.texts[same[0].item.message_id] for same in to_send]
        problems = self._send(texts) if self._send and texts else {}
        for position, same in enumerate(to_send):
            problem = problems.get(position, "")
            yield from (Result(found.item, State.TO_DO, problem) for found in same)

    def _post_each(self, items: Sequence[Item]) -> Iterator[Result]:
        for item, problem in work_in_flight(self._post_one, items):
            yield Result(item, State.TO_DO, problem)

    def _post_one(self, item: Item) -> str:
        """Post an item; return why it was rejected, or an empty string."""
        try:
            self._events.post(item.body.encode())
        except Rejected as error:
            return str(error)
        return ""

    def _look_up(
        self,
        times: Mapping[str, Mapping[str, int]],
        groups: Sequence[Sequence[Item]],
    ) -> Iterator[list[Found]]:
        """Yield the *groups* with what Hyperline has now; see `look_up_types`."""
        rows: dict[str, dict[str, Sequence[Row]]] = defaultdict(dict)
        for key, found in look_up_types(self._events, times).items():
            event_type, record_id = key
            rows[record_id][event_type] = found
        for same in groups:
            yield [self._find(item, rows[item.record_id]) for item in same]

    def _find(self, item: Item, rows: Mapping[str, Sequence[Row]]) -> Found:
        own = rows.get(item.event_type, ())
        state = decide(item, own, self._customers)
        if state == State.TO_DO and self._is_old(item, own):
            state = State.OLD
        has_others = bool(rows.keys() - self._types[item.record_id])
        return Found(item, state, own, has_others)

    def _is_old(self, item: Item, rows: Sequence[Row]) -> bool:
        """Return whether the invoice of an item may be closed by now.

        What the plan has deleted already must be posted again.
        """
        is_begun = not rows and item.action not in {*POSTS, DELETE}
        times = [item.time, *(row.time for row in rows if row.time is not None)]
        return not is_begun and min(times) < self._limit


def _find_times(groups: Sequence[Sequence[Item]]) -> dict[str, dict[str, int]]:
    """Return the times of the ids of items, by their type."""
    times: dict[str, dict[str, int]] = defaultdict(dict)
    for item in chain.from_iterable(groups):
        times[item.event_type][item.record_id] = item.time
    return times


def _find_reason(same: Sequence[Found]) -> State | None:
    """Return why nothing is done about items that belong together, if so."""
    states = {found.state for found in same}
    return next((state for state in _LEFT_ALONE if state in states), None)
