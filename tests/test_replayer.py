"""The Replayer: what happens to each message of the Replay queue."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

import replayer
from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from segment_to_hyperline.aws.messages import ReceivedMessage
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline.plan import REPLAYER
from segment_to_hyperline.replay import replay_messages
from tests.clock import NOW, Clock, ago
from tests.conftest import Log, Queue, Secret
from tests.fake_aws import FakeAws, Fault
from tests.samples import BILLABLE, read_rules, sqs_batch, track

type Replay = Callable[..., list[str]]

HOUR = 60 * 60
DAY = 24 * HOUR


@pytest.fixture
def replay(
    secret: Secret,
    quarantine: Queue,
    replay_queue: Queue,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
) -> Replay:
    """Replay messages with these bodies in one batch; return the unfinished ones."""
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "60")  # as in template.yaml
    assert secret
    assert quarantine
    assert replay_queue
    assert hyperline

    def replay(*bodies: str, **attributes: Any) -> list[str]:
        response = replayer.lambda_handler(sqs_batch(*bodies, **attributes), Context())
        failures = response["batchItemFailures"]
        return [bodies[int(failure["itemIdentifier"])] for failure in failures]

    return replay


def message(*events: Any, reason: str = "no") -> str:
    """Return the body of a message."""
    return json.dumps({"reason": reason, "events": events})


def stored(hyperline: FakeHyperline) -> list[Any]:
    """Return the events that Hyperline stored."""
    return [json.loads(event) for event in hyperline.store.values()]


UNMAPPABLE = track(userId=None)
GOOD = message(track())
FILTERED = message(track(type="identify"))
MIXED = message(track(messageId="m-2"), UNMAPPABLE)
REASON = "rule 1 (track): customer_id: userId is null"


def test_a_parked_event_is_billed(replay: Replay, hyperline: FakeHyperline) -> None:
    """Its id is still the messageId, so an event is not billed a second time."""
    assert replay(GOOD, FILTERED) == []
    assert stored(hyperline) == [BILLABLE]


def test_the_events_of_many_messages_are_posted_together(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """A thousand messages with one event each are one request to Hyperline."""
    bodies = [message(track(messageId=f"m-{number}")) for number in range(1_000)]

    assert replay(*bodies) == []

    assert len(hyperline.store) == 1_000
    assert [request.path for request in hyperline.requests] == ["/v1/events/batch"]


def test_an_event_that_cannot_be_mapped_is_quarantined(
    replay: Replay, quarantine: Queue, replay_queue: Queue, hyperline: FakeHyperline
) -> None:
    """Only this event, with the current reason; the rest of its message is billed."""
    assert replay(GOOD, MIXED) == []

    assert len(hyperline.store) == 2
    assert quarantine.messages() == [
        {"code": "unmappable", "reason": REASON, "events": [UNMAPPABLE]}
    ]
    assert replay_queue.messages() == []


def test_a_rejected_event_is_quarantined(
    replay: Replay, quarantine: Queue, hyperline: FakeHyperline
) -> None:
    """Hyperline's reason goes to the owner, and the others are billed."""
    hyperline.unknown_customers.add("nobody")
    rejected = track(messageId="m-2", userId="nobody")

    assert replay(GOOD, message(rejected, track(messageId="m-3"))) == []

    assert len(hyperline.store) == 2
    (stored_message,) = quarantine.messages()
    assert stored_message["events"] == [rejected]
    assert "events_failed" in stored_message["reason"]


@pytest.mark.parametrize("status", [301, 401, 403, 408, 429, 500, 503])
def test_a_message_stays_while_hyperline_fails(
    replay: Replay,
    quarantine: Queue,
    replay_queue: Queue,
    hyperline: FakeHyperline,
    status: int,
) -> None:
    """Nothing is written to a queue: the message stays, and is billed later."""
    hyperline.outage = FakeResponse(status)

    assert replay(GOOD, MIXED, receives=30) == [GOOD]

    hyperline.outage = None
    assert [m["events"] for m in quarantine.messages()] == [[UNMAPPABLE]]
    assert [m["events"] for m in replay_queue.messages()] == [[track(messageId="m-2")]]
    assert replay(GOOD) == []
    assert BILLABLE in stored(hyperline)


