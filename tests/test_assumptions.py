"""What the application does for each answer to what Hyperline doesn't document.

The fake is switched to each answer. What the table of assumptions says must then be
true, and no event may be lost silently.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline.assumptions import (
    ASSUMPTIONS,
    CANNOT_WORK,
    Assumption,
)
from segment_to_hyperline.hyperline.billable_event import BillableEvent, Key
from segment_to_hyperline.hyperline.client import post_events
from segment_to_hyperline.hyperline.plan import (
    RECEIVER,
    REPLAYER,
    Outgoing,
    Strategy,
)
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.expressions import UnmappableEvent
from segment_to_hyperline.outcomes import AFTER_FAILURE
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.pace import Pace
from segment_to_hyperline.reconciliation.api.rows import Row, Window, read_milliseconds
from segment_to_hyperline.reconciliation.evaluation import find_differences
from segment_to_hyperline.reconciliation.expected.versions import Expected
from tests.clock import Clock
from tests.samples import read_rules, track

SEATS = "Seats Added"
TIME = "2026-11-30T09:00:00.000Z"
EARLIER = "2026-11-30T08:00:00.000Z"
LIMITED_KEY = "test_limited_key"
ALL_TIMES = Window(SEATS, 0, 2_000_000_000_000)


class World:
    """Hyperline with one behaviour, and the application's way to deliver to it."""

    def __init__(self, hyperline: FakeHyperline, clock: Clock) -> None:
        self.hyperline = hyperline
        self.clock = clock
        hyperline.limited_key = LIMITED_KEY
        hyperline.unknown_customers = {"nobody"}
        hyperline.malformed_customers = {"invalid"}
        # The events that were delivered, by their keys.
        self.delivered: dict[Key, BillableEvent] = {}
        # The codes of the failures.
        self.codes: list[Code] = []

    def deliver(
        self,
        *events: BillableEvent,
        key: str = KEY,
        strategy: Strategy = RECEIVER,
        is_isolated: bool = False,
        version: str = "v1",
    ) -> list[str]:
        """Return the outcome of each event."""
        outgoing = Outgoing([], [events]) if is_isolated else Outgoing(events)
        url, deadline = self.hyperline.url, Deadline(60)
        delivery = post_events(outgoing, url, key, deadline, strategy, version=version)
        outcomes = []
        for event in events:
            failure = delivery.failures[event.key]
            if failure is None:
                self.delivered[event.key] = event
                outcomes.append("delivered")
            else:
                self.codes.append(failure.code)
                outcomes.append(AFTER_FAILURE[failure.kind].value.label)
        return outcomes

    def open_events(self) -> Events:
        """Return what `reconcile` reads with."""
        client = Client(self.hyperline.url, KEY, Pace(rate=1_000_000))
        return Events(client)

    def find(self, event: BillableEvent) -> list[Row]:
        """Return the rows of an event."""
        return self.open_events().find(event.key.event_type, [event.key.record_id])

    def compare(self, event: BillableEvent) -> list[str]:
        """Return the fields for which `reconcile --deep` reports a difference."""
        fields = event.fields()
        time = read_milliseconds(fields["timestamp"]) or 0
        names = event.key.event_type, event.key.record_id, event.key.record_id
        expected = Expected(*names, time, fields["customer_id"], event.json)
        (row,) = self.find(event)
        known = {} if row.customer is None else {fields["customer_id"]: row.customer}
        return list(find_differences(expected, row, Customers(known)))


def event(
    number: int = 1,
    customer: str = "customer-1",
    event_type: str = SEATS,
    time: str = TIME,
    **record: Any,
) -> BillableEvent:
    """Return a billable event."""
    return BillableEvent.create(
        {
            "customer_id": customer,
            "event_type": event_type,
            "timestamp": time,
            "record": record | {"id": f"m-{number}"},
        }
    )


