"""Faults of Hyperline and AWS: what each is answered, and where the event ends."""

import json
from dataclasses import replace
from typing import Any

import pytest

from conftest import Call, Queue, Secret
from fake_aws import FakeAws, Fault
from fake_hyperline import Answer, FakeHyperline, Manner
from samples import BILLABLE, track
from segment_webhook import BEARER_TOKEN, Webhook, array, write

# What is posted for `track()`, each time.
BODY = json.dumps(BILLABLE, separators=(",", ":")).encode()


def batch(*events: Any) -> Webhook:
    """Return the call in which Segment sends *events* together."""
    return array([write(event) for event in events])


@pytest.fixture
def token(secret: Secret) -> None:
    """Let arrays in."""
    secret.put(segment_bearer_token=BEARER_TOKEN)


@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ([Answer(manner=Manner.RESET_UNREAD)], 200),
        ([Answer(manner=Manner.RESET_UNREAD)] * 2, 503),
        ([Answer(manner=Manner.RESET)], 200),
        ([Answer(manner=Manner.RESET)] * 2, 503),
        ([Answer(manner=Manner.DROPPED)], 200),
        ([Answer(manner=Manner.DROPPED)] * 2, 503),
        ([Answer(manner=Manner.DROPPED), Answer(503)], 503),
        ([Answer(manner=Manner.DROPPED), Answer(400)], 422),
        ([Answer(202, manner=Manner.TORN)], 200),
        ([Answer(202, manner=Manner.TORN)] * 2, 503),
        ([Answer(202, manner=Manner.DRIPPED)], 503),
        ([Answer(202, delay=1)], 503),
        ([Answer(503)], 503),
        ([Answer(500, b"<html>oops</html>")], 503),
        ([Answer(502, b"")], 503),
        ([Answer(429)], 429),
        ([Answer(401)], 200),
        ([Answer(401)] * 2, 503),
        ([Answer(403), Answer(429)], 429),
        ([Answer(301, headers={"Location": "/v1/events"})], 503),
        ([Answer(303, headers={"Location": "/v1/events"})], 503),
        ([Answer(307, headers={"Location": "/v1/events"})], 503),
        ([Answer(400)], 422),
        ([Answer(413, b"x" * 1_000_000)], 422),
    ],
)
def test_a_fault_of_hyperline_ends_in_the_right_invoice(
    call: Call,
    hyperline: FakeHyperline,
    quarantine: Queue,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[Answer],
    status: int,
    *,
    stores: bool,
) -> None:
    """The event is with Hyperline, with Segment or in the queue; and in the end billed.

    Whether Hyperline took the event before it failed makes no difference.
    """
    slow = any(f.delay or f.manner is Manner.DRIPPED for f in faults)
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "0.6" if slow else "30")
    hyperline.answers(*(replace(fault, stores=stores) for fault in faults))

    first = call(track())

    assert first.status == status
    assert sum(first.counts.values()) == 1
    kept = [event for m in quarantine.messages() for event in m["events"]]
    assert kept == ([track()] if status == 422 else [])
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "30")
    if status in (429, 503):
        assert first.counts == {"pending": 1}
        assert call(track()).status == 200
    if status != 422:
        assert [json.loads(e) for e in hyperline.store.values()] == [BILLABLE]
    assert {r.body for r in hyperline.requests} <= {BODY}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"", stores=True),
        Answer(201, b"not JSON", stores=True),
        Answer(204, b"", stores=True),
        Answer(202, b"x" * 1_000_000, stores=True),
        Answer(201, b"null", stores=True),
        Answer(201, b'{"events_failed": null}', stores=True),
    ],
)
def test_any_success_of_hyperline_is_one(
    call: Call, hyperline: FakeHyperline, answer: Answer
) -> None:
    """The body of a success need not say anything."""
    hyperline.answers(answer)

    assert call(track()).counts == {"delivered": 1}


@pytest.mark.parametrize(
    "fault", [Answer(202, manner=Manner.DRIPPED), Answer(202, delay=5)]
)
@pytest.mark.usefixtures("token")
def test_what_was_settled_before_the_time_ran_out_stays_settled(
    call: Call,
    hyperline: FakeHyperline,
    quarantine: Queue,
    monkeypatch: pytest.MonkeyPatch,
    fault: Answer,
) -> None:
    """The answer tells of the events that were settled.

    Without the deadline, the one answer would not end and the other be a success.
    """
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "2")
    events = [track(messageId=str(number)) for number in range(4)]
    hyperline.answers(Answer(400), Answer(201, b"", stores=True), fault)

    answer = call(batch(*events, track(userId=None)))

    assert answer.status == 503
    assert answer.counts == {"delivered": 2, "quarantined": 1, "pending": 2}
    assert len(hyperline.store) == 2
    assert len(quarantine.messages()) == 1


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("poison", [{0}, {7}, {2, 5}, set(range(8)), {0, 1, 2, 3}])
def test_poison_is_found_and_its_neighbours_are_billed(
    call: Call, hyperline: FakeHyperline, quarantine: Queue, poison: set[int]
) -> None:
    """A whole batch is refused for one event, which alone goes into the queue."""
    hyperline.poison |= {f"customer-{number}" for number in poison}
    events = [track(messageId=f"m-{n}", userId=f"customer-{n}") for n in range(8)]

    answer = call(batch(*events))

    assert answer.status == (422 if len(poison) == 8 else 200)
    assert answer.counts.get("quarantined") == len(poison)
    assert answer.counts.get("delivered", 0) == 8 - len(poison) == len(hyperline.store)
    messages = quarantine.messages()
    kept = [event["userId"] for m in messages for event in m["events"]]
    assert set(kept) == hyperline.poison
    assert all("400" in message["reason"] for message in messages)
    assert all("can't be read" in message["reason"] for message in messages)


@pytest.mark.usefixtures("token")
def test_a_call_of_poison_ends_within_its_time(
    call: Call,
    hyperline: FakeHyperline,
    quarantine: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To halve stops when the time is over; what was found by then is kept."""
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "0.6")
    hyperline.poison.add("customer-42")

    answer = call(batch(*[track(messageId=str(n)) for n in range(4_000)]))

    assert answer.status == 503
    assert answer.counts["pending"] + answer.counts.get("quarantined", 0) == 4_000
    kept = [event for m in quarantine.messages() for event in m["events"]]
    assert len(kept) >= answer.counts.get("quarantined", 0)


@pytest.mark.parametrize(
    ("operation", "fault", "event"),
    [
        ("GetSecretValue", Fault(), track()),
        ("GetSecretValue", Fault("400 Bad Request", b"{}"), track()),
        ("GetSecretValue", Fault(delay=1.5), track()),
        ("SendMessageBatch", Fault(), track(userId=None)),
        ("SendMessageBatch", Fault("403 Forbidden", b""), track(userId=None)),
        ("SendMessageBatch", Fault("200 OK", b"rubbish"), track(userId=None)),
        ("SendMessageBatch", Fault(delay=1.5), track(userId=None)),
    ],
)
def test_a_fault_of_aws_leaves_the_event_with_segment(
    call: Call,
    aws: FakeAws,
    quarantine: Queue,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    fault: Fault,
    event: Any,
) -> None:
    """Segment sends the event again, and then it ends as it would have at once."""
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "0.6")
    aws.fail(operation, *[fault] * 3)

    assert call(event).status == 503

    aws.faults.clear()
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "30")
    quarantine.messages()  # a message that came late is the same message
    assert call(event).status == (422 if event["userId"] is None else 200)
    assert len(quarantine.messages()) == (event["userId"] is None)
