"""An order is billed as one event for each of its products."""

import json
from collections.abc import Callable
from typing import Any

import pytest

import replayer
from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from local_stack.segment_requests import BEARER_TOKEN, array, write
from tests.clock import Clock
from tests.conftest import Log, Queue, Secret, Send
from tests.samples import read_rules, sqs_batch, track

RULE = """
event = "Order Completed"
each = "properties.products"
customer_id = "item.reseller || userId"
event_type = "'Product Ordered'"
record = { sku = "item.sku", total = "multiply(item.price, item.quantity)" }
"""
ORDER = track(
    event="Order Completed",
    messageId="order-1",
    properties={
        "products": [
            {"sku": "a", "price": 19.99, "quantity": 100},
            {"sku": "b", "price": 0.1, "quantity": 3, "reseller": "late-customer"},
            {"sku": "c", "price": 5, "quantity": 1},
        ]
    },
)
RECORDS = [
    {"sku": "a", "total": 1999, "id": "order-1:0"},
    {"sku": "b", "total": 0.3, "id": "order-1:1"},
    {"sku": "c", "total": 5, "id": "order-1:2"},
]

type Deploy = Callable[[], None]


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """Deploy the mapping with line items."""

    def deploy() -> None:
        rules = read_rules(RULE, 'record = { "*" = "properties" }')
        monkeypatch.setattr("receiver.RULES", rules)
        monkeypatch.setattr("replayer.RULES", rules)

    deploy()
    return deploy


def records(hyperline: FakeHyperline) -> list[Any]:
    """Return the records that Hyperline stored, in the order of their ids."""
    stored = [json.loads(event)["record"] for event in hyperline.store.values()]
    return sorted(stored, key=lambda record: record["id"])


@pytest.mark.usefixtures("deploy")
def test_each_product_is_billed(send: Send, hyperline: FakeHyperline, log: Log) -> None:
    """The counts are those of events; the number of billable events is separate."""
    response = send(ORDER)

    assert (response.status, response.body["delivered"]) == (200, 1)
    assert response.body["billable_events"] == 3
    assert records(hyperline) == RECORDS
    (line,) = log()
    assert (line["Delivered"], line["billable_events"]) == ([1], 3)
    assert line["AdditionalBillable"] == [2]


@pytest.mark.usefixtures("deploy")
def test_an_order_is_not_quarantined_while_a_part_of_it_can_be_billed(
    secret: Secret, quarantine: Queue, replay_queue: Queue, hyperline: FakeHyperline
) -> None:
    """The rate limit was reached before it was known what Hyperline accepts."""
    assert secret
    assert replay_queue
    body = json.dumps({"reason": "no", "events": [ORDER]})
    hyperline.respond(400, 400, 429)  # the batch, one of its halves, the other one

    failures = replayer.lambda_handler(sqs_batch(body), Context())

    assert len(failures["batchItemFailures"]) == 1
    assert quarantine.messages() == []


def test_an_order_is_billed_once_through_faults_and_a_deployment(
    send: Send,
    deploy: Deploy,
    hyperline: FakeHyperline,
    quarantine: Queue,
) -> None:
    """Retries, a rejected product, a replay and a deployment lead to three events."""
    hyperline.unknown_customers.add("late-customer")
    hyperline.respond(FakeResponse(503, stores=True), 503)
    assert send(ORDER).status == 503
    assert send(ORDER).status == 503

    rejected = send(ORDER)

    assert (rejected.status, rejected.counts) == (422, {"quarantined": 1})
    assert records(hyperline) == [RECORDS[0], RECORDS[2]]
    (body,) = quarantine.bodies()
    assert json.loads(body)["events"] == [ORDER]

    deploy()
    hyperline.unknown_customers.clear()
    response = replayer.lambda_handler(sqs_batch(body), Context())

    assert response == {"batchItemFailures": []}
    assert send(ORDER).status == 200
    assert records(hyperline) == RECORDS
    assert all(len(versions) == 1 for versions in hyperline.writes.values())


