"""The Receiver: the status for each outcome, and what the log and metrics contain."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import pytest

import receiver
from local_stack.fake_api import KEY, Ending, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from local_stack.segment_requests import (
    BEARER_TOKEN,
    SHARED_SECRET,
    Webhook,
    array,
    extensible,
    sign,
    single,
    to_api_gateway,
    write,
)
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.segment.facts import RESPONSE_TIMEOUT_SECONDS, is_retried
from segment_to_hyperline.telemetry import UNITS
from tests.clock import Clock, ago
from tests.conftest import Log, Queue, Secret, Send
from tests.fake_aws import FakeAws, Fault
from tests.samples import BILLABLE, read_rules, track, without

IDENTIFY = track(type="identify", messageId="m-identify")
UNMAPPABLE = track(userId=None, messageId="m-unmappable")
# An event for each outcome. THROTTLED depends on Hyperline, see `scripted_responses`.
# What the Quarantine queue rejects stays pending; see `reject_pending`.
EVENTS = {
    Outcome.DELIVERED: track(),
    Outcome.THROTTLED: track(messageId="m-throttled"),
    Outcome.PENDING: track(timestamp=None),
    Outcome.FILTERED: IDENTIFY,
    Outcome.PREVIEWED: track(userId=None, messageId="segment-test-message-1"),
    Outcome.QUARANTINED: UNMAPPABLE,
}
ROTATED = "rotated-shared-secret"
MINUTE = 60
HOUR = 3600


def batch(*events: Any) -> Webhook:
    """Return the request in which Segment sends *events* together."""
    return array([write(event) for event in events])


def stored(hyperline: FakeHyperline) -> list[Any]:
    """Return the events that Hyperline stored."""
    return [json.loads(event) for event in hyperline.store.values()]


@pytest.fixture
def token(secret: Secret) -> str:
    """The bearer token, added to the secret; arrays require it."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    return BEARER_TOKEN