def test_an_event_keeps_its_text_when_only_the_rest_of_a_message_stays(
    replay: Replay, replay_queue: Queue, hyperline: FakeHyperline
) -> None:
    """Numbers, duplicate keys and spaces are what Segment wrote."""
    text = json.dumps(track()).replace('"seats": 3', '"seats": 1e-7, "seats" :2E+0')
    filtered = json.dumps(track(type="page"))
    hyperline.respond(503)

    assert replay(f'{{"reason": "no", "events": [{filtered}, {text}]}}') == []

    (body,) = replay_queue.bodies()
    assert f"[{text}]" in body


def test_a_message_keeps_the_time_at_which_it_was_first_stored(
    replay: Replay, quarantine: Queue, replay_queue: Queue, hyperline: FakeHyperline
) -> None:
    """Also after it moved between queues, because alarms and people rely on it."""
    first = "2026-11-20T08:00:00+00:00"
    hyperline.respond(429)

    assert replay(MIXED, stored_at=first) == []

    assert quarantine.stored_at() == [first]
    assert replay_queue.stored_at() == [first]


FIRST = "2026-11-20T08:00:00+00:00"


@pytest.mark.parametrize(
    ("environment", "key", "action"),
    [
        ("sandbox", "prod_key", "delete the message if it is a test"),
        ("production", KEY, "put the production key (prod_…) into the secret"),
    ],
)
def test_a_message_of_the_other_environment_is_quarantined(
    replay: Replay,
    quarantine: Queue,
    hyperline: FakeHyperline,
    secret: Secret,
    environment: str,
    key: str,
    action: str,
) -> None:
    """It is not posted, and returns to Quarantine however often it is moved."""
    secret.put(hyperline_api_key=key)
    for _ in range(2):
        assert replay(MIXED, environment=environment, stored_at=FIRST) == []

        attributes = {"StoredAt": FIRST, "Environment": environment}
        assert quarantine.attributes() == [attributes]
        (stored_message,) = quarantine.messages()
        assert stored_message["events"] == json.loads(MIXED)["events"]
        assert action in stored_message["reason"]
    assert hyperline.requests == []


@pytest.mark.parametrize(
    ("environment", "key"),
    [("sandbox", KEY), ("production", "prod_key"), ("", KEY), ("", "prod_key")],
)
def test_a_message_of_the_same_or_an_unknown_environment_is_billed(
    replay: Replay,
    hyperline: FakeHyperline,
    secret: Secret,
    environment: str,
    key: str,
) -> None:
    """Version 0.1.0 stored messages without an environment."""
    hyperline.key = key
    secret.put(hyperline_api_key=key)

    assert replay(GOOD, environment=environment) == []

    assert stored(hyperline) == [BILLABLE]


@pytest.mark.usefixtures("live_key")
def test_a_key_of_the_other_environment_is_not_used_at_once(
    replay: Replay,
    quarantine: Queue,
    hyperline: FakeHyperline,
    secret: Secret,
    clock: Clock,
) -> None:
    """When a key is replaced and rejected, its events belong to its environment."""
    assert replay(FILTERED) == []
    clock.wait(10)
    secret.put(hyperline_api_key="test_key")
    hyperline.key = "test_key"

    assert replay(GOOD, environment="production") == [GOOD]
    assert replay(GOOD, environment="production") == []

    assert hyperline.store == {}
    assert [m["events"] for m in quarantine.messages()] == [[track()]]


