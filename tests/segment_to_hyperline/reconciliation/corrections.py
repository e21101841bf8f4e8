"""A Hyperline with planted mistakes, and what tests of corrections do with it."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple, override

from local_stack.fake_api import FakeResponse, Request, create_message
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.backfill import Backfill, Result, Send
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.header import Header, MappingVersion
from segment_to_hyperline.reconciliation.plan import Plan
from segment_to_hyperline.reconciliation.plan_creation import select_customers
from segment_to_hyperline.reconciliation.planning import Planned, Wanted, plan_items
from segment_to_hyperline.reconciliation.reconcile import (
    Reconciliation,
    Scope,
    reconcile,
)
from tests.segment_to_hyperline.reconciliation.helpers import (
    DAY,
    START,
    create_events,
)

OTHER = "Other"
HEADER = Header(
    *("host", "sandbox", "now", START, START + DAY, (MappingVersion("m", "1", "2"),)),
    *(1, 2, "3", "known"),
)
# Long before any event is old.
NOW = START
type Content = dict[tuple[str, str], object]


class BreakingHyperline(FakeHyperline):
    """A Hyperline that rejects the key after some requests, which ends the command.

    If it *loses_response*, it still does what the first of these asks for.
    """

    left: float = float("inf")
    loses_response = False

    @override
    def handle(self, request: Request) -> FakeResponse:
        self.left -= 1
        is_processed = self.left >= -self.loses_response
        response = super().handle(request) if is_processed else None
        if response and self.left >= 0:
            return response
        return create_message(401, "Missing authentication token")


class Situation(NamedTuple):
    """A comparison, and what it was with."""

    found: Reconciliation
    events: Events

    def plan(
        self, wanted: Wanted, now: int = NOW, *, queue: bool = False
    ) -> tuple[Plan, Planned]:
        """Return the plan for what is *wanted*, and what it is from."""
        planned = plan_items(self.found, self.events, wanted, now, queue=queue)
        texts = {i.message_id: f"text of {i.message_id}" for i in planned.items}
        return (
            Plan(
                HEADER,
                self.found.event_types,
                select_customers(planned.items, self.found.customers),
                planned.items,
                texts if queue else {},
                wanted.old,
                planned.left_out,
            ),
            planned,
        )


@contextmanager
def compare(api: FakeHyperline, store: Store) -> Iterator[Situation]:
    """Yield the comparison of what *store* expects."""
    store.finish_input()
    events = create_events(api)
    scope = Scope(START, START + DAY, deep=True, event_types=("Seats Added", OTHER))
    yield Situation(reconcile(store, events, None, scope), events)


def execute(
    plan: Plan, api: FakeHyperline, send: Send | None = None, now: int = NOW
) -> list[Result]:
    """Carry out *plan* at the time *now*."""
    return list(Backfill(plan, create_events(api), send, now).execute())


def read(api: FakeHyperline, leave_out: Collection[str] = ()) -> Content:
    """Return what Hyperline has."""
    return {
        key: json.loads(body)
        for key, body in api.store.items()
        if key[1] not in leave_out
    }


def describe(planned: Planned) -> set[tuple[str, str, str]]:
    """Return the actions of a plan, with the type and the id."""
    return {(item.action, item.event_type, item.record_id) for item in planned.items}
