"""Events that Hyperline can't process or rejects, beside others, in both functions."""

import json
from typing import Any

import pytest

import replayer
from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from segment_to_hyperline.attributes import Attributes
from segment_to_hyperline.hyperline.host import find_host
from tests.clock import ago
from tests.conftest import Queue, Send
from tests.samples import TIMESTAMP, read_rules, sqs_record, track
from tests.test_replayer import DAY, HOUR, Replay, days_ago, message, replay, stored

__all__ = ["replay"]  # a fixture

ORDERS = """
event = "Order Completed"
each = "properties.products"
customer_id = "item.customer || userId"
event_type = "'Product Ordered'"
record = { sku = "item.sku" }
"""
NOT_FOUND = FakeResponse(404, b'{"message":"Route not found"}')
# So old that the Receiver parks it at once.
OLD = {"receivedAt": TIMESTAMP}


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping that bills each product of an order, and all other track events."""
    rules = read_rules(ORDERS, 'record = { "*" = "properties" }')
    monkeypatch.setattr("replayer.RULES", rules)


def order(items: int, customers: dict[int, str], **changes: Any) -> dict[str, Any]:
    """Return an order with so many products, some of them for other *customers*."""
    products = [{"sku": f"s{n}", "customer": customers.get(n)} for n in range(items)]
    names = {"event": "Order Completed", "messageId": "order-1"}
    return track(**names, properties={"products": products}, **changes)


def count_isolated(queue: Queue) -> int:
    """Return how many messages of *queue* have an isolated event; delete all."""
    return sum("IsolatedAt" in m.get("MessageAttributes", {}) for m in queue.take())


@pytest.mark.parametrize(
    "response", [FakeResponse(500), FakeResponse(403, b'{"message":"Forbidden"}')]
)
def test_one_event_holds_up_no_other(
    replay: Replay,
    hyperline: FakeHyperline,
    replay_queue: Queue,
    response: FakeResponse,
) -> None:
    """A firewall's 403 in JSON is not about the key while others are accepted."""
    hyperline.unprocessable["bad"] = response
    events = [track(messageId=f"m-{number}") for number in range(100)]
    events[50]["userId"] = "bad"
    bodies = [message(*events)]

    for receives in (1, 2, 2):
        bodies = replay(*bodies, receives=receives) + replay_queue.bodies()

    assert len(hyperline.store) == 99
    assert [json.loads(body)["events"] for body in bodies] == [[events[50]]]


def replay_beside(isolated: Any, hours: float, *others: Any) -> None:
    """Replay an event that is *isolated* for so many hours beside *others*."""
    attributes = Attributes(isolated_at=ago(hours * HOUR))
    records = [sqs_record(message(isolated), attributes=attributes)]
    records += [sqs_record(message(other)) for other in others]
    replayer.lambda_handler({"Records": records}, Context())


@pytest.mark.usefixtures("replay")
@pytest.mark.parametrize(("hours", "is_quarantined"), [(23, False), (25, True)])
def test_an_isolated_event_is_quarantined_after_a_day_beside_others(
    hyperline: FakeHyperline, quarantine: Queue, hours: float, *, is_quarantined: bool
) -> None:
    """The others are posted first and together, and the reason says what was seen."""
    hyperline.unprocessable["bad"] = FakeResponse(500)

    replay_beside(
        track(userId="bad"), hours, track(messageId="a"), track(messageId="b")
    )

    sizes = [request.body.count(b"customer_id") for request in hyperline.requests]
    assert sizes == [2, 1]
    reason = (
        "not accepted for 24 hours, while Hyperline accepts other events:"
        " Hyperline failed (500): scripted failure"
    )
    assert [m["reason"] for m in quarantine.messages()] == [reason] * is_quarantined