def test_a_test_event_of_the_other_environment_is_dropped(
    replay: Replay, quarantine: Queue, secret: Secret
) -> None:
    """No revenue depends on it."""
    secret.put(hyperline_api_key="prod_key")
    test_event = track(messageId="segment-test-message-1")

    assert replay(message(test_event), environment="sandbox") == []

    assert quarantine.messages() == []


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, {}),  # a message of version 0.1.0
        ({"stored_at": FIRST}, {"StoredAt": FIRST}),
        (
            {"stored_at": FIRST, "environment": "sandbox"},
            {"StoredAt": FIRST, "Environment": "sandbox"},
        ),
        (
            {"stored_at": FIRST, "environment": "sandbox", "isolated_at": FIRST},
            {"StoredAt": FIRST, "Environment": "sandbox", "IsolatedAt": FIRST},
        ),
    ],
)
def test_an_event_keeps_its_attributes_when_it_is_moved(
    replay: Replay,
    quarantine: Queue,
    replay_queue: Queue,
    hyperline: FakeHyperline,
    attributes: dict[str, str],
    expected: dict[str, str],
) -> None:
    """In Quarantine it isn't isolated, so that its owner's redrive starts afresh."""
    hyperline.respond(429)

    assert replay(MIXED, **attributes) == []

    (parked,) = replay_queue.attributes()
    (quarantined,) = quarantine.attributes()
    assert expected.items() <= parked.items()
    expected.pop("IsolatedAt", None)
    assert expected.items() <= quarantined.items()
    assert "IsolatedAt" not in quarantined
    assert parked.keys() - expected.keys() <= {"StoredAt", "IsolatedAt"}
    assert ("IsolatedAt" in parked) == ("isolated_at" in attributes)


@pytest.mark.parametrize("content", ["not JSON", "{}"])
def test_the_environment_is_unknown_if_the_key_cannot_be_read(
    replay: Replay, quarantine: Queue, secret: Secret, content: str
) -> None:
    """The message then has no such attribute, and will be billed."""
    secret.write(content)

    assert replay(GOOD, environment="production") == [GOOD]
    assert replay(GOOD, sent=days_ago(13)) == []

    assert [set(names) for names in quarantine.attributes()] == [{"StoredAt"}]


def test_a_deeply_nested_event_is_quarantined(
    replay: Replay, quarantine: Queue, hyperline: FakeHyperline
) -> None:
    """The other events of its message are billed."""
    deep = json.dumps(UNMAPPABLE).replace("null", "[" * 12_000 + "]" * 12_000, 1)
    body = f'{{"reason": "no", "events": [{deep}, {json.dumps(track())}]}}'

    assert replay(body) == []

    assert stored(hyperline) == [BILLABLE]
    assert deep in quarantine.bodies()[0]


def test_a_foreign_message_of_1_mib_is_quarantined(
    replay: Replay, quarantine: Queue
) -> None:
    """Its attributes, which are those that it had, fit as well."""
    foreign = "x" * (1_048_576 - len("StoredAtString" + FIRST))

    assert replay(foreign, stored_at=FIRST) == []

    assert quarantine.bodies() == [foreign]


def test_a_foreign_message_is_quarantined_unchanged(
    replay: Replay, quarantine: Queue, hyperline: FakeHyperline
) -> None:
    """A message that this application didn't create doesn't stop the others."""
    foreign = '{"some": "thing else"}'

    assert replay(foreign, GOOD) == []

    assert quarantine.bodies() == [foreign]
    assert stored(hyperline) == [BILLABLE]


def test_only_the_foreign_message_that_is_not_stored_stays(
    replay: Replay, aws: FakeAws
) -> None:
    """The other one is deleted from Replay, because Quarantine has it."""
    digest = hashlib.md5(b"first").hexdigest()
    stored_first = {
        "Successful": [{"Id": "0", "MessageId": "x", "MD5OfMessageBody": digest}],
        "Failed": [{"Id": "1", "Code": "InternalError", "SenderFault": False}],
    }
    fault = Fault("200 OK", json.dumps(stored_first).encode())
    aws.fail("SendMessageBatch", fault, Fault(), Fault())

    assert replay("first", "second") == ["second"]