def deliver_alone_and_together(world: World) -> list[str]:
    """Deliver one event, and then two of a type."""
    return [*world.deliver(event(1)), *world.deliver(event(2), event(3))]


def read_while_others_use_the_limit(world: World) -> list[str]:
    """Read while a tenth of the rate limit is left."""
    world.hyperline.limiter.limit = 1_000
    for _ in range(900):
        world.hyperline.limiter.take()
    events = Events(Client(world.hyperline.url, KEY, Pace()))
    for _ in range(10):
        events.count(ALL_TIMES)
    is_slower = sum(world.clock.pauses) > 1
    return ["slower" if is_slower else "as fast"]


def deliver_without_scope(world: World) -> list[str]:
    """Deliver after the key has lost its scope."""
    return [*world.deliver(event(1)), *world.deliver(event(2), key=LIMITED_KEY)]


def deliver_for_nobody(world: World) -> list[str]:
    """Deliver for a customer that doesn't exist, before and after another event."""
    outcomes = [
        *world.deliver(event(1, "nobody")),
        *world.deliver(event(2)),
        *world.deliver(event(3, "nobody")),
    ]
    if outcomes[0] != DELIVERED:
        return outcomes
    is_found = bool(world.find(event(1)))
    return outcomes + (world.compare(event(1, "nobody")) if is_found else ["missing"])


def deliver_three(world: World) -> list[str]:
    """Deliver a batch, and count the posts."""
    outcomes = world.deliver(event(1), event(2), event(3))
    return [*outcomes, f"posts: {len(world.hyperline.requests)}"]


def deliver_two_types(world: World) -> list[str]:
    """Deliver two types, at first together with others, and then isolated."""
    return [
        *world.deliver(event(1), event(2, event_type="Other")),
        *world.deliver(
            event(3),
            event(4, event_type="Other"),
            strategy=REPLAYER,
            is_isolated=True,
        ),
    ]


def deliver_a_bad_event(world: World) -> list[str]:
    """Deliver an event that Hyperline can't read together with two others."""
    return world.deliver(event(1), event(2, "invalid"), event(3))


def deliver_again(world: World, time: str = TIME) -> list[str]:
    """Deliver an event, retry it, and deliver it with other content and *time*."""
    outcomes = [
        *world.deliver(event(1, seats=1)),
        *world.deliver(event(1, seats=1)),
        *world.deliver(event(1, time=time, seats=2)),
    ]
    return outcomes + [f"seats: {row.record['seats']}" for row in world.find(event(1))]


def deliver_earlier(world: World) -> list[str]:
    """Do the same with an earlier time; only that is new."""
    return deliver_again(world, EARLIER)


def map_value(value: Any) -> Callable[[World], list[str]]:
    """Return a function that maps an event with *value*, and delivers it."""

    def scene(world: World) -> list[str]:
        sent = track(properties={"seats": 3, "value": value})
        (billable,) = apply_rules(read_rules('record."*" = "properties"'), sent)
        with pytest.raises(UnmappableEvent):
            apply_rules(read_rules('record.value = "properties.value"'), sent)
        return world.deliver(billable)

    return scene


def deliver_much(world: World) -> list[str]:
    """Deliver 3 MB together, and 150 KB alone."""
    events = [event(number, text="x" * 150_000) for number in range(20)]
    outcomes = sorted(set(world.deliver(*events)))
    is_halved = len(world.hyperline.requests) > 1
    return [*outcomes, "halved" if is_halved else "together"]


def read_at_once(world: World) -> list[str]:
    """Read an event at once, after a minute, and after some hours."""
    world.deliver(event(1))
    found = []
    for seconds in (0, 61, 7_200):
        world.clock.wait(seconds)
        found.append(f"rows: {len(world.find(event(1)))}")
    return found


def read_equal_times(world: World) -> list[str]:
    """Read several pages of events with the same time."""
    world.deliver(*map(event, range(250)))
    return [f"rows: {len(world.open_events().read(ALL_TIMES))}"]


