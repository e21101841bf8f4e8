"""The template, deployed by `sam` into a local AWS and called over HTTP."""

import json
import time
from collections.abc import Iterator

import pytest

import demo
from local_stack import STACK_NAME, LocalStack, deploy
from samples import BILLABLE, track
from segment_webhook import Webhook, array, single, write


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """The deployed application."""
    with deploy(quiet=True) as stack:
        yield stack


def test_the_deployed_application_does_what_the_demo_shows(stack: LocalStack) -> None:
    """Real events, signed as Segment signs, end in Hyperline or in the queue."""
    assert demo.show(stack)


def test_the_deployed_application_bills_and_quarantines(stack: LocalStack) -> None:
    """What arrives is what the mapping says, and the queue has the original."""
    unmappable = track(messageId="ü", userId=None)
    key = (BILLABLE["event_type"], track()["messageId"])

    response = stack.send(array([write(track()), write(unmappable)]))

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "delivered": 1,
        "filtered": 0,
        "quarantined": 1,
        "pending": 0,
        "errors": [
            {"message_id": "ü", "reason": "rule 1 (track): customer_id: userId is null"}
        ],
    }
    assert json.loads(stack.hyperline.store[key]) == BILLABLE
    assert stack.quarantined() == [
        {
            "reason": "rule 1 (track): customer_id: userId is null",
            "events": [unmappable],
        }
    ]


def test_the_deployed_application_replays(stack: LocalStack) -> None:
    """A quarantined event is billed when its cause is mended and it is moved."""
    event = track(messageId="m-replayed", userId="late-customer")
    stack.hyperline.refuses.add("late-customer")
    assert stack.send(single(write(event))).status_code == 422

    stack.hyperline.refuses.clear()
    stack.redrive()

    key = (event["event"], event["messageId"])
    give_up = time.monotonic() + 30
    while key not in stack.hyperline.store and time.monotonic() < give_up:
        time.sleep(0.2)
    assert json.loads(stack.hyperline.store[key])["customer_id"] == "late-customer"
    assert stack.quarantined() == []


def test_the_deployed_application_has_the_interface_others_rely_on(
    stack: LocalStack,
) -> None:
    """Names that are built upon elsewhere do not change by accident."""
    assert {"Receiver", "WebhookApi", "Quarantine", "Replayer", "Replay"} <= set(
        stack.resources
    )
    (described,) = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)[
        "Stacks"
    ]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]}
    assert outputs["WebhookUrl"].endswith("/segment")
    receiver = stack.client("lambda").get_function_configuration(
        FunctionName=stack.resources["Receiver"]
    )
    variables = receiver["Environment"]["Variables"]
    assert variables["SECRET_ID"] == "segment-to-hyperline"
    assert variables["HYPERLINE_URL"] == stack.hyperline.url
    assert variables["QUARANTINE_QUEUE_URL"] == stack.resources["Quarantine"]


def test_the_deployed_application_has_one_route(stack: LocalStack) -> None:
    """Nothing but the webhook's own path leads to the function."""
    forged = Webhook(single("{}").body, {})

    assert stack.send(forged).status_code == 401
    assert stack.send(forged, path="/").status_code == 404
