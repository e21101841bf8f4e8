"""The Receiver: a test for each row of the answer table, and what is reported."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import app
from conftest import Call, Context, Log, Queue, Secret
from fake_aws import FakeAws, Fault
from fake_hyperline import KEY, Answer, FakeHyperline, Manner
from samples import BILLABLE, read_rules, track, without
from segment_webhook import (
    BEARER_TOKEN,
    Webhook,
    array,
    extensible,
    sign,
    single,
    to_api_gateway,
    write,
)

IDENTIFY = track(type="identify", messageId="m-identify")
UNMAPPABLE = track(userId=None, messageId="m-unmappable")


def batch(*events: Any) -> Webhook:
    """Return the call in which Segment sends *events* together."""
    return array([write(event) for event in events])


@pytest.fixture
def token(secret: Secret) -> str:
    """The token that lets arrays in, configured."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    return BEARER_TOKEN


def stored(hyperline: FakeHyperline) -> list[Any]:
    """Return what Hyperline holds."""
    return [json.loads(event) for event in hyperline.store.values()]


# nothing pending, something delivered or filtered


def test_a_delivered_event_is_answered_200(
    call: Call, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """Segment forgets the event, and Hyperline holds it."""
    answer = call(track())

    assert (answer.status, answer.counts) == (200, {"delivered": 1})
    assert stored(hyperline) == [BILLABLE]
    assert quarantine.messages() == []


def test_a_filtered_event_is_answered_200(
    call: Call, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """An event that no rule wants is not an error."""
    answer = call(IDENTIFY)

    assert (answer.status, answer.counts) == (200, {"filtered": 1})
    assert hyperline.requests == []
    assert quarantine.messages() == []


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("shape", [array, extensible])
def test_an_array_in_which_some_events_are_billed_is_answered_200(
    call: Call, hyperline: FakeHyperline, quarantine: Queue, shape: Callable[..., Any]
) -> None:
    """The events that can't be billed are safe, so Segment can forget all of them."""
    answer = call(shape([write(e) for e in (track(), UNMAPPABLE, IDENTIFY)]))

    assert answer.status == 200
    assert answer.counts == {"delivered": 1, "filtered": 1, "quarantined": 1}
    assert stored(hyperline) == [BILLABLE]
    assert quarantine.messages() == [
        {
            "reason": "rule 1 (track): customer_id: userId is null",
            "events": [UNMAPPABLE],
        }
    ]


@pytest.mark.usefixtures("token")
def test_an_element_that_is_no_event_does_not_stop_its_neighbours(
    call: Call, quarantine: Queue
) -> None:
    """Segment sends null where its mapping finds nothing."""
    answer = call(batch(track(), None, 1))

    assert answer.status == 200
    assert answer.counts == {"delivered": 1, "quarantined": 2}
    assert [m["events"] for m in quarantine.messages()] == [[None], [1]]


# every event quarantined


def test_an_unmappable_event_is_answered_422(call: Call, quarantine: Queue) -> None:
    """Sending it again can't help, and the queue has it with the reason."""
    answer = call(UNMAPPABLE)

    assert (answer.status, answer.counts) == (422, {"quarantined": 1})
    assert answer.body["errors"] == [
        {
            "message_id": "m-unmappable",
            "reason": "rule 1 (track): customer_id: userId is null",
        }
    ]
    assert quarantine.messages() == [
        {
            "reason": "rule 1 (track): customer_id: userId is null",
            "events": [UNMAPPABLE],
        }
    ]


def test_an_event_that_hyperline_refuses_is_answered_422(
    call: Call, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """Hyperline's own words are with the event, and not in the answer."""
    hyperline.refuses.add("customer-42")

    answer = call(track())

    assert (answer.status, answer.counts) == (422, {"quarantined": 1})
    assert answer.reasons == ["Hyperline refused the event (400)"]
    (message,) = quarantine.messages()
    assert message == {
        "reason": "Hyperline refused the event (400): "
        "customer customer-42 does not exist",
        "events": [track()],
    }


@pytest.mark.usefixtures("token")
def test_an_event_that_failed_inside_a_batch_is_quarantined(
    call: Call, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """A success for the batch is none for the events it lists as failed."""
    hyperline.refuses.add("nobody")
    refused = track(userId="nobody", messageId="m-2")

    answer = call(batch(track(), refused))

    assert answer.counts == {"delivered": 1, "quarantined": 1}
    assert stored(hyperline) == [BILLABLE]
    assert [m["events"] for m in quarantine.messages()] == [[refused]]


# anything pending


@pytest.mark.parametrize("status", [301, 408, 500, 502, 503, 504])
def test_an_unavailable_hyperline_is_answered_503(
    call: Call, hyperline: FakeHyperline, status: int
) -> None:
    """Segment sends the event again, and then Hyperline takes it."""
    hyperline.answers(status)

    answer = call(track())

    assert (answer.status, answer.counts) == (503, {"pending": 1})
    assert call(track()).status == 200
    assert stored(hyperline) == [BILLABLE]


def test_a_broken_connection_is_answered_503(
    call: Call, hyperline: FakeHyperline
) -> None:
    """Hyperline may or may not have taken the event; sending again is safe."""
    hyperline.answers(Answer(manner=Manner.DROPPED), Answer(manner=Manner.DROPPED))

    assert call(track()).status == 503


def test_a_slow_hyperline_is_answered_503(
    call: Call, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer comes before Segment hangs up."""
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "0.7")
    hyperline.answers(Answer(202, b"", delay=1))

    assert call(track()).status == 503


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_hyperline_refuses_does_not_lose_the_event(
    call: Call, hyperline: FakeHyperline, quarantine: Queue, status: int
) -> None:
    """A refused key is answered 503, so that Segment sends the event again."""
    hyperline.answers(status, status)

    answer = call(track())

    assert (answer.status, answer.counts) == (503, {"pending": 1})
    assert answer.reasons == [
        f"Hyperline refused the API key; put a valid one into the secret ({status})"
    ]
    assert len(hyperline.requests) == 2
    assert quarantine.messages() == []


@pytest.mark.usefixtures("token")
def test_a_rotated_key_heals_within_the_call(
    call: Call, hyperline: FakeHyperline, secret: Secret
) -> None:
    """The key is read again and the call ends as if it had never changed."""
    call(IDENTIFY)
    hyperline.key = "test_rotated"
    secret.put(hyperline_api_key="test_rotated")

    answer = call(batch(track(), track(messageId="m-2")))

    assert (answer.status, answer.counts) == (200, {"delivered": 2})
    keys = [request.authorization for request in hyperline.requests]
    assert keys == [f"Bearer {KEY}", "Bearer test_rotated"]


@pytest.mark.parametrize("field", ["hyperline_api_key", "segment_shared_secret"])
def test_an_incomplete_secret_is_answered_503(
    call: Call, secret: Secret, field: str
) -> None:
    """A mistake in the secret delays events and loses none."""
    secret.put(**{field: None})

    answer = call(track())

    assert answer.status == 503
    assert answer.reasons[0].startswith(f"the secret has no {field}")
    secret.put(hyperline_api_key=KEY)


def test_an_unreadable_secret_is_answered_503(call: Call, aws: FakeAws) -> None:
    """Secrets Manager being down delays events and loses none."""
    aws.fail("GetSecretValue", Fault())

    answer = call(track())

    assert answer.status == 503
    assert answer.reasons == ["the secret can't be read: InternalServiceError"]
    assert call(track()).status == 200


def test_a_missing_secret_is_answered_503(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason has AWS's code, and not AWS's words, which name the account."""
    monkeypatch.setenv("SECRET_ID", "nobody-made-it")

    answer = call(track())

    assert answer.status == 503
    assert answer.reasons == ["the secret can't be read: ResourceNotFoundException"]


def test_a_key_that_cannot_be_read_again_is_answered_503(
    call: Call, hyperline: FakeHyperline, aws: FakeAws
) -> None:
    """The second look at the secret can fail as the first can."""
    call(IDENTIFY)
    hyperline.answers(401)
    aws.fail("GetSecretValue", Fault())

    answer = call(track())

    assert (answer.status, answer.counts) == (503, {"pending": 1})


def test_a_quarantine_that_cannot_be_written_is_answered_503(
    call: Call, aws: FakeAws, quarantine: Queue
) -> None:
    """An event is not quarantined before it is in the queue."""
    aws.fail("SendMessageBatch", *[Fault()] * 3)

    answer = call(UNMAPPABLE)

    assert (answer.status, answer.counts) == (503, {"pending": 1})
    assert answer.reasons == [
        "the Quarantine queue can't be written: InternalServiceError"
    ]
    assert call(UNMAPPABLE).status == 422
    assert len(quarantine.messages()) == 1


@pytest.mark.usefixtures("token")
def test_a_pending_event_outweighs_all_others(
    call: Call, hyperline: FakeHyperline
) -> None:
    """One unsettled event makes Segment send all of the call again."""
    hyperline.answers(503)

    answer = call(batch(track(), UNMAPPABLE, IDENTIFY))

    assert answer.status == 503
    assert answer.counts == {"pending": 1, "quarantined": 1, "filtered": 1}


# pending for so long that Segment is about to give up

HOUR = 3600


def ago(seconds: float) -> str:
    """Return the time *seconds* ago as Segment writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("status", [503, 429, 401])
def test_an_event_that_segment_will_give_up_on_is_parked(
    call: Call, hyperline: FakeHyperline, quarantine: Queue, status: int
) -> None:
    """Segment drops an event after 4 hours, so before that it is put into the queue."""
    hyperline.answers(status, status)
    old = track(receivedAt=ago(3 * HOUR + 60))

    answer = call(old)

    assert (answer.status, answer.counts) == (422, {"quarantined": 1})
    assert answer.reasons[0].startswith("parked: Hyperline ")
    (message,) = quarantine.messages()
    assert message["events"] == [old]
    assert message["reason"].startswith("parked: Hyperline ")


@pytest.mark.parametrize(
    ("times", "parked"),
    [
        ({"receivedAt": ago(3 * HOUR - 60), "sentAt": ago(9 * HOUR)}, False),
        ({"receivedAt": None, "sentAt": ago(2 * HOUR)}, False),
        ({"receivedAt": "rubbish", "sentAt": ago(4 * HOUR)}, True),
        ({"receivedAt": 5, "sentAt": {}, "timestamp": ago(4 * HOUR)}, True),
        ({"receivedAt": 5, "sentAt": [], "timestamp": ago(1 * HOUR)}, False),
        ({"receivedAt": ago(-9 * HOUR), "sentAt": ago(9 * HOUR)}, False),
    ],
)
def test_the_age_of_an_event_is_what_segment_says(
    call: Call, hyperline: FakeHyperline, times: dict[str, Any], *, parked: bool
) -> None:
    """It counts from receivedAt, else sentAt, else timestamp; rubbish is skipped."""
    hyperline.answers(503)

    assert call(track(**times)).status == (422 if parked else 503)


def test_an_event_without_receipt_is_aged_by_its_timestamp(
    call: Call, hyperline: FakeHyperline
) -> None:
    """A user's mapping in Segment may leave out all but what is billed."""
    hyperline.answers(503)
    bare = without("receivedAt", "sentAt") | {"timestamp": ago(4 * HOUR)}

    assert call(bare).status == 422


def test_an_event_of_unknown_age_is_parked(
    call: Call,
    hyperline: FakeHyperline,
    quarantine: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who knows when Segment will give up on it; in the queue it is safe."""
    by_original = read_rules('timestamp = "originalTimestamp"\nrecord = {}')
    monkeypatch.setattr("settlement._rules", by_original)
    hyperline.answers(503)

    answer = call(without("receivedAt", "sentAt", "timestamp"))

    assert answer.counts == {"quarantined": 1}
    assert len(quarantine.messages()) == 1


def test_when_events_are_parked_can_be_set(
    call: Call, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PARK_AFTER_SECONDS is for who knows how long Segment keeps trying."""
    monkeypatch.setenv("PARK_AFTER_SECONDS", "60")
    hyperline.answers(503)

    assert call(track(receivedAt=ago(120))).status == 422


def test_a_parked_event_that_cannot_be_kept_is_pending(
    call: Call, hyperline: FakeHyperline, aws: FakeAws
) -> None:
    """To send it again is all that is left."""
    hyperline.answers(503)
    aws.fail("SendMessageBatch", *[Fault()] * 3)

    assert call(track(receivedAt=ago(4 * HOUR))).status == 503


def test_an_old_event_is_delivered_like_any_other(
    call: Call, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """Age matters only where Hyperline has not settled an event."""
    assert call(track(receivedAt=ago(99 * HOUR))).counts == {"delivered": 1}
    assert len(hyperline.store) == 1
    assert quarantine.messages() == []


# pending only because Hyperline said 429


def test_a_throttled_call_is_answered_429(call: Call, hyperline: FakeHyperline) -> None:
    """Segment sends the event again, later."""
    hyperline.answers(429)

    answer = call(track())

    assert (answer.status, answer.counts) == (429, {"pending": 1})


@pytest.mark.usefixtures("token")
def test_a_throttled_call_with_another_unsettled_event_is_answered_503(
    call: Call, hyperline: FakeHyperline, aws: FakeAws
) -> None:
    """429 would hide that something else is wrong."""
    hyperline.answers(429)
    aws.fail("SendMessageBatch", *[Fault()] * 3)

    answer = call(batch(track(), UNMAPPABLE))

    assert (answer.status, answer.counts) == (503, {"pending": 2})


# signature or token missing or wrong


def test_a_forged_call_is_answered_401(
    call: Call, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """Nothing of it is billed, and nothing is kept."""
    webhook = single(write(track()))

    answer = call(webhook._replace(headers={"X-Signature": sign("something else")}))

    assert (answer.status, answer.counts) == (401, {})
    assert hyperline.requests == []
    assert quarantine.messages() == []


def test_an_array_without_a_token_is_answered_401(
    call: Call, hyperline: FakeHyperline
) -> None:
    """The answer, which Segment shows, says what to set in Segment."""
    answer = call(batch(track(), track(messageId="forged")))

    assert answer.status == 401
    assert "set the Authorization header" in answer.reasons[0]
    assert hyperline.requests == []


@pytest.mark.usefixtures("token")
def test_a_call_with_another_token_is_answered_401(call: Call) -> None:
    """A token that is configured must be carried, also by a single event."""
    headers = {"X-Signature": sign(write(track())), "Authorization": "Bearer other"}

    assert call(Webhook(write(track()), headers)).status == 401


def test_a_forged_body_is_not_read(call: Call) -> None:
    """Who can't sign does not learn what we make of a body."""
    assert call(Webhook("rubbish", {})).status == 401


@pytest.mark.parametrize("settled", [True, False])
def test_a_rotated_signature_is_looked_up_before_a_call_is_refused(
    call: Call,
    secret: Secret,
    aws: FakeAws,
    monkeypatch: pytest.MonkeyPatch,
    *,
    settled: bool,
) -> None:
    """A refused event is lost, so an older copy of the secret is not trusted."""
    call(IDENTIFY)
    secret.put(segment_shared_secret="rotated")
    aws.calls.clear()
    if settled:
        monkeypatch.setattr("settings._SECRET_FRESH_SECONDS", 0)
    text = write(track())

    answer = call(Webhook(text, {"X-Signature": sign(text, "rotated")}))

    assert answer.status == (200 if settled else 401)
    assert aws.calls.count("GetSecretValue") == settled


# not JSON, neither object nor array, empty array


@pytest.mark.parametrize("body", ["", "rubbish", "null", "1", '"text"', "[]", '{"a":'])
def test_a_body_without_events_is_answered_400(call: Call, body: str) -> None:
    """No event is in it, and sending it again would not change that."""
    answer = call(single(body))

    assert (answer.status, answer.counts) == (400, {})
    assert len(answer.reasons) == 1


# what is reported


def test_a_call_leaves_one_log_line_and_one_set_of_metrics(
    call: Call, secret: Secret, log: Log
) -> None:
    """Both have the counts of the answer, and neither has anything of the event."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    events = batch(track(), UNMAPPABLE, IDENTIFY, track(messageId="m-2"))

    call(events)

    line, metric_set = log()
    counts = {"delivered": 2, "filtered": 1, "quarantined": 1, "pending": 0}
    assert {name: line[name] for name in counts} == counts
    assert (line["level"], line["status"]) == ("INFO", 200)
    assert line["errors"][0]["message_id"] == "m-unmappable"
    assert {n.lower(): metric_set[n][0] for n in map(str.title, counts)} == counts
    for private in ("customer-42", "team", BEARER_TOKEN, KEY, "Seats Added"):
        assert private not in json.dumps([line, metric_set])


def test_a_call_that_is_not_settled_is_logged_as_a_warning(
    call: Call, hyperline: FakeHyperline, log: Log
) -> None:
    """Who looks for trouble finds it by its level."""
    hyperline.answers(503)

    call(track())

    line, _ = log()
    assert (line["level"], line["status"], line["pending"]) == ("WARNING", 503, 1)


@pytest.mark.usefixtures("token")
def test_the_answer_stays_small(call: Call) -> None:
    """Segment's client hangs on large answers, so only the first errors are told."""
    events = [track(userId=None, messageId=f"{n}" + "😀" * 9_000) for n in range(40)]
    webhook = batch(*events)

    response = app.lambda_handler(to_api_gateway(webhook), Context())

    assert len(response["body"].encode()) < 4096
    assert 1 <= len(json.loads(response["body"])["errors"]) <= 10
    assert len(call(batch(*[UNMAPPABLE] * 40)).body["errors"]) == 10


def test_an_event_without_an_id_is_reported_without_one(call: Call) -> None:
    """There is nothing else by which an event could safely be named."""
    answer = call(without("messageId"))

    assert answer.body["errors"] == [
        {"message_id": None, "reason": "rule 1 (track): messageId is missing"}
    ]


def test_reasons_go_before_a_preview_that_is_long(call: Call, secret: Secret) -> None:
    """An answer that can't hold both tells what went wrong."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    properties = {"text": "x" * 4_000}
    test = track(messageId="segment-test-message-1", properties=properties)

    answer = call(array([write(test), write(UNMAPPABLE)]))

    assert "preview" not in answer.body
    assert answer.reasons == ["rule 1 (track): customer_id: userId is null"]


def test_a_bug_in_the_mapping_quarantines_the_event_alone(
    call: Call, quarantine: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong with one event, its neighbours are billed."""
    # No input is known to break the mapping, so its rules are broken in one place.
    monkeypatch.setattr("settlement._rules", {"track": ()})

    answer = call(UNMAPPABLE)

    assert (answer.status, answer.counts) == (422, {"quarantined": 1})
    assert quarantine.messages() == [
        {"reason": "the mapping failed with AttributeError", "events": [UNMAPPABLE]}
    ]