def deliver_microseconds(world: World) -> list[str]:
    """Deliver what the mapping makes of a time with microseconds."""
    sent = track(timestamp="2026-11-30T09:00:00.123999Z")
    (billable,) = apply_rules(read_rules("record = {}"), sent)
    return [*world.deliver(billable), *world.compare(billable)]


def deliver_number(number: float) -> Callable[[World], list[str]]:
    """Return a function that delivers an event with a *number*, and compares it."""

    def scene(world: World) -> list[str]:
        own = event(1, calls=number)
        outcomes = world.deliver(own)
        return outcomes + (world.compare(own) if world.find(own) else [])

    return scene


# What is done to see what an answer means, by the assumption.
SCENES: Mapping[str, Callable[[World], list[str]]] = {
    "paths": deliver_alone_and_together,
    "rate limit headers": read_while_others_use_the_limit,
    "key without scope": deliver_without_scope,
    "unknown customer": deliver_for_nobody,
    "response to an event": deliver_alone_and_together,
    "response to a batch": deliver_three,
    "two event types": deliver_two_types,
    "bad event in a batch": deliver_a_bad_event,
    "repeated id": deliver_again,
    "older timestamp": deliver_earlier,
    "nested object": map_value({"a": 1}),
    "null": map_value(None),
    "array of objects": map_value([{"a": 1}]),
    "largest body": deliver_much,
    "delay": read_at_once,
    "equal times": read_equal_times,
    "microseconds": deliver_microseconds,
    "large integers": deliver_number(2**53 + 1),
    "decimals": deliver_number(1234.5678901234567),
}


DELIVERED, PENDING, QUARANTINED = "delivered", "pending", "quarantined"
ALL_DELIVERED = [DELIVERED] * 3
ALL_PENDING = [PENDING] * 3
RETRIED = [PENDING, DELIVERED, PENDING]
ONE_REJECTED = [DELIVERED, QUARANTINED, DELIVERED]
CORRECTED = [*ALL_DELIVERED, "seats: 2"]
NOT_CORRECTED = [*ALL_DELIVERED, "seats: 1"]
CORRECTION_REJECTED = [DELIVERED, DELIVERED, QUARANTINED, "seats: 1"]
TWICE = [*ALL_DELIVERED, "seats: 2", "seats: 2"]
NUMBERS = {
    "exact": [DELIVERED],
    "rounded": [DELIVERED, "record.calls"],
    "rejected": [QUARANTINED],
}
# What happens with the assumed answer, and with each that means something for this
# version. Every other answer leads to the same as the assumed one.
RESULTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "paths": {"v1 and v2": ALL_DELIVERED, "v2": ALL_PENDING, "neither": ALL_PENDING},
    "rate limit headers": {"X-RateLimit": ["slower"], "none": ["as fast"]},
    "key without scope": {
        "403": [DELIVERED, PENDING],
        "404": [DELIVERED, QUARANTINED],
    },
    "unknown customer": {
        "400 or 422": [QUARANTINED, DELIVERED, QUARANTINED],
        "403": RETRIED,
        "404, 409 or 410": [PENDING, DELIVERED, QUARANTINED],
        "another 4xx": RETRIED,
        "a customer is created": ALL_DELIVERED,
        "stored without a customer": [*ALL_DELIVERED, "customer_id"],
        "not stored": [*ALL_DELIVERED, "missing"],
    },
    "response to an event": {
        "empty": ALL_DELIVERED,
        "something else": [PENDING, DELIVERED, DELIVERED],
    },
    "response to a batch": {
        "events_created": [*ALL_DELIVERED, "posts: 1"],
        "not at all": [*ALL_DELIVERED, "posts: 5"],
        "something else": [*ALL_PENDING, "posts: 1"],
    },
    "two event types": {"rejected": [*ALL_DELIVERED, DELIVERED]},
    "bad event in a batch": {"the batch is rejected": ONE_REJECTED},
    "repeated id": {
        "replaced": CORRECTED,
        "the first one stays": NOT_CORRECTED,
        "rejected": CORRECTION_REJECTED,
        "stored twice": TWICE,
    },
    "older timestamp": {
        "replaced": CORRECTED,
        "the first one stays": NOT_CORRECTED,
        "rejected": CORRECTION_REJECTED,
        "stored twice": TWICE,
    },
    "nested object": {"rejected": [DELIVERED]},
    "null": {"rejected": [DELIVERED]},
    "array of objects": {"rejected": [DELIVERED]},
    "largest body": {
        "at least 4 MB": [DELIVERED, "together"],
        "at least 1 MB": [DELIVERED, "halved"],
        "at least 250 KB": [DELIVERED, "halved"],
        "less than 250 KB": [QUARANTINED, "halved"],
    },
    "delay": {
        "within 5 seconds": ["rows: 1", "rows: 1", "rows: 1"],
        "within a minute": ["rows: 0", "rows: 1", "rows: 1"],
        "later": ["rows: 0", "rows: 0", "rows: 1"],
    },
    "equal times": {"in the same order": ["rows: 250"]},
    "microseconds": {"rounded down": [DELIVERED]},
    "large integers": NUMBERS,
    "decimals": NUMBERS,
}
PAIRS = [(each, answer) for each in ASSUMPTIONS for answer in each.answers]