def test_a_delivered_event_returns_200(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """Hyperline stores the event, and Segment doesn't retry."""
    response = send(track())

    assert (response.status, response.counts) == (200, {"delivered": 1})
    assert stored(hyperline) == [BILLABLE]
    assert quarantine.messages() == []


def test_a_filtered_event_returns_200(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """An event that no rule matches is not an error."""
    response = send(IDENTIFY)

    assert (response.status, response.counts) == (200, {"filtered": 1})
    assert hyperline.requests == []
    assert quarantine.messages() == []


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("shape", [array, extensible])
def test_an_array_of_which_some_events_are_quarantined_returns_200(
    send: Send, hyperline: FakeHyperline, quarantine: Queue, shape: Callable[..., Any]
) -> None:
    """The events that can't be billed are in the queue, so no retry is needed."""
    response = send(shape([write(e) for e in (track(), UNMAPPABLE, IDENTIFY)]))

    assert response.status == 200
    assert response.counts == {"delivered": 1, "filtered": 1, "quarantined": 1}
    assert stored(hyperline) == [BILLABLE]
    assert quarantine.messages() == [
        {
            "code": "unmappable",
            "reason": "rule 1 (track): customer_id: userId is null",
            "events": [UNMAPPABLE],
        }
    ]


@pytest.mark.usefixtures("token")
def test_an_element_that_is_not_an_event_does_not_fail_the_other_events(
    send: Send, quarantine: Queue
) -> None:
    """Segment sends null if its own mapping finds nothing."""
    response = send(batch(track(), None, 1))

    assert response.status == 200
    assert response.counts == {"delivered": 1, "quarantined": 2}
    assert [m["events"] for m in quarantine.messages()] == [[None], [1]]


def test_an_unmappable_event_returns_422(send: Send, quarantine: Queue) -> None:
    """A retry can't help; the event is in the queue with the reason."""
    response = send(UNMAPPABLE)

    assert (response.status, response.counts) == (422, {"quarantined": 1})
    assert response.body["errors"] == [
        {
            "message_id": "m-unmappable",
            "code": "unmappable",
            "reason": "rule 1 (track): customer_id: userId is null",
        }
    ]
    assert quarantine.messages() == [
        {
            "code": "unmappable",
            "reason": "rule 1 (track): customer_id: userId is null",
            "events": [UNMAPPABLE],
        }
    ]


def test_an_event_that_hyperline_rejects_returns_422(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """Hyperline's message is stored with the event, and not part of the response."""
    hyperline.unknown_customers.add("customer-42")

    response = send(track())

    assert (response.status, response.counts) == (422, {"quarantined": 1})
    assert response.reasons == ["Hyperline rejected the event (400)"]
    (message,) = quarantine.messages()
    assert message == {
        "code": "event_rejected",
        "reason": "Hyperline rejected the event (400): "
        "customer customer-42 does not exist",
        "events": [track()],
    }


@pytest.mark.usefixtures("token")
def test_an_event_that_failed_in_an_accepted_batch_is_quarantined(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """Hyperline can return 2xx for a batch and list some of its events as failed."""
    hyperline.unknown_customers.add("nobody")
    rejected = track(userId="nobody", messageId="m-2")

    response = send(batch(track(), rejected))

    assert response.counts == {"delivered": 1, "quarantined": 1}
    assert stored(hyperline) == [BILLABLE]
    assert [m["events"] for m in quarantine.messages()] == [[rejected]]


@pytest.mark.parametrize("status", [301, 408, 500, 502, 503, 504])
def test_an_unavailable_hyperline_returns_503(
    send: Send, hyperline: FakeHyperline, status: int
) -> None:
    """Segment retries, and then Hyperline accepts the event."""
    hyperline.respond(status)

    response = send(track())

    assert (response.status, response.counts) == (503, {"pending": 1})
    assert send(track()).status == 200
    assert stored(hyperline) == [BILLABLE]


def test_a_broken_connection_returns_503(send: Send, hyperline: FakeHyperline) -> None:
    """Hyperline may have stored the event; a retry overwrites it with the same data."""
    hyperline.respond(
        FakeResponse(ending=Ending.CLOSED), FakeResponse(ending=Ending.CLOSED)
    )

    assert send(track()).status == 503


def test_a_slow_hyperline_returns_503(send: Send, hyperline: FakeHyperline) -> None:
    """The response is sent before Segment closes the connection."""
    hyperline.respond(FakeResponse(202, b"", delay=5))
    began = time.monotonic()

    assert send(track()).status == 503

    assert time.monotonic() - began < RESPONSE_TIMEOUT_SECONDS


@pytest.mark.usefixtures("stale_secret")
@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key_is_retried(
    send: Send, hyperline: FakeHyperline, quarantine: Queue, status: int
) -> None:
    """A rejected API key becomes a 503, so that Segment retries."""
    hyperline.respond(status, status)

    response = send(track())

    assert (response.status, response.counts) == (503, {"pending": 1})
    assert response.reasons == [
        f"Hyperline rejected the API key; put a valid one into the secret ({status})"
    ]
    assert len(hyperline.requests) == 2
    assert quarantine.messages() == []


@pytest.mark.usefixtures("token")
def test_a_rotated_key_is_used_within_the_request(
    send: Send, hyperline: FakeHyperline, secret: Secret, live_key: str, clock: Clock
) -> None:
    """The secret is read again, and the events are posted with the new key."""
    send(IDENTIFY)
    clock.wait(10)
    hyperline.key = "prod_rotated"
    secret.put(hyperline_api_key="prod_rotated")

    response = send(batch(track(), track(messageId="m-2")))

    assert (response.status, response.counts) == (200, {"delivered": 2})
    keys = [request.authorization for request in hyperline.requests]
    assert keys == [f"Bearer {live_key}", "Bearer prod_rotated"]


def test_going_live_with_a_new_shared_secret_bills_the_first_live_event(
    send: Send, hyperline: FakeHyperline, secret: Secret, clock: Clock
) -> None:
    """Its signature makes the function read the secret again, with the new key."""
    send(track(messageId="test"))
    clock.wait(2)
    new = "n" * 32
    secret.put(hyperline_api_key="prod_1", segment_shared_secret=new)
    hyperline.key = "prod_1"
    body = write(track(messageId="live"))

    response = send(Webhook(body, {"X-Signature": sign(body, new)}))

    assert (response.status, response.counts) == (200, {"delivered": 1})
    assert hyperline.requests[-1].authorization == "Bearer prod_1"


def test_a_sandbox_key_is_replaced_within_ten_seconds(
    send: Send, hyperline: FakeHyperline, secret: Secret, clock: Clock
) -> None:
    """The sandbox accepts an event and bills nobody, so its key is never rejected."""
    send(track(messageId="m-1"))
    secret.put(hyperline_api_key="prod_1")
    hyperline.key = "prod_1"
    clock.wait(10)

    assert send(track()).status == 200

    keys = [request.authorization for request in hyperline.requests]
    assert keys == [f"Bearer {KEY}", "Bearer prod_1"]


def test_a_new_copy_of_the_secret_is_not_read_again_for_a_rejected_key(
    send: Send, hyperline: FakeHyperline, aws: FakeAws
) -> None:
    """The key was read less than 10 seconds ago, so it was probably not rotated."""
    hyperline.respond(401)

    response = send(track())

    assert (response.status, response.counts) == (503, {"pending": 1})
    assert len(hyperline.requests) == 1
    assert aws.requests.count("GetSecretValue") == 1


@pytest.mark.parametrize("field", ["hyperline_api_key", "segment_shared_secret"])
def test_an_incomplete_secret_returns_503(
    send: Send, secret: Secret, field: str
) -> None:
    """A mistake in the secret delays events, and loses none."""
    secret.put(**{field: None})

    response = send(track())

    assert response.status == 503
    assert response.reasons[0].startswith(f"the secret has no {field}")


def test_an_unreadable_secret_returns_503(send: Send, aws: FakeAws) -> None:
    """A failure of Secrets Manager delays events, and loses none."""
    aws.fail("GetSecretValue", Fault())

    response = send(track())

    assert response.status == 503
    assert response.reasons == ["the secret can't be read: InternalServiceError"]


def test_a_failed_attempt_to_read_the_secret_is_remembered(
    send: Send, aws: FakeAws, clock: Clock
) -> None:
    """For 10 seconds, further requests don't become requests to Secrets Manager."""
    aws.fail("GetSecretValue", Fault())

    assert [send(track()).status for _ in range(20)] == [503] * 20

    assert aws.requests.count("GetSecretValue") == 1
    clock.wait(10)
    assert send(track()).status == 200


def test_a_missing_secret_returns_503(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason has AWS's error code, and not its message, which has the account."""
    monkeypatch.setenv("SECRET_ID", "unknown-secret")

    response = send(track())

    assert response.status == 503
    assert response.reasons == ["the secret can't be read: ResourceNotFoundException"]


@pytest.mark.usefixtures("live_key")
def test_a_rejected_key_that_cannot_be_read_again_returns_503(
    send: Send, hyperline: FakeHyperline, aws: FakeAws, clock: Clock
) -> None:
    """The second read of the secret can fail as the first one can."""
    send(IDENTIFY)
    clock.wait(10)
    hyperline.respond(401)
    aws.fail("GetSecretValue", Fault())

    response = send(track())

    assert (response.status, response.counts) == (503, {"pending": 1})


def test_an_event_that_cannot_be_queued_returns_503(
    send: Send, aws: FakeAws, quarantine: Queue
) -> None:
    """An event is quarantined only once it is stored in the queue."""
    aws.fail("SendMessageBatch", *[Fault()] * 3)

    response = send(UNMAPPABLE)

    assert (response.status, response.counts) == (503, {"pending": 1})
    assert response.reasons == [
        "the Quarantine queue can't be written: InternalServiceError"
    ]
    assert send(UNMAPPABLE).status == 422
    assert len(quarantine.messages()) == 1


@pytest.mark.usefixtures("token")
def test_one_pending_event_returns_503(send: Send, hyperline: FakeHyperline) -> None:
    """Segment retries the whole request, whatever the outcome of the other events."""
    hyperline.respond(503)

    response = send(batch(track(), UNMAPPABLE, IDENTIFY))

    assert response.status == 503
    assert response.counts == {"pending": 1, "quarantined": 1, "filtered": 1}


def test_a_throttled_event_returns_429(send: Send, hyperline: FakeHyperline) -> None:
    """Segment retries later."""
    hyperline.respond(429)

    response = send(track())

    assert (response.status, response.counts) == (429, {"pending": 1})


@pytest.mark.usefixtures("token")
def test_a_throttled_and_a_pending_event_return_503(
    send: Send, hyperline: FakeHyperline, aws: FakeAws
) -> None:
    """A 429 would suggest that the rate limit is the only problem."""
    hyperline.respond(429)
    aws.fail("SendMessageBatch", *[Fault()] * 3)

    response = send(batch(track(), UNMAPPABLE))

    assert (response.status, response.counts) == (503, {"pending": 2})


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    "outcomes",
    [subset for size in range(1, 7) for subset in combinations(EVENTS, size)],
    ids=lambda outcomes: "-".join(outcome.name.lower() for outcome in outcomes),
)
def test_the_first_outcome_in_the_table_decides_the_status(
    send: Send, hyperline: FakeHyperline, aws: FakeAws, outcomes: Sequence[Outcome]
) -> None:
    """Segment retries the request exactly if the outcome of an event is pending."""
    hyperline.respond(*scripted_responses(outcomes))
    if Outcome.PENDING in outcomes:
        aws.fail("SendMessageBatch", *reject_pending(outcomes))

    response = send(batch(*(EVENTS[outcome] for outcome in outcomes)))

    first = next(outcome for outcome in Outcome if outcome in outcomes)
    assert response.status == first.value.status
    assert is_retried(response.status) == ("pending" in response.counts)
    assert response.counts == Counter(outcome.value.label for outcome in outcomes)


def reject_pending(outcomes: Sequence[Outcome]) -> list[Fault]:
    """Return SQS's responses, which never confirm the message of the pending event."""
    confirmed = [{"Id": "1"}] if Outcome.QUARANTINED in outcomes else []
    first = json.dumps({"Successful": confirmed}).encode()
    return [Fault("200 OK", first), *[Fault("200 OK", b"{}")] * 2]


def scripted_responses(outcomes: Sequence[Outcome]) -> list[FakeResponse | int]:
    """Return Hyperline's responses that lead to *outcomes* for `EVENTS`."""
    if Outcome.THROTTLED not in outcomes:
        return []
    if Outcome.DELIVERED not in outcomes:
        return [429]
    # Hyperline rejects the batch of both, so that each is posted alone.
    return [400, FakeResponse(202, b"", stores=True), 429]


@pytest.mark.usefixtures("stale_secret")
@pytest.mark.parametrize("status", [503, 429, 401])
def test_an_old_pending_event_is_parked(
    send: Send, hyperline: FakeHyperline, replay_queue: Queue, status: int
) -> None:
    """From an age of 15 minutes it is stored in Replay, and Segment need not retry."""
    hyperline.respond(status, status)
    old = track(receivedAt=ago(16 * MINUTE))

    response = send(old)

    assert (response.status, response.counts) == (200, {"parked": 1})
    assert response.reasons[0].startswith("Hyperline")
    assert len(replay_queue.stored_at()) == 1
    (message,) = replay_queue.messages()
    assert message["events"] == [old]
    assert message["reason"].startswith("Hyperline")


@pytest.mark.parametrize(
    ("seconds", "status", "isolates"),
    [
        *((0, 503, True), (599, 503, True), (600, 503, False), (-1, 503, False)),
        *((0, 429, False), (0, 401, False)),
    ],
)
def test_an_old_event_is_isolated_if_hyperline_accepted_another(
    send: Send,
    clock: Clock,
    hyperline: FakeHyperline,
    replay_queue: Queue,
    seconds: float,
    status: int,
    *,
    isolates: bool,
) -> None:
    """Within 10 minutes; the Replayer then posts it apart from all others."""
    send(track(messageId="m-1"))
    clock.wait(seconds)
    hyperline.respond(status, status)

    response = send(track(receivedAt=ago(HOUR)))

    assert (response.status, response.counts) == (200, {"parked": 1})
    (attributes,) = replay_queue.attributes()
    assert ("IsolatedAt" in attributes) == isolates


@pytest.mark.usefixtures("token")
def test_old_events_of_a_batch_that_fails_are_not_isolated(
    send: Send, hyperline: FakeHyperline, replay_queue: Queue
) -> None:
    """Only one of them may be at fault, and the Replayer finds out which."""
    send(track())
    hyperline.respond(503)
    old = [track(messageId=str(n), receivedAt=ago(HOUR)) for n in range(3)]

    assert send(batch(*old)).counts == {"parked": 3}

    (attributes,) = replay_queue.attributes()
    assert "IsolatedAt" not in attributes


@pytest.mark.parametrize(
    ("key", "environment"),
    [(KEY, "sandbox"), ("prod_key", "production"), ("other_key", "production")],
)
def test_a_stored_event_has_the_environment_of_the_key(
    send: Send,
    hyperline: FakeHyperline,
    secret: Secret,
    quarantine: Queue,
    replay_queue: Queue,
    key: str,
    environment: str,
) -> None:
    """So an event of the sandbox is never billed once the key is replaced."""
    secret.put(hyperline_api_key=key)
    hyperline.respond(503)

    send(track(receivedAt=ago(16 * MINUTE)))
    send(UNMAPPABLE)

    for queue in (replay_queue, quarantine):
        (attributes,) = queue.attributes()
        assert attributes.keys() == {"StoredAt", "Environment"}
        assert attributes["Environment"] == environment


@pytest.mark.parametrize(
    ("times", "parked"),
    [
        ({"receivedAt": ago(14 * MINUTE), "sentAt": ago(9 * HOUR)}, False),
        ({"receivedAt": None, "sentAt": ago(14 * MINUTE)}, False),
        ({"receivedAt": "invalid", "sentAt": ago(4 * HOUR)}, True),
        ({"receivedAt": 5, "sentAt": {}, "timestamp": ago(4 * HOUR)}, True),
        ({"receivedAt": 5, "sentAt": [], "timestamp": ago(MINUTE)}, False),
        ({"receivedAt": ago(-30), "sentAt": ago(9 * HOUR)}, False),
        ({"receivedAt": ago(-9 * HOUR), "sentAt": ago(1)}, True),
    ],
)
def test_the_age_of_an_event_is_read_from_its_times(
    send: Send, hyperline: FakeHyperline, times: dict[str, Any], *, parked: bool
) -> None:
    """The first valid time of receivedAt, sentAt and timestamp is used."""
    hyperline.respond(503)

    assert send(track(**times)).status == (200 if parked else 503)


def test_the_age_of_an_event_without_receipt_is_read_from_its_timestamp(
    send: Send, hyperline: FakeHyperline
) -> None:
    """A mapping in Segment can omit all fields that aren't needed for billing."""
    hyperline.respond(503)
    bare = without("receivedAt", "sentAt") | {"timestamp": ago(4 * HOUR)}

    assert send(bare).counts == {"parked": 1}


def test_an_event_of_unknown_age_is_parked(
    send: Send,
    hyperline: FakeHyperline,
    replay_queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Segment might drop it at any time, so it is stored immediately."""
    by_original = read_rules('timestamp = "originalTimestamp"\nrecord = {}')
    monkeypatch.setattr("receiver.RULES", by_original)
    hyperline.respond(503)

    response = send(without("receivedAt", "sentAt", "timestamp"))

    assert response.counts == {"parked": 1}
    assert len(replay_queue.messages()) == 1


@pytest.mark.parametrize("seconds", ["60", "0"])
def test_the_age_from_which_events_are_parked_is_configurable(
    send: Send,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
    seconds: str,
) -> None:
    """PARK_AFTER_SECONDS replaces the default; 0 parks every pending event."""
    monkeypatch.setenv("PARK_AFTER_SECONDS", seconds)
    hyperline.respond(503)

    assert send(track(receivedAt=ago(120))).counts == {"parked": 1}


def test_a_parked_event_that_cannot_be_stored_returns_503(
    send: Send, hyperline: FakeHyperline, aws: FakeAws
) -> None:
    """A retry by Segment is then the only way left."""
    hyperline.respond(503)
    aws.fail("SendMessageBatch", *[Fault()] * 3)

    response = send(track(receivedAt=ago(4 * HOUR)))

    assert (response.status, response.counts) == (503, {"pending": 1})
    assert response.reasons == [
        "the Replay queue can't be written: InternalServiceError"
    ]


@pytest.mark.usefixtures("token")
def test_a_parked_event_counts_as_stored(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """With a quarantined event beside it, the request has nothing pending."""
    hyperline.respond(503)

    response = send(batch(track(receivedAt=ago(HOUR)), UNMAPPABLE))

    assert response.status == 200
    assert response.counts == {"parked": 1, "quarantined": 1}
    assert len(quarantine.messages()) == 1


def test_an_old_event_is_delivered_like_any_other(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """The age only matters for an event that would otherwise be pending."""
    assert send(track(receivedAt=ago(99 * HOUR))).counts == {"delivered": 1}
    assert len(hyperline.store) == 1
    assert quarantine.messages() == []


def test_a_forged_request_returns_401(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """Nothing of it is billed or stored."""
    webhook = single(write(track()))

    response = send(webhook._replace(headers={"X-Signature": sign("something else")}))

    assert (response.status, response.counts) == (401, {})
    assert hyperline.requests == []
    assert quarantine.messages() == []


def test_an_array_without_a_token_returns_401(
    send: Send, hyperline: FakeHyperline
) -> None:
    """The response, which Segment shows to its user, says what to change."""
    response = send(batch(track(), track(messageId="forged")))

    assert response.status == 401
    assert "set the Authorization header" in response.reasons[0]
    assert hyperline.requests == []


def test_a_request_with_the_wrong_token_returns_401(send: Send, secret: Secret) -> None:
    """If the secret has a token, it is required for a single event too."""
    for key in (KEY, "test_2"):  # so that the previous version has the token too
        secret.put(segment_bearer_token=BEARER_TOKEN, hyperline_api_key=key)
    headers = {"X-Signature": sign(write(track())), "Authorization": "Bearer other"}

    assert send(Webhook(write(track()), headers)).status == 401


def test_an_unsigned_body_is_not_parsed(send: Send) -> None:
    """A sender that can't sign doesn't learn whether the body is valid."""
    assert send(Webhook("not JSON", {})).status == 401


BY_PREVIOUS = (
    "the signature or the token is that of the previous version of the secret: set the"
    " current one in Segment, or put the previous one back"
)


def rotated(**headers: str) -> Webhook:
    """Return a request that is signed with the new secret."""
    text = write(track())
    return Webhook(text, {"X-Signature": sign(text, ROTATED), **headers})


@pytest.mark.parametrize(("seconds", "status"), [(1, 200), (0.9, 401)])
def test_the_secret_is_read_again_before_a_request_is_rejected(
    send: Send,
    secret: Secret,
    aws: FakeAws,
    clock: Clock,
    seconds: float,
    status: int,
) -> None:
    """Segment doesn't retry after 401, so the cached copy could lose an event.

    A copy that was read less than a second ago is used as it is.
    """
    send(IDENTIFY)
    secret.put(segment_shared_secret=ROTATED)
    aws.requests.clear()
    clock.wait(seconds)

    assert send(rotated()).status == status

    # A request that isn't accepted could be signed with the previous version.
    assert aws.requests.count("GetSecretValue") == 1


@pytest.mark.usefixtures("live_key")
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Signature": ""},
        {"X-Signature": "0" * 39},
        {"X-Signature": "0" * 41},
        {"X-Signature": f"sha1={'0' * 40}"},
        {"X-Signature": "g" * 40},
        {"Authorization": f"Bearer {BEARER_TOKEN}"},
    ],
)
def test_a_scan_never_reads_the_secret(
    send: Send, aws: FakeAws, clock: Clock, headers: dict[str, str]
) -> None:
    """No secret could make such a request authentic, so the cached copy suffices."""
    send(IDENTIFY)
    clock.wait(299)
    aws.requests.clear()

    assert send(Webhook(write(track()), headers)).status == 401

    assert aws.requests == []


def test_forged_requests_read_the_secret_once_a_second(
    send: Send, secret: Secret, aws: FakeAws, clock: Clock
) -> None:
    """A sandbox reads it 60 times a minute, and the previous version once."""
    secret.put(hyperline_api_key="prod_1")
    aws.requests.clear()

    for _ in range(600):
        clock.wait(0.1)
        assert send(Webhook("{}", {"X-Signature": "0" * 40})).status == 401

    assert aws.requests.count("GetSecretValue") <= 62


def test_a_request_by_the_previous_secret_returns_503(
    send: Send, secret: Secret, hyperline: FakeHyperline, log: Log, clock: Clock
) -> None:
    """Segment retries it, while its owner sets the new secret there."""
    secret.put(segment_shared_secret=ROTATED)
    clock.wait(1)

    response = send(track())

    assert (response.status, response.counts) == (503, {})
    assert response.reasons == [BY_PREVIOUS]
    assert hyperline.requests == []
    (line,) = log()
    assert (line["level"], line["PreviousSecret"]) == ("WARN", [1])
    assert "Unauthorized" not in line


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"segment_bearer_token": "another-random-token"}),
        (
            {"segment_bearer_token": BEARER_TOKEN},
            {"segment_bearer_token": "another-random-token"},
        ),
        (
            {"segment_bearer_token": BEARER_TOKEN},
            {"segment_bearer_token": "a-new-token-value", "hyperline_api_key": "prod_"},
        ),
    ],
)
def test_a_token_of_the_previous_secret_returns_503(
    send: Send, secret: Secret, before: dict[str, str], after: dict[str, str]
) -> None:
    """The signature can be made with the current secret."""
    secret.put(**before)
    secret.put(**after)

    assert send(track()).status == 503


@pytest.mark.parametrize(
    ("fields", "array_status"),
    [
        ({"segment_shared_secret": ROTATED, "segment_bearer_token": BEARER_TOKEN}, 503),
        ({"segment_bearer_token": None}, 503),
        ({"segment_bearer_token": None, "segment_shared_secret": ROTATED}, 503),
    ],
)
@pytest.mark.usefixtures("token")
def test_an_array_by_the_previous_secret_returns_503(
    send: Send, secret: Secret, fields: dict[str, str | None], array_status: int
) -> None:
    """Also if the current secret has no token, which an array requires."""
    secret.put(**fields)

    assert send(batch(track(), IDENTIFY)).status == array_status


@pytest.mark.usefixtures("token")
def test_an_array_without_the_token_is_not_by_the_previous_secret(
    send: Send, secret: Secret
) -> None:
    """Nobody can append events to a signed one, whatever the versions are."""
    event = write(track())
    forged = Webhook(f"[{event},{event}]", {"X-Signature": sign(event)})

    assert send(forged).status == 401
    secret.put(segment_bearer_token=None)
    assert send(forged).status == 401


def test_a_previous_secret_that_cannot_be_read_returns_503(
    send: Send, aws: FakeAws, secret: Secret
) -> None:
    """The request could be signed with it."""
    secret.put(segment_shared_secret="another-shared-secret")
    send(Webhook("{}", {}))
    aws.fail("GetSecretValue", Fault())

    response = send(track())

    assert response.status == 503
    assert response.reasons == [
        "the previous version of the secret can't be read: InternalServiceError"
    ]


def test_the_log_shows_which_value_segment_uses(
    send: Send, secret: Secret, log: Log, clock: Clock
) -> None:
    """When nothing uses the old value any more, it can be removed."""
    tokens = ["a-new-random-token", BEARER_TOKEN]
    secret.put(segment_shared_secret=[ROTATED, SHARED_SECRET])
    send(IDENTIFY)
    secret.put(segment_bearer_token=tokens)
    clock.wait(10)
    send(rotated(Authorization=f"Bearer {BEARER_TOKEN}"))
    secret.put(segment_shared_secret=ROTATED, segment_bearer_token=BEARER_TOKEN)
    clock.wait(10)
    send(rotated(Authorization=f"Bearer {BEARER_TOKEN}"))

    first, second, third = log()
    assert first["shared_secret_number"] == 2
    assert "bearer_token_number" not in first
    assert (second["shared_secret_number"], second["bearer_token_number"]) == (1, 2)
    assert not {"shared_secret_number", "bearer_token_number"} & third.keys()


TEST_EVENT = track(messageId="segment-test-message-1")
WARNING = "the secret's segment_shared_secret begins or ends with a space: remove it"


@pytest.mark.parametrize("shared", [SHARED_SECRET, f"{SHARED_SECRET} "])
def test_a_mistake_in_the_secret_is_reported_to_the_event_tester(
    send: Send, secret: Secret, shared: str
) -> None:
    """Segment may have what is written or what is meant; both are accepted."""
    secret.put(segment_shared_secret=f"{SHARED_SECRET} ")

    def signed(event: Any) -> Webhook:
        return Webhook(write(event), {"X-Signature": sign(write(event), shared)})

    response = send(signed(TEST_EVENT))

    assert (response.status, response.body["warnings"]) == (200, [WARNING])
    assert "warnings" not in send(signed(track())).body


def test_a_request_that_fails_by_a_mistake_in_the_secret_returns_503(
    send: Send, secret: Secret
) -> None:
    """Segment retries it, while its owner corrects the secret."""
    for key in (KEY, "test_2"):
        secret.put(segment_shared_secret=f"{ROTATED} ", hyperline_api_key=key)

    response = send(track())

    assert response.status == 503
    assert response.reasons == [
        f"the request is not authentic, perhaps because {WARNING}"
    ]
    assert send(Webhook(write(track()), {})).status == 401


@pytest.mark.parametrize("body", ["", "not JSON", "null", "1", '"text"', "[]", '{"a":'])
def test_a_body_without_events_returns_400(send: Send, body: str) -> None:
    """There is nothing to bill, and a retry can't change that."""
    response = send(single(body))

    assert (response.status, response.counts) == (400, {})
    assert len(response.reasons) == 1


def test_a_request_has_one_log_line(send: Send, secret: Secret, log: Log) -> None:
    """It has the counts of the response and the messageIds, and no other event data."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    events = batch(track(), UNMAPPABLE, IDENTIFY, track(messageId="m-2"))

    send(events)

    (line,) = log()
    counts = {"Received": 4, "Delivered": 2, "Filtered": 1, "Quarantined": 1}
    assert {name: line[name] for name in counts} == {n: [c] for n, c in counts.items()}
    assert (line["level"], line["status"]) == ("INFO", 200)
    assert line["events"] == [
        {
            "outcome": "quarantined",
            "code": "unmappable",
            "reason": "rule 1 (track): customer_id: userId is null",
            "count": 1,
            "ids": "m-unmappable",
        },
        {"outcome": "delivered", "count": 2, "ids": f"{track()['messageId']} m-2"},
        {"outcome": "filtered", "count": 1, "ids": "m-identify"},
    ]
    secrets = (BEARER_TOKEN, KEY, SHARED_SECRET, events.headers["X-Signature"])
    for private in ("customer-42", "team", "Seats Added", *secrets):
        assert private not in json.dumps(line)


def test_a_status_other_than_200_is_logged_as_a_warning(
    send: Send, hyperline: FakeHyperline, log: Log
) -> None:
    """Problems can be found in the log by their level."""
    hyperline.respond(503)

    send(track())

    (line,) = log()
    assert (line["level"], line["status"], line["Pending"]) == ("WARN", 503, [1])
    assert line["Delivered"] == [0]


REJECTION_METRICS = {
    *("Unauthorized", "Malformed", "SecretErrors", "PreviousSecret"),
    "SegmentRejected",
}


@pytest.mark.parametrize(
    ("webhook", "faults", "status", "metrics"),
    [
        (Webhook(write(track()), {}), [], 401, {"Unauthorized"}),
        (
            Webhook(write(track()), {"User-Agent": "Segment.io/1.0"}),
            [],
            401,
            {"Unauthorized", "SegmentRejected"},
        ),
        (
            Webhook(write(track()), {"X-Signature": "0"}),
            [],
            401,
            {"Unauthorized", "SegmentRejected"},
        ),
        (Webhook(write(track()), {"User-Agent": "scanner"}), [], 401, {"Unauthorized"}),
        (single("not JSON"), [], 400, {"Malformed", "SegmentRejected"}),
        (single(write(track())), [Fault()], 503, {"SecretErrors"}),
    ],
)
def test_a_rejected_request_is_counted_by_its_cause(
    send: Send,
    aws: FakeAws,
    log: Log,
    webhook: Webhook,
    faults: list[Fault],
    status: int,
    metrics: set[str],
) -> None:
    """No metric counts an event; one is for what Segment sent and doesn't retry."""
    aws.fail("GetSecretValue", *faults)

    response = send(webhook)

    assert response.status == status
    (line,) = log()
    assert (line["level"], line["status"]) == ("WARN", status)
    assert line["error"] == response.reasons[0]
    assert line["code"] == response.body["errors"][0]["code"]
    assert all(line[metric] == [1] for metric in metrics)
    assert line.keys() & UNITS.keys() == metrics


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize("status", [202, 400, 401, 429, 503])
def test_a_request_that_is_not_rejected_is_not_counted_as_rejected(
    send: Send, hyperline: FakeHyperline, log: Log, status: int
) -> None:
    """A rejected event or API key is not a rejected request."""
    hyperline.respond(FakeResponse(status, stores=True))

    send(track())
    send(UNMAPPABLE)
    send(IDENTIFY)

    lines = log()
    assert len(lines) == 3
    assert not any(REJECTION_METRICS & line.keys() for line in lines)


@pytest.mark.usefixtures("token")
def test_the_response_has_a_maximum_size(send: Send) -> None:
    """Segment's client hangs on large responses, so only the first errors fit."""
    events = [track(userId=None, messageId=f"{n}" + "😀" * 9_000) for n in range(40)]
    webhook = batch(*events)

    response = receiver.lambda_handler(to_api_gateway(webhook), Context())

    assert len(response["body"].encode()) < 4096
    assert 1 <= len(json.loads(response["body"])["errors"]) <= 10
    assert len(send(batch(*[UNMAPPABLE] * 40)).body["errors"]) == 10


def test_an_event_without_a_message_id_is_reported_without_one(send: Send) -> None:
    """No other field of an event identifies it and is free of personal data."""
    response = send(without("messageId"))

    assert response.body["errors"] == [
        {
            "message_id": None,
            "code": "unmappable",
            "reason": "rule 1 (track): messageId is missing",
        }
    ]


def test_a_preview_that_does_not_fit_is_omitted(send: Send, secret: Secret) -> None:
    """The errors stay in the response."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    properties = {"text": "x" * 4_000}
    test = track(messageId="segment-test-message-1", properties=properties)

    response = send(array([write(test), write(UNMAPPABLE)]))

    assert "preview" not in response.body
    assert response.reasons == ["rule 1 (track): customer_id: userId is null"]


def test_a_bug_in_the_mapping_quarantines_the_event(
    send: Send, quarantine: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in the mapping of an event is that event's result."""
    # No event is known to raise one, so the rules are replaced by invalid ones.
    monkeypatch.setattr("receiver.RULES", {"track": ()})

    response = send(UNMAPPABLE)

    assert (response.status, response.counts) == (422, {"quarantined": 1})
    assert quarantine.messages() == [
        {
            "code": "mapping_failed",
            "reason": "the mapping failed with AttributeError",
            "events": [UNMAPPABLE],
        }
    ]


# Hyperline rejects the batch of two; then the first is delivered, and the key of the
# second is rejected.
KEY_REJECTED_LATER = (
    FakeResponse(400),
    FakeResponse(202, b"", stores=True),
    FakeResponse(401),
)


@pytest.mark.usefixtures("token", "stale_secret")
def test_only_the_events_whose_key_was_rejected_are_posted_again(
    send: Send, hyperline: FakeHyperline
) -> None:
    """Events of the same request that were delivered before are not."""
    hyperline.respond(*KEY_REJECTED_LATER)

    response = send(batch(track(), track(messageId="m-2")))

    assert response.counts == {"delivered": 2}
    _, first, rejected, again = hyperline.requests
    assert again.body == rejected.body != first.body


@pytest.mark.usefixtures("token", "live_key")
def test_a_failed_refresh_does_not_change_earlier_results(
    send: Send, hyperline: FakeHyperline, aws: FakeAws, clock: Clock
) -> None:
    """Only the events whose key was rejected are pending."""
    send(IDENTIFY)
    clock.wait(10)
    hyperline.respond(*KEY_REJECTED_LATER)
    aws.fail("GetSecretValue", Fault())

    response = send(batch(track(), track(messageId="m-2")))

    assert response.status == 503
    assert response.counts == {"delivered": 1, "pending": 1}


@pytest.mark.parametrize("status", [400, 413])
def test_a_rejection_with_retry_after_concerns_no_other_event(
    send: Send, hyperline: FakeHyperline, status: int
) -> None:
    """The circuit breaker doesn't quarantine an event that was never posted."""
    hyperline.respond(FakeResponse(status, headers={"Retry-After": "30"}))
    assert send(track(messageId="m-rejected")).status == 422

    assert send(track()).counts == {"delivered": 1}


@pytest.mark.usefixtures("stale_secret")
def test_a_rejected_key_with_retry_after_is_refreshed(
    send: Send, hyperline: FakeHyperline
) -> None:
    """The new key is tried immediately."""
    hyperline.respond(FakeResponse(401, headers={"Retry-After": "30"}))

    assert send(track()).counts == {"delivered": 1}


def test_any_message_id_is_logged(send: Send, log: Log) -> None:
    """The line is ASCII, so that a lone surrogate or a control character is escaped."""
    text = write(track(userId=None, messageId="ID")).replace("ID", r"\ud800\u0085")

    assert send(single(text)).status == 422

    (line,) = log()
    assert line["events"][0]["ids"] == "\ud800\u0085"
