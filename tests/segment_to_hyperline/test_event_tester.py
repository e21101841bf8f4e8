"""Segment's Event Tester: its events show the result of the mapping."""

import json
from typing import Any

import pytest

from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import BEARER_TOKEN, array, write
from tests.conftest import Log, Queue, Response, Secret, Send
from tests.samples import BILLABLE, track

PRODUCTION_KEY = "prod_local_example_key"
IDS = ["segment-test-message-4r8vzq", "test-message-4r8vzq"]
WITHHELD = "a test event is only sent with a sandbox key (test_…)"


def generated(**changes: Any) -> dict[str, Any]:
    """Return an event as the Event Tester generates it, without most fields."""
    content = {
        "messageId": IDS[0],
        "type": "track",
        "userId": "test-user-4zr2yj",
        "event": "Segment Test Event Name",
        "timestamp": "2026-01-16T09:30:59.243Z",
        "properties": {"property1": 1},
    }
    return content | changes


def billable(message_id: str = IDS[0]) -> dict[str, Any]:
    """Return the billable event for `generated()`, with the default mapping."""
    return {
        "customer_id": "test-user-4zr2yj",
        "event_type": "Segment Test Event Name",
        "timestamp": "2026-01-16T09:30:59.243Z",
        "record": {"property1": 1, "id": message_id},
    }


def previews(response: Response) -> list[tuple[str, Any]]:
    """Return the outcome and the billable event, if any, of each test event."""
    return [
        (event["outcome"], next(iter(event["billable_events"]), None))
        for event in response.body["preview"]
    ]


@pytest.mark.parametrize("message_id", IDS)
@pytest.mark.parametrize("key", [PRODUCTION_KEY, "another prefix"])
def test_a_test_event_is_not_billed_with_a_production_key(
    send: Send, secret: Secret, hyperline: FakeHyperline, key: str, message_id: str
) -> None:
    """The response shows what would be billed, and nothing is posted."""
    secret.put(hyperline_api_key=key)

    response = send(generated(messageId=message_id))

    assert (response.status, response.counts) == (200, {"previewed": 1})
    assert previews(response) == [("previewed", billable(message_id))]
    assert response.reasons == [WITHHELD]
    assert hyperline.requests == []


@pytest.mark.parametrize("message_id", IDS)
def test_a_test_event_is_delivered_to_the_sandbox(
    send: Send, hyperline: FakeHyperline, message_id: str
) -> None:
    """With a sandbox key, the event can be seen in Hyperline."""
    response = send(generated(messageId=message_id))

    assert (response.status, response.counts) == (200, {"delivered": 1})
    assert previews(response) == [("delivered", billable(message_id))]
    assert [json.loads(body) for body in hyperline.store.values()] == [
        billable(message_id)
    ]


def test_a_test_event_is_not_billed_with_a_refreshed_production_key(
    send: Send, stale_secret: Secret, hyperline: FakeHyperline
) -> None:
    """It is recognized by its id, whatever the key was before."""
    send(track())
    stale_secret.put(hyperline_api_key=PRODUCTION_KEY)

    response = send(generated())

    assert response.counts == {"previewed": 1}
    assert response.reasons == [WITHHELD]
    assert len(hyperline.requests) == 1


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_failed_test_event_is_previewed(
    send: Send, hyperline: FakeHyperline, quarantine: Queue, status: int
) -> None:
    """No revenue depends on it, so it is neither retried nor quarantined."""
    hyperline.respond(*[status] * 3)

    response = send(generated())

    assert (response.status, response.counts) == (200, {"previewed": 1})
    assert previews(response) == [("previewed", billable())]
    assert str(status) in response.reasons[0]
    assert quarantine.messages() == []


def test_an_unmappable_test_event_is_previewed_with_the_reason(
    send: Send, quarantine: Queue
) -> None:
    """A real event would be quarantined for this reason."""
    response = send(generated(userId=None))

    assert (response.status, response.counts) == (200, {"previewed": 1})
    assert previews(response) == [("previewed", None)]
    assert response.reasons == ["rule 1 (track): customer_id: userId is null"]
    assert quarantine.messages() == []


def test_a_test_event_that_no_rule_matches_is_filtered(send: Send) -> None:
    """The response shows the outcome, and no billable event."""
    response = send(generated(type="page"))

    assert (response.status, response.counts) == (200, {"filtered": 1})
    assert previews(response) == [("filtered", None)]


def test_a_test_event_is_previewed_without_an_api_key(
    send: Send, secret: Secret
) -> None:
    """During the setup, the response shows which field of the secret is missing."""
    secret.put(hyperline_api_key=None)

    response = send(generated())

    assert (response.status, response.counts) == (200, {"previewed": 1})
    assert previews(response) == [("previewed", billable())]
    assert response.reasons[0].startswith("the secret has no hyperline_api_key")


def test_real_events_in_the_same_request_are_billed(
    send: Send, secret: Secret, hyperline: FakeHyperline
) -> None:
    """A test event doesn't change the outcome of other events."""
    secret.put(hyperline_api_key=PRODUCTION_KEY, segment_bearer_token=BEARER_TOKEN)
    hyperline.key = PRODUCTION_KEY

    response = send(array([write(generated()), write(track())]))

    assert response.counts == {"delivered": 1, "previewed": 1}
    assert [json.loads(body) for body in hyperline.store.values()] == [BILLABLE]

    hyperline.respond(503)
    assert send(array([write(generated()), write(track())])).status == 503


def test_a_real_event_is_not_previewed(send: Send) -> None:
    """The response contains no customer data."""
    assert "preview" not in send(track()).body


def test_a_preview_is_not_logged(send: Send, log: Log) -> None:
    """Even an event of the Event Tester can contain personal data."""
    send(generated())

    assert "test-user" not in json.dumps(log())


def test_a_large_preview_is_omitted(send: Send) -> None:
    """Segment's client hangs on large responses."""
    large = generated(properties={"text": "x" * 4_000})

    response = send(large)

    assert response.body["delivered"] == 1
    assert "preview" not in response.body


def test_the_api_key_of_the_tests_is_a_sandbox_key() -> None:
    """Otherwise no test event would be delivered here."""
    assert KEY.startswith("test_")
