"""Faults of Hyperline and AWS: the status of the response, and where the event is."""

import json
from dataclasses import replace
from pathlib import Path
from traceback import extract_tb
from typing import Any

import pytest

from local_stack.fake_api import Ending, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import BEARER_TOKEN, Webhook, array, write
from tests.clock import Clock
from tests.conftest import Queue, Secret, Send
from tests.crash import Crash, crash_at
from tests.fake_aws import FakeAws, Fault
from tests.samples import BILLABLE, track

# What is posted for `track()`, each time.
BODY = json.dumps(BILLABLE, separators=(",", ":")).encode()


def batch(*events: Any) -> Webhook:
    """Return the request in which Segment sends *events* together."""
    return array([write(event) for event in events])


@pytest.fixture
def token(secret: Secret) -> None:
    """Add the bearer token to the secret; arrays require it."""
    secret.put(segment_bearer_token=BEARER_TOKEN)


@pytest.mark.usefixtures("stale_secret")
@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ([FakeResponse(ending=Ending.RESET_UNREAD)], 200),
        ([FakeResponse(ending=Ending.RESET_UNREAD)] * 2, 503),
        ([FakeResponse(ending=Ending.RESET)], 200),
        ([FakeResponse(ending=Ending.RESET)] * 2, 503),
        ([FakeResponse(ending=Ending.CLOSED)], 200),
        ([FakeResponse(ending=Ending.CLOSED)] * 2, 503),
        ([FakeResponse(ending=Ending.CLOSED), FakeResponse(503)], 503),
        ([FakeResponse(ending=Ending.CLOSED), FakeResponse(400)], 422),
        ([FakeResponse(202, ending=Ending.TRUNCATED)], 200),
        ([FakeResponse(202, ending=Ending.TRUNCATED)] * 2, 503),
        ([FakeResponse(202, ending=Ending.DRIPPED)], 503),
        ([FakeResponse(202, delay=5)], 503),
        ([FakeResponse(503)], 503),
        ([FakeResponse(500, b"<html>oops</html>")], 503),
        ([FakeResponse(502, b"")], 503),
        ([FakeResponse(429)], 429),
        ([FakeResponse(401)], 200),
        ([FakeResponse(401)] * 2, 503),
        ([FakeResponse(403), FakeResponse(429)], 429),
        ([FakeResponse(301, headers={"Location": "/v1/events"})], 503),
        ([FakeResponse(303, headers={"Location": "/v1/events"})], 503),
        ([FakeResponse(307, headers={"Location": "/v1/events"})], 503),
        ([FakeResponse(400)], 422),
        ([FakeResponse(413)], 422),
        ([FakeResponse(413, b"x" * 1_000_000)], 503),
        ([FakeResponse(400, b"<html>Bad Request</html>")], 503),
        ([FakeResponse(403, b"<html>Forbidden</html>")], 503),
        ([FakeResponse(404)], 503),
        ([FakeResponse(404, b"<html>Not Found</html>")], 503),
        ([FakeResponse(402)], 503),
        ([FakeResponse(200, b"<html>We'll be back soon</html>")], 503),
        ([FakeResponse(200, b'{"error": "maintenance"}')], 503),
        ([FakeResponse(201, b"null")], 503),
    ],
)
def test_no_fault_of_hyperline_loses_an_event(
    send: Send,
    hyperline: FakeHyperline,
    quarantine: Queue,
    faults: list[FakeResponse],
    status: int,
    *,
    stores: bool,
) -> None:
    """The event is delivered, in the queue, or pending and delivered by a retry.

    It makes no difference whether Hyperline stored the event before it failed.
    """
    hyperline.respond(*(replace(fault, stores=stores) for fault in faults))

    first = send(track())

    assert first.status == status
    assert sum(first.counts.values()) == 1
    quarantined = [event for m in quarantine.messages() for event in m["events"]]
    assert quarantined == ([track()] if status == 422 else [])
    if status in (429, 503):
        assert first.counts == {"pending": 1}
        assert send(track()).status == 200
    if status != 422:
        assert [json.loads(e) for e in hyperline.store.values()] == [BILLABLE]
    assert {r.body for r in hyperline.requests} <= {BODY}


@pytest.mark.parametrize(
    "success",
    [
        FakeResponse(200, b"", stores=True),
        FakeResponse(204, b"", stores=True),
        FakeResponse(201, b"{}", stores=True),
        FakeResponse(202, b'{"message": "accepted"}', stores=True),
        FakeResponse(201, b'{"events_failed": null}', stores=True),
    ],
)
def test_a_status_2xx_of_hyperline_is_a_success(
    send: Send, hyperline: FakeHyperline, success: FakeResponse
) -> None:
    """Its body is empty, or an object that reports no error."""
    hyperline.respond(success)

    assert send(track()).counts == {"delivered": 1}


