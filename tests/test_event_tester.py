"""Segment's Event Tester: its events show what the mapping makes of them."""

import json
from typing import Any

import pytest

from conftest import Answer, Call, Log, Queue, Secret
from fake_hyperline import KEY, FakeHyperline
from samples import BILLABLE, track
from segment_webhook import BEARER_TOKEN, array, write

PRODUCTION_KEY = "prod_local_example_key"
IDS = ["segment-test-message-4r8vzq", "test-message-4r8vzq"]
WITHHELD = "a test event is only sent with a sandbox key (test_…)"


def made_up(**changes: Any) -> dict[str, Any]:
    """Return an event as the tester makes it: without context, and without dates."""
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
    """Return what the mapping as it comes makes of the tester's event."""
    return {
        "customer_id": "test-user-4zr2yj",
        "event_type": "Segment Test Event Name",
        "timestamp": "2026-01-16T09:30:59.243Z",
        "record": {"property1": 1, "id": message_id},
    }


def shown(answer: Answer) -> list[tuple[str, Any]]:
    """Return the outcome and the billable event of each test event of the call."""
    return [(e["outcome"], e["billable_event"]) for e in answer.body["preview"]]


@pytest.mark.parametrize("message_id", IDS)
@pytest.mark.parametrize("key", [PRODUCTION_KEY, "of another kind"])
def test_a_test_event_is_not_billed_by_a_production_key(
    call: Call, secret: Secret, hyperline: FakeHyperline, key: str, message_id: str
) -> None:
    """The answer shows what would be billed, and Hyperline is not called."""
    secret.put(hyperline_api_key=key)

    answer = call(made_up(messageId=message_id))

    assert (answer.status, answer.counts) == (200, {"previewed": 1})
    assert shown(answer) == [("previewed", billable(message_id))]
    assert answer.reasons == [WITHHELD]
    assert hyperline.requests == []


@pytest.mark.parametrize("message_id", IDS)
def test_a_test_event_reaches_the_sandbox(
    call: Call, hyperline: FakeHyperline, message_id: str
) -> None:
    """With a sandbox key the event can be looked up where it arrived."""
    answer = call(made_up(messageId=message_id))

    assert (answer.status, answer.counts) == (200, {"delivered": 1})
    assert shown(answer) == [("delivered", billable(message_id))]
    assert [json.loads(body) for body in hyperline.store.values()] == [
        billable(message_id)
    ]


def test_a_key_that_became_one_for_production_does_not_bill(
    call: Call, secret: Secret, hyperline: FakeHyperline
) -> None:
    """Of two keys within one call, each is asked which kind it is."""
    call(track())
    secret.put(hyperline_api_key=PRODUCTION_KEY)
    hyperline.answers(401)

    answer = call(made_up())

    assert answer.counts == {"previewed": 1}
    assert len(hyperline.store) == 1


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_test_event_is_always_settled(
    call: Call, hyperline: FakeHyperline, quarantine: Queue, status: int
) -> None:
    """No revenue hangs on it: it is not sent again, and not kept for anybody."""
    hyperline.answers(*[status] * 3)

    answer = call(made_up())

    assert (answer.status, answer.counts) == (200, {"previewed": 1})
    assert shown(answer) == [("previewed", billable())]
    assert str(status) in answer.reasons[0]
    assert quarantine.messages() == []


def test_a_test_event_shows_why_it_cannot_be_billed(
    call: Call, quarantine: Queue
) -> None:
    """What would be quarantined of a real event is told."""
    answer = call(made_up(userId=None))

    assert (answer.status, answer.counts) == (200, {"previewed": 1})
    assert shown(answer) == [("previewed", None)]
    assert answer.reasons == ["rule 1 (track): customer_id: userId is null"]
    assert quarantine.messages() == []


def test_a_test_event_that_no_rule_wants_is_filtered(call: Call) -> None:
    """The answer says so, with nothing to show."""
    answer = call(made_up(type="page"))

    assert (answer.status, answer.counts) == (200, {"filtered": 1})
    assert shown(answer) == [("filtered", None)]


def test_a_test_event_without_a_key_is_shown(call: Call, secret: Secret) -> None:
    """Who sets things up sees the mapping's result and what the secret lacks."""
    secret.put(hyperline_api_key=None)

    answer = call(made_up())

    assert (answer.status, answer.counts) == (200, {"previewed": 1})
    assert answer.reasons[0].startswith("the secret has no hyperline_api_key")


def test_real_events_beside_a_test_event_are_billed(
    call: Call, secret: Secret, hyperline: FakeHyperline
) -> None:
    """A test event decides nothing about its neighbours."""
    secret.put(hyperline_api_key=PRODUCTION_KEY, segment_bearer_token=BEARER_TOKEN)
    hyperline.key = PRODUCTION_KEY

    answer = call(array([write(made_up()), write(track())]))

    assert answer.counts == {"delivered": 1, "previewed": 1}
    assert [json.loads(body) for body in hyperline.store.values()] == [BILLABLE]

    hyperline.answers(503)
    assert call(array([write(made_up()), write(track())])).status == 503


def test_a_real_event_answers_with_no_preview(call: Call) -> None:
    """What customers did is not told to anybody who sees the answer."""
    assert "preview" not in call(track()).body


def test_a_preview_is_not_logged(call: Call, log: Log) -> None:
    """It is an event after all."""
    call(made_up())

    assert "test-user" not in json.dumps(log())


def test_a_preview_fits_the_answer(call: Call) -> None:
    """Segment's client hangs on large answers, so a large preview is left out."""
    large = made_up(properties={"text": "x" * 4_000})

    assert call(large).body["delivered"] == 1
    assert "preview" not in call(large).body


def test_the_sandbox_key_of_these_tests_is_one() -> None:
    """The fixtures' key begins as those of Hyperline's sandbox do."""
    assert KEY.startswith("test_")