def test_one_of_two_events_with_one_id_is_rejected(
    replay: Replay, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """Hyperline identifies an event by its type and its id."""
    hyperline.unknown_customers.add("nobody")
    good, bad = track(event="A"), track(event="B", userId="nobody")

    assert replay(message(good, bad), message(good), message(bad)) == []

    assert [event["event_type"] for event in stored(hyperline)] == ["A"]
    quarantined = [event for m in quarantine.messages() for event in m["events"]]
    assert quarantined == [bad, bad]


@pytest.mark.usefixtures("orders")
def test_an_order_with_an_unprocessable_and_a_rejected_product(
    replay: Replay, hyperline: FakeHyperline, replay_queue: Queue, quarantine: Queue
) -> None:
    """The other products are billed, and the order is isolated."""
    hyperline.unprocessable["bad"] = FakeResponse(500)
    hyperline.unknown_customers.add("nobody")

    assert replay(message(order(9, {3: "bad", 5: "nobody"}), track())) == []

    assert len(hyperline.store) == 7 + 1
    assert count_isolated(replay_queue) == 1
    assert quarantine.messages() == []


@pytest.mark.usefixtures("orders")
def test_an_order_that_is_rejected_is_quarantined_with_the_reason(
    replay: Replay, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """It has too many products to find all that are rejected in one invocation."""
    hyperline.malformed_customers.add("nobody")

    assert replay(message(order(900, {}, userId="nobody"))) == []

    (quarantined,) = quarantine.messages()
    assert quarantined["reason"].startswith("Hyperline rejected the event (400)")


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("position", [0, 500, 999])
def test_an_order_with_a_silent_product_is_isolated(
    replay: Replay,
    hyperline: FakeHyperline,
    replay_queue: Queue,
    position: int,
) -> None:
    """Also in an execution environment that is new, and begins with large batches."""
    hyperline.unprocessable["silent"] = FakeResponse(202, b"", delay=15)
    find_host.cache_clear()

    assert replay(message(order(1_000, {position: "silent"}))) == []

    assert count_isolated(replay_queue) == 1


def test_an_outage_with_404_quarantines_few_events_of_the_replayer(
    replay: Replay, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """After some events in a row, a 404 is no longer about the event."""
    assert replay(message(track())) == []
    hyperline.outage = NOT_FOUND

    replay(*[message(track(messageId=f"m-{number}")) for number in range(300)])

    assert len(quarantine.messages()) <= 5


def test_an_outage_with_404_quarantines_few_events_of_the_receiver(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """The others are pending, and Segment retries them."""
    assert send(track()).status == 200
    hyperline.outage = NOT_FOUND

    statuses = [send(track(messageId=f"m-{n}")).status for n in range(20)]

    assert statuses == [422] * 5 + [503] * 15
    assert len(quarantine.messages()) == 5


def test_the_beginning_of_an_outage_isolates_few_events(
    send: Send, hyperline: FakeHyperline, replay_queue: Queue
) -> None:
    """Old events of a Segment Replay arrive one by one, and are parked at once."""
    assert send(track()).status == 200
    hyperline.outage = FakeResponse(503)

    for number in range(20):
        assert send(track(messageId=f"m-{number}", **OLD)).counts == {"parked": 1}

    assert count_isolated(replay_queue) < 5


def test_an_event_that_fails_alone_is_isolated_by_the_receiver(
    send: Send, hyperline: FakeHyperline, replay_queue: Queue
) -> None:
    """Otherwise the Replayer would have no other event to compare it with."""
    hyperline.unprocessable["bad"] = FakeResponse(500)

    send(track(messageId="first", userId="bad", **OLD))
    assert count_isolated(replay_queue) == 0
    send(track(messageId="second"))
    send(track(messageId="third", userId="bad", **OLD))

    assert count_isolated(replay_queue) == 1


@pytest.mark.parametrize(("days", "is_quarantined"), [(1.9, False), (2.1, True)])
def test_a_lonely_event_is_quarantined_two_days_after_it_was_sent_to_replay(
    replay: Replay,
    hyperline: FakeHyperline,
    quarantine: Queue,
    days: float,
    *,
    is_quarantined: bool,
) -> None:
    """The time that it was in Quarantine before a redrive doesn't count."""
    hyperline.respond(503)
    body = message(track())
    long_ago = "2026-01-01T00:00:00+00:00"

    unfinished = replay(body, stored_at=long_ago, sent=days_ago(days))

    assert unfinished == [] if is_quarantined else [body]
    assert len(quarantine.messages()) == is_quarantined


def test_every_event_is_somewhere_whenever_the_time_budget_ends(
    replay: Replay,
    hyperline: FakeHyperline,
    replay_queue: Queue,
    quarantine: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is billed, stored in a queue, or still in its message."""
    hyperline.unprocessable["bad"] = FakeResponse(500)
    hyperline.unknown_customers.add("nobody")
    for step in range(1, 20):
        monkeypatch.setenv("TIME_BUDGET_SECONDS", str(step / 5))
        events = [track(messageId=f"{step}-{number}") for number in range(20)]
        for position, customer in ((3, "bad"), (9, "nobody"), (12, None)):
            events[position]["userId"] = customer

        left = replay(message(*events))

        found = {event["record"]["id"] for event in stored(hyperline)}
        for body in [*left, *replay_queue.bodies(), *quarantine.bodies()]:
            found |= {event["messageId"] for event in json.loads(body)["events"]}
        assert {event["messageId"] for event in events} <= found


def test_a_message_of_version_0_1_0_keeps_its_age(
    replay: Replay, hyperline: FakeHyperline, replay_queue: Queue
) -> None:
    """It has no StoredAt, and its events are as old as the message."""
    hyperline.unprocessable["bad"] = FakeResponse(500)
    body = message(track(userId="bad"), track(messageId="m-2"))

    assert replay(body, sent=days_ago(5)) == []

    (attributes,) = replay_queue.attributes()
    assert attributes["StoredAt"] == ago(5 * DAY)
    assert "Environment" not in attributes


@pytest.mark.usefixtures("orders")
def test_an_order_is_isolated_although_not_all_products_were_posted_alone(
    replay: Replay, hyperline: FakeHyperline, replay_queue: Queue
) -> None:
    """Those that failed alone decide."""
    hyperline.unprocessable["bad"] = FakeResponse(500)

    assert replay(message(track(), order(16, {}, userId="bad"))) == []

    assert count_isolated(replay_queue) == 1