@pytest.mark.parametrize(
    "fault", [FakeResponse(202, ending=Ending.DRIPPED), FakeResponse(202, delay=5)]
)
@pytest.mark.usefixtures("token")
def test_an_exceeded_deadline_does_not_change_earlier_results(
    send: Send,
    hyperline: FakeHyperline,
    quarantine: Queue,
    monkeypatch: pytest.MonkeyPatch,
    fault: FakeResponse,
) -> None:
    """Only the events that were not delivered by then are pending.

    Without the deadline, the first fault would never end and the second would succeed.
    """
    events = [track(messageId=str(number)) for number in range(4)]
    hyperline.respond(FakeResponse(202, b"", stores=True), fault)
    monkeypatch.setattr("segment_to_hyperline.hyperline.batch_size.MAX_BATCH_EVENTS", 2)

    response = send(batch(*events, track(userId=None)))

    assert response.status == 503
    assert response.counts == {"delivered": 2, "quarantined": 1, "pending": 2}
    assert len(hyperline.store) == 2
    assert len(quarantine.messages()) == 1


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("malformed", [{0}, {7}, {2, 5}, set(range(8)), {0, 1, 2, 3}])
def test_a_rejected_batch_is_bisected(
    send: Send, hyperline: FakeHyperline, quarantine: Queue, malformed: set[int]
) -> None:
    """Only the events because of which it was rejected are quarantined."""
    hyperline.malformed_customers |= {f"customer-{number}" for number in malformed}
    events = [track(messageId=f"m-{n}", userId=f"customer-{n}") for n in range(8)]

    response = send(batch(*events))

    assert response.status == (422 if len(malformed) == 8 else 200)
    assert response.counts.get("quarantined") == len(malformed)
    delivered = response.counts.get("delivered", 0)
    assert delivered == 8 - len(malformed) == len(hyperline.store)
    messages = quarantine.messages()
    quarantined = [event["userId"] for m in messages for event in m["events"]]
    assert set(quarantined) == hyperline.malformed_customers
    assert all("400" in message["reason"] for message in messages)
    assert all("can't be read" in message["reason"] for message in messages)


@pytest.mark.usefixtures("token")
def test_a_batch_that_cannot_be_bisected_in_time_makes_progress(
    send: Send,
    hyperline: FakeHyperline,
    quarantine: Queue,
    replay_queue: Queue,
    clock: Clock,
) -> None:
    """What was found by the deadline stays, and the rest of the batch is parked.

    Nothing is pending, so that Segment's retry can't begin from zero.
    """
    hyperline.malformed_customers.add("customer-42")

    clock.tick = 0.001

    response = send(batch(*[track(messageId=str(n)) for n in range(500)]))

    assert response.status == 200
    assert sum(response.counts.values()) == 500
    assert response.counts["parked"] > 0
    quarantined = [event for m in quarantine.messages() for event in m["events"]]
    parked = [event for m in replay_queue.messages() for event in m["events"]]
    assert len(quarantined) == response.counts.get("quarantined", 0)
    assert len(parked) == response.counts["parked"]


@pytest.mark.usefixtures("token")
def test_a_batch_that_hyperline_does_not_confirm_is_posted_again(
    send: Send, hyperline: FakeHyperline
) -> None:
    """A 2xx without the documented lists could hide rejected events."""
    hyperline.unknown_customers.add("nobody")
    hyperline.respond(FakeResponse(201, b"{}", stores=True))
    events = [track(), track(messageId="m-2", userId="nobody")]

    response = send(batch(*events))

    assert response.counts == {"delivered": 1, "quarantined": 1}


@pytest.mark.parametrize(
    ("operation", "fault", "event"),
    [
        ("GetSecretValue", Fault(), track()),
        ("GetSecretValue", Fault("400 Bad Request", b"{}"), track()),
        ("GetSecretValue", Fault(delay=5), track()),
        ("SendMessageBatch", Fault(), track(userId=None)),
        ("SendMessageBatch", Fault("403 Forbidden", b""), track(userId=None)),
        ("SendMessageBatch", Fault("200 OK", b"not JSON"), track(userId=None)),
        ("SendMessageBatch", Fault(delay=5), track(userId=None)),
    ],
)
def test_no_fault_of_aws_loses_an_event(
    send: Send,
    aws: FakeAws,
    quarantine: Queue,
    clock: Clock,
    operation: str,
    fault: Fault,
    event: Any,
) -> None:
    """Segment retries, and then the event has the outcome it has without a fault."""
    aws.fail(operation, *[fault] * 3)

    assert send(event).status == 503

    aws.faults.clear()
    clock.wait(10)
    quarantine.messages()  # a message can be stored after the deadline
    assert send(event).status == (422 if event["userId"] is None else 200)
    assert len(quarantine.messages()) == (event["userId"] is None)


@pytest.mark.usefixtures("token")
def test_no_crash_loses_an_event(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """The function crashes once at each line that a request executes.

    API Gateway returns 500 after a crash, so Segment retries. The last attempt is the
    first without a crash.
    """
    unmappable = track(userId=None)
    crashed = set[str]()
    step = 0

    while True:
        step += 1
        try:
            with crash_at(step):
                response = send(batch(track(), unmappable))
        except Crash as crash:
            crashed.add(crash_file(crash))
        else:
            break

    assert response.counts == {"delivered": 1, "quarantined": 1}
    assert [json.loads(e) for e in hyperline.store.values()] == [BILLABLE]
    assert {r.body for r in hyperline.requests} == {BODY}
    assert quarantine.messages()
    assert {"receiver.py", "pipeline.py", "client.py", "queues.py"} <= crashed


def crash_file(crash: Crash) -> str:
    """Return the name of the file whose line was executed when *crash* was raised."""
    *_, line, _callback = extract_tb(crash.__traceback__)
    return Path(line.filename).name


@pytest.mark.usefixtures("token")
def test_a_batch_is_parked_while_hyperline_hangs(
    send: Send,
    hyperline: FakeHyperline,
    replay_queue: Queue,
    clock: Clock,
) -> None:
    """A part of the time budget is reserved for the queue."""
    clock.tick = 0.001
    hyperline.outage = FakeResponse(202, delay=5)
    old = {"receivedAt": track()["timestamp"]}

    response = send(batch(*[track(messageId=f"m-{n}", **old) for n in range(100)]))

    assert (response.status, response.counts) == (200, {"parked": 100})
    parked = [event for m in replay_queue.messages() for event in m["events"]]
    assert len(parked) == 100