@pytest.mark.usefixtures("deploy")
def test_the_other_products_are_billed_before_the_order_is_quarantined(
    send: Send, secret: Secret, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """While one can be retried, Segment retries; a person is only needed afterwards."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    hyperline.unknown_customers.add("late-customer")
    # The batch is rejected; of its parts, the first is too, and then Hyperline fails.
    hyperline.respond(400, 400, 503)

    assert send(ORDER).counts == {"pending": 1}
    assert quarantine.messages() == []

    assert send(array([write(ORDER)])).counts == {"quarantined": 1}
    assert records(hyperline) == [RECORDS[0], RECORDS[2]]


@pytest.mark.usefixtures("deploy")
@pytest.mark.parametrize(
    ("products", "reason"),
    [
        ([{"price": 1, "quantity": 1, "sku": "a"}, {"price": 1, "sku": "b"}], "item 1"),
        ({"price": 1}, "each: properties.products is an object, not an array"),
        (None, "each: properties.products is null"),
        ([1] * 1_001, "each: properties.products has more than 1,000 elements"),
    ],
)
def test_an_order_that_cannot_be_mapped_is_quarantined_as_a_whole(
    send: Send, hyperline: FakeHyperline, products: Any, reason: str
) -> None:
    """Nothing of it is posted, so that an invoice never has a part of an order."""
    response = send(ORDER | {"properties": {"products": products}})

    assert response.status == 422
    assert f"Order Completed: {reason}" in response.reasons[0]
    assert hyperline.requests == []


@pytest.mark.usefixtures("deploy")
def test_a_large_order_does_not_exceed_the_time_budget(
    send: Send,
    secret: Secret,
    replay_queue: Queue,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is retried, then parked; otherwise Lambda would kill the function.

    A part of the budget is left to deliver the other events of the request.
    """
    secret.put(segment_bearer_token=BEARER_TOKEN)
    rule = RULE.replace("item.sku", "sum(properties.products[].price)")
    rules = read_rules(rule, 'record = { "*" = "properties" }')
    monkeypatch.setattr("receiver.RULES", rules)
    products = [{"price": 1.5, "quantity": number} for number in range(1_000)]
    order = ORDER | {"properties": {"products": products}}
    clock.tick = 0.01

    parked = write(order | {"receivedAt": order["timestamp"]})
    response = send(array([write(track()), parked]))

    assert (response.status, response.counts) == (200, {"delivered": 1, "parked": 1})
    assert "time budget" in response.reasons[0]
    assert len(replay_queue.messages()) == 1


@pytest.mark.usefixtures("deploy")
def test_the_billable_events_of_a_request_fit_into_memory(
    send: Send,
    secret: Secret,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rest of the request is retried."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    monkeypatch.setattr("segment_to_hyperline.pipeline.MAX_BILLABLE_BYTES", 1_000)
    orders = [write(ORDER | {"messageId": f"order-{n}"}) for n in range(4)]

    response = send(array(orders))

    assert response.status == 503
    assert response.counts["pending"] == 4 - len(hyperline.store) // 3 > 0
    assert "memory" in response.reasons[0]


@pytest.mark.usefixtures("deploy")
def test_an_order_without_products_is_filtered(send: Send) -> None:
    """There is nothing to bill."""
    response = send(ORDER | {"properties": {"products": []}})

    assert (response.status, response.counts) == (200, {"filtered": 1})


@pytest.mark.usefixtures("deploy")
def test_no_event_overwrites_a_product_of_another(
    send: Send, hyperline: FakeHyperline
) -> None:
    """An event whose messageId looks like the id of a product is quarantined."""
    assert send(ORDER).status == 200

    response = send(track(messageId="order-1:0", event="Product Ordered"))

    assert response.status == 422
    assert "messageId ends with a colon and a number" in response.reasons[0]
    assert send(track(messageId="order-1:a")).status == 200
    assert send(ORDER | {"messageId": "order-1:0"}).status == 200
    assert len(hyperline.store) == 7


@pytest.mark.usefixtures("deploy")
def test_a_test_order_shows_each_product(send: Send, secret: Secret) -> None:
    """The response to Segment's Event Tester has what would be billed."""
    secret.put(hyperline_api_key="prod_1")

    response = send(ORDER | {"messageId": "test-message-1"})

    (preview,) = response.body["preview"]
    ids = [event["record"]["id"] for event in preview["billable_events"]]
    assert ids == ["test-message-1:0", "test-message-1:1", "test-message-1:2"]