@pytest.fixture
def world(hyperline: FakeHyperline, clock: Clock) -> World:
    """Hyperline, and the application's way to it."""
    return World(hyperline, clock)


def test_every_answer_has_a_result() -> None:
    """The assumed one, and each that means something for this version."""
    for each in ASSUMPTIONS:
        meaningful = {answer for answer, meaning in each.answers.items() if meaning}
        assert RESULTS[each.name].keys() == meaningful | {each.answer}
        others = [RESULTS[each.name][answer] for answer in meaningful]
        assert RESULTS[each.name][each.answer] not in others


@pytest.mark.parametrize(
    ("assumption", "answer"), PAIRS, ids=lambda each: getattr(each, "name", each)
)
def test_the_application_does_what_the_table_says(
    world: World, assumption: Assumption, answer: str
) -> None:
    """And an event that counts as delivered is stored, or is reported as missing."""
    world.hyperline.behaviour[assumption.name] = answer
    results = RESULTS[assumption.name]

    result = SCENES[assumption.name](world)

    assert result == results.get(answer, results[assumption.answer])
    lost = {tuple(key) for key in world.delivered} - world.hyperline.store.keys()
    assert bool(lost) == ("missing" in result)


def test_the_setting_adapts_to_the_other_version(world: World) -> None:
    """With IngestionVersion=v2, events are delivered if only these paths exist."""
    world.hyperline.behaviour["paths"] = "v2"

    assert world.deliver(event(1), version="v2") == [DELIVERED]
    assert world.deliver(event(2), event(3), version="v2") == [DELIVERED] * 2
    assert len(world.hyperline.store) == 3


def test_a_status_of_the_key_is_reported_as_one(world: World) -> None:
    """Even if it is about the customer: nothing shows the difference."""
    world.hyperline.behaviour["unknown customer"] = "403"

    world.deliver(event(1, "nobody"))

    assert world.codes == [Code.KEY_REJECTED]


def test_where_this_version_cannot_work_nothing_is_lost_silently(world: World) -> None:
    """Each such answer leaves events pending, or shows up as copies."""
    for assumption, answer in PAIRS:
        if assumption.answers[answer] == CANNOT_WORK:
            result = RESULTS[assumption.name][answer]
            assert PENDING in result or result == TWICE
    world.hyperline.behaviour["repeated id"] = "stored twice"
    deliver_again(world)
    assert len(world.find(event(1))) == 2