def test_a_foreign_message_in_quarantine_is_not_isolated(
    replay: Replay, quarantine: Queue
) -> None:
    """After its owner has corrected it, it is tried like any other."""
    assert replay("foreign", stored_at=FIRST, isolated_at=FIRST) == []

    assert quarantine.attributes() == [{"StoredAt": FIRST}]


@pytest.mark.parametrize("operations", [["SendMessageBatch"] * 3])
def test_a_message_stays_if_its_rest_cannot_be_stored(
    replay: Replay,
    aws: FakeAws,
    quarantine: Queue,
    hyperline: FakeHyperline,
    operations: list[str],
) -> None:
    """Events are stored before their message is deleted."""
    for operation in operations:
        aws.fail(operation, Fault())

    assert replay(MIXED, GOOD) == [MIXED]

    assert len(hyperline.store) == 2
    assert replay(MIXED) == []
    assert len(quarantine.messages()) == 1


def test_a_message_stays_while_the_secret_cannot_be_read(
    replay: Replay, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt bills its events."""
    monkeypatch.setattr("segment_to_hyperline.secret_cache._FRESH_SECONDS", 0)
    aws.fail("GetSecretValue", Fault())

    assert replay(GOOD) == [GOOD]
    assert replay(GOOD) == []


def days_ago(days: float) -> int:
    """Return the time so many days ago, in milliseconds since 1970, as SQS has it."""
    return int((NOW - timedelta(days=days)).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("attributes", "expired"),
    [
        ({"sent": days_ago(11), "receives": 900}, False),
        ({"sent": days_ago(12.1)}, True),
        ({"receives": 901}, True),
    ],
)
def test_a_message_that_sqs_would_delete_is_quarantined(
    replay: Replay,
    quarantine: Queue,
    hyperline: FakeHyperline,
    attributes: dict[str, int],
    *,
    expired: bool,
) -> None:
    """Before SQS deletes it after 14 days, a person is asked, in a new message."""
    hyperline.respond(429)

    assert replay(GOOD, **attributes) == ([] if expired else [GOOD])

    assert quarantine.messages() == (
        [
            {
                "code": "expired",
                "reason": "not delivered for too long: Hyperline's rate limit is"
                " exceeded (429): scripted failure",
                "events": [track()],
            }
        ]
        if expired
        else []
    )


class Backoff(NamedTuple):
    """The range of delays in seconds after a number of receives."""

    receives: int
    shortest: int
    longest: int


@pytest.mark.parametrize(
    "expected",
    [
        Backoff(1, 48, 72),
        Backoff(2, 96, 144),
        Backoff(4, 384, 576),
        Backoff(5, 720, 1080),
        Backoff(800, 720, 1080),
    ],
)
@pytest.mark.usefixtures("secret", "replay_queue", "quarantine")
def test_an_unfinished_message_is_delayed_longer_each_time(
    hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch, expected: Backoff
) -> None:
    """The delay doubles from about 1 minute to about 15, with some variation."""
    monkeypatch.setenv("BACKOFF_SECONDS", "60")
    delays = {delay(hyperline, expected.receives) for _ in range(10)}

    assert all(expected.shortest <= d <= expected.longest for d in delays)
    assert len(delays) > 1


@pytest.mark.usefixtures("secret", "replay_queue", "quarantine")
def test_retry_after_is_respected(
    hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Hyperline asks to wait for an hour, the message is delayed for an hour."""
    monkeypatch.setenv("BACKOFF_SECONDS", "60")

    assert (
        delay(hyperline, 1, FakeResponse(429, headers={"Retry-After": "3600"})) == 3600
    )


@pytest.mark.usefixtures("secret", "replay_queue", "quarantine")
def test_retry_after_of_an_outage_is_respected_for_a_single_event(
    hyperline: FakeHyperline,
) -> None:
    """Only while Hyperline accepts others, it can be due to the event."""
    response = FakeResponse(503, headers={"Retry-After": "3600"})

    assert delay(hyperline, 1, response) == 3600


def delay(
    hyperline: FakeHyperline, receives: int, response: FakeResponse | int = 503
) -> int:
    """Return the delay of a message that was received so often, after *response*."""
    hyperline.respond(response)
    received = ReceivedMessage(
        id="1",
        receipt_handle="handle",
        body=GOOD,
        sent_at=NOW.timestamp(),
        receives=receives,
    )
    replay = replay_messages([received], replayer.RULES, Deadline(5))
    return replay.delays["handle"]


def test_a_delayed_message_becomes_invisible(
    replay: Replay, aws: FakeAws, hyperline: FakeHyperline
) -> None:
    """The visibility of unfinished messages is changed, ten in a request."""
    bodies = [message(track(messageId=f"m-{number}")) for number in range(25)]
    hyperline.outage = FakeResponse(503)

    assert replay(*bodies) == bodies

    assert aws.requests.count("ChangeMessageVisibilityBatch") == 3


def test_an_outage_ends_a_replay_after_a_few_posts(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """What Hyperline confirmed before is finished; the rest stays in the queue."""
    large = [
        message(track(messageId=f"m-{number}", properties={"text": "x" * 200_000}))
        for number in range(40)
    ]
    hyperline.respond(FakeResponse(202, b""))
    hyperline.outage = FakeResponse(503)

    unfinished = replay(*large)

    assert 0 < len(unfinished) < 40
    assert len(hyperline.requests) == 1 + 6 + 5  # batches, then single events


@pytest.mark.parametrize(
    ("statuses", "stays", "pauses"),
    [([503], True, [30]), ([429], True, [30]), ([], False, [])],
)
def test_the_replayer_pauses_if_the_next_messages_would_fail_as_well(
    replay: Replay,
    hyperline: FakeHyperline,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    statuses: list[int],
    pauses: list[float],
    *,
    stays: bool,
) -> None:
    """Otherwise it would receive more messages in an outage than SQS can delay."""
    monkeypatch.setenv("BACKOFF_SECONDS", "30")
    hyperline.respond(*statuses)

    assert replay(GOOD, FILTERED) == [GOOD] * stays

    assert clock.pauses == pauses


def test_the_replayer_pauses_although_hyperline_has_accepted_events_before(
    replay: Replay,
    hyperline: FakeHyperline,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What an earlier invocation could post says nothing about the next messages."""
    monkeypatch.setenv("BACKOFF_SECONDS", "30")
    other = message(track(messageId="m-2"))
    assert replay(GOOD) == []
    hyperline.respond(503)

    assert replay(other) == [other]

    assert clock.pauses == [30]


def test_the_replayer_does_not_pause_because_of_isolated_events(
    replay: Replay, hyperline: FakeHyperline, clock: Clock
) -> None:
    """That they fail again says nothing about the next messages."""
    hyperline.respond(503)

    assert replay(GOOD, isolated_at=ago(HOUR)) == [GOOD]

    assert clock.pauses == []


def test_the_replayer_does_not_pause_while_hyperline_accepts_events(
    replay: Replay, hyperline: FakeHyperline, clock: Clock
) -> None:
    """The next messages are billed, although some can't be finished."""
    hyperline.respond(FakeResponse(202, b""), 429)
    other = message(track(messageId="m-2", event="Other"))

    assert replay(GOOD, other) == [other]

    assert clock.pauses == [REPLAYER.interval]


def test_a_slow_hyperline_leaves_messages_in_the_queue(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """The deadline is shared by all messages of a batch."""
    hyperline.respond(FakeResponse(202, b"", delay=60))

    assert replay(GOOD, FILTERED) == [GOOD]


@pytest.mark.parametrize("number", ["1e400", "9" * 5_000])
def test_a_number_that_is_too_large_is_quarantined(
    replay: Replay, quarantine: Queue, number: str
) -> None:
    """It can be read, and JSON can't represent it in a billable event."""
    body = GOOD.replace('"seats": 3', f'"seats": {number}')

    assert replay(body) == []

    assert f'"seats": {number}' in quarantine.bodies()[0]


def test_an_event_that_crashes_the_mapping_is_quarantined(
    replay: Replay, quarantine: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug fails one event, and not the whole batch of messages."""
    monkeypatch.setattr("replayer.RULES", {"track": ()})

    assert replay(GOOD, FILTERED) == []

    assert [m["reason"] for m in quarantine.messages()] == [
        "the mapping failed with AttributeError"
    ]


def test_a_duplicate_message_is_billed_once(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """SQS may deliver a message more than once."""
    assert replay(GOOD, GOOD) == []
    assert replay(GOOD) == []
    assert stored(hyperline) == [BILLABLE]
    assert len({request.body for request in hyperline.requests}) == 1


@pytest.mark.usefixtures("replay")
def test_two_replayers_at_once_bill_once(hyperline: FakeHyperline) -> None:
    """Each posts the same, so it doesn't matter which is the last."""

    def run(_: int) -> int:
        received = ReceivedMessage("1", "handle", GOOD, 0, 1)
        replay = replay_messages([received], replayer.RULES, Deadline(5))
        return len(replay.unfinished)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(run, range(8))) == 0

    assert stored(hyperline) == [BILLABLE]
    assert len({request.body for request in hyperline.requests}) == 1


def test_a_corrected_mapping_applies(
    replay: Replay,
    quarantine: Queue,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An event that could not be mapped is billed once it can be, under the same id."""
    body = message(UNMAPPABLE)
    assert replay(body) == []
    (quarantined,) = quarantine.bodies()

    corrected = read_rules('customer_id = "context.groupId"\nrecord = {}')
    monkeypatch.setattr("replayer.RULES", corrected)

    assert replay(quarantined) == []
    assert stored(hyperline) == [
        BILLABLE | {"customer_id": "account-7", "record": {"id": track()["messageId"]}}
    ]


def test_ten_of_the_largest_messages_fit_an_invocation(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """Lambda passes at most 6 MB of messages; each has at most 256 KiB."""
    text = "x" * 60_000
    bodies = [
        message(
            *[
                track(messageId=f"{batch}-{n}", properties={"text": text})
                for n in range(4)
            ]
        )
        for batch in range(10)
    ]

    assert replay(*bodies) == []

    assert len(hyperline.store) == 40


def test_an_invocation_leaves_one_log_line(replay: Replay, log: Log) -> None:
    """It has the counts of events and their messageIds, and no other event data."""
    replay(GOOD, MIXED, FILTERED)

    (line,) = log()
    assert (line["service"], line["level"]) == ("replayer", "INFO")
    assert (line["messages"], line["unfinished"]) == (3, 0)
    counts = {"Received": 4, "Delivered": 2, "Filtered": 1, "Quarantined": 1}
    assert {name: line[name] for name in counts} == {n: [c] for n, c in counts.items()}
    assert line["events"][0]["reason"] == REASON
    assert "customer-42" not in json.dumps(line)


def test_unfinished_messages_are_logged_as_a_warning(
    replay: Replay, hyperline: FakeHyperline, log: Log
) -> None:
    """The line has the reason for which Hyperline's outage is known."""
    hyperline.respond(503)

    replay(GOOD)

    (line,) = log()
    assert (line["level"], line["unfinished"], line["Pending"]) == ("WARN", 1, [1])
    assert line["events"][0]["reason"] == "Hyperline failed (503)"


def test_a_stale_secret_is_reported(
    replay: Replay, aws: FakeAws, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log has a warning, and a metric counts the invocation."""
    replay(GOOD)
    monkeypatch.setattr("segment_to_hyperline.secret_cache._FRESH_SECONDS", 0)
    monkeypatch.setattr("segment_to_hyperline.secret_cache._MAX_AGE_SECONDS", 0)
    aws.fail("GetSecretValue", Fault())
    log()

    assert replay(GOOD) == []

    (line,) = log()
    assert (line["level"], line["StaleSecret"]) == ("WARN", [1])
    assert line["warning"] == "the secret can't be read: InternalServiceError"


@pytest.mark.parametrize(
    ("event", "statuses"),
    [(track(), [503]), (track(), [400]), (UNMAPPABLE, [])],
)
def test_the_age_of_the_oldest_event_is_a_metric(
    replay: Replay,
    hyperline: FakeHyperline,
    log: Log,
    event: dict[str, Any],
    statuses: list[int],
) -> None:
    """ReplayAlarm uses it; it counts from when the events were first stored.

    An event that returns to Quarantine is as old as one that stays in Replay.
    """
    two_days_ago = ago(2 * DAY)
    hyperline.respond(*statuses)

    replay(message(event), stored_at=two_days_ago)

    (line,) = log()
    assert line["OldestEvent"] == [2 * DAY]
    replay(GOOD, stored_at=two_days_ago)
    (line,) = log()
    assert line["OldestEvent"] == [0]


@pytest.mark.usefixtures("replay")
@pytest.mark.parametrize(
    "attributes",
    [
        {"StoredAt": {"dataType": "Binary", "binaryValue": "AAAA"}},
        {"StoredAt": {"dataType": "String", "stringValue": "yesterday"}},
        {"StoredAt": {}},
        {},
        None,
    ],
)
def test_a_message_with_any_attributes_is_replayed(
    hyperline: FakeHyperline, attributes: dict[str, Any] | None
) -> None:
    """An attribute that this application didn't set doesn't stop other messages."""
    event = sqs_batch(GOOD, FILTERED)
    event["Records"][0]["messageAttributes"] = attributes

    response = replayer.lambda_handler(event, Context())

    assert response == {"batchItemFailures": []}
    assert stored(hyperline) == [BILLABLE]


def test_a_message_expires_also_while_the_secret_cannot_be_read(
    replay: Replay, quarantine: Queue, secret: Secret
) -> None:
    """Otherwise SQS would delete it after 14 days."""
    secret.write("not JSON")

    assert replay(GOOD, sent=days_ago(13)) == []

    (quarantined,) = quarantine.messages()
    assert quarantined["events"] == [track()]
    assert quarantined["code"] == "expired"
    assert "the secret is not JSON" in quarantined["reason"]


def test_a_secret_that_cannot_be_read_is_the_reason(
    replay: Replay, secret: Secret, log: Log
) -> None:
    """The log has the code by which the saved queries group."""
    secret.write("not JSON")

    assert replay(GOOD) == [GOOD]

    assert log()[0]["events"][0]["code"] == "secret_unusable"


def test_equal_foreign_messages_stay_if_they_cannot_be_stored(
    replay: Replay, aws: FakeAws
) -> None:
    """None of them is deleted."""
    aws.fail("SendMessageBatch", *[Fault()] * 3)

    assert replay("foreign", "foreign") == ["foreign", "foreign"]


def test_a_message_that_cannot_be_delayed_stays(
    replay: Replay, aws: FakeAws, hyperline: FakeHyperline
) -> None:
    """It becomes visible again after the queue's own timeout."""
    hyperline.respond(503)
    aws.fail("ChangeMessageVisibilityBatch", Fault())

    assert replay(GOOD) == [GOOD]


@pytest.mark.usefixtures("replay")
def test_a_record_that_is_passed_twice_counts_once(
    hyperline: FakeHyperline, log: Log
) -> None:
    """The results of the messages between the two must not be confused."""
    batch = sqs_batch(message(track(messageId="a")), message(track(messageId="b")))
    batch["Records"].append(batch["Records"][0])
    hyperline.outage = FakeResponse(500)

    failures = replayer.lambda_handler(batch, Context())["batchItemFailures"]

    ids = [record["messageId"] for record in batch["Records"][:2]]
    assert [failure["itemIdentifier"] for failure in failures] == ids
    assert log()[0]["Received"] == [2]
