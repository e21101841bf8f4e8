"""The Quarantine queue: it stores events unchanged, each with a reason."""

import hashlib
import json
from collections.abc import Iterable

import pytest

from segment_to_hyperline.attributes import Attributes
from segment_to_hyperline.aws import queues
from segment_to_hyperline.aws.messages import (
    MAX_EVENT_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_SHARED_BYTES,
    StoredEvent,
    create_messages,
)
from segment_to_hyperline.deadline import Deadline
from tests.conftest import Queue
from tests.fake_aws import FakeAws, Fault

# So no test depends on the speed of the machine.
pytestmark = pytest.mark.usefixtures("clock")


def text(number: int, size: int = 10) -> str:
    """Return the JSON of an event that has *size* bytes, or a few more."""
    return json.dumps({"messageId": str(number), "text": "x" * size})


def event(text: str, reason: str) -> StoredEvent:
    """Return an event with this *text* for the queue."""
    return StoredEvent(text, reason)


def store(queue: Queue, events: Iterable[StoredEvent]) -> dict[int, str]:
    """Store *events*; return the positions of those that were not stored, and why."""
    quarantine = queues.Queue("Quarantine", queue.url)
    return queues.store_events(events, quarantine, Deadline(5))


def test_events_with_the_same_reason_share_a_message(quarantine: Queue) -> None:
    """A message contains one reason and the events, byte for byte."""
    events = [
        event('{"n": 1e400}', "no"),
        event("null", "other"),
        event("1", "no"),
    ]

    assert store(quarantine, events) == {}

    assert sorted(quarantine.bodies()) == [
        '{"reason": "no", "events": [{"n": 1e400},1]}',
        '{"reason": "other", "events": [null]}',
    ]


def test_five_thousand_events_are_stored(quarantine: Queue) -> None:
    """A whole request can be quarantined, with as many events per message as fit."""
    events = [event(text(number, 1000), "no") for number in range(5_000)]

    assert store(quarantine, events) == {}

    bodies = quarantine.bodies()
    stored = [event["messageId"] for b in bodies for event in json.loads(b)["events"]]
    assert sorted(map(int, stored)) == list(range(5_000))
    sizes = sorted(len(body) for body in bodies)
    assert sizes[-1] <= MAX_SHARED_BYTES
    assert sizes[1] > MAX_SHARED_BYTES - 1_100


def test_a_message_can_have_the_maximum_size(quarantine: Queue) -> None:
    """An event that exactly fits is stored; the size is that of the UTF-8 text."""
    frame = len('{"reason": "no", "events": [""]}')
    fitting = f'"{"é" * ((MAX_SHARED_BYTES - frame) // 2)}"'

    unstored = store(quarantine, [event(fitting, "no")])

    assert unstored == {}
    (body,) = quarantine.bodies()
    assert MAX_SHARED_BYTES - 2 < len(body.encode()) <= MAX_SHARED_BYTES


@pytest.mark.parametrize("character", ["x", "é", "😀", "\uffff"])
@pytest.mark.parametrize(("excess", "messages"), [(0, 1), (1, 2)])
def test_events_share_a_message_if_they_fit(
    quarantine: Queue, character: str, excess: int, messages: int
) -> None:
    """The size is that of the message as it is sent, down to the last byte."""
    first = event(f'"{character * 100}"', "no")
    store(quarantine, [first, event('""', "no")])
    (body,) = quarantine.bodies()
    rest = MAX_SHARED_BYTES - len(body.encode()) + excess

    store(quarantine, [first, event(f'"{"x" * rest}"', "no")])

    bodies = quarantine.bodies()
    assert len(bodies) == messages
    assert messages == 2 or len(bodies[0].encode()) == MAX_SHARED_BYTES


@pytest.mark.parametrize(("excess", "number"), [(0, 1), (1, 2)])
def test_the_attributes_of_a_shared_message_count(excess: int, number: int) -> None:
    """An invocation of the Replayer has room for ten of the largest."""
    attributes = Attributes("2026-11-24T12:00:00+00:00", "production")
    first, empty = (StoredEvent(text, "no", attributes) for text in ('"x"', '""'))
    (smallest,) = create_messages([first, empty])
    rest = MAX_SHARED_BYTES - smallest.size() + excess

    messages = list(create_messages([first, empty._replace(text=f'"{"x" * rest}"')]))

    assert len(messages) == number
    assert number == 2 or messages[0].size() == MAX_SHARED_BYTES


def test_a_request_has_at_most_10_messages(quarantine: Queue, aws: FakeAws) -> None:
    """SQS rejects a larger batch."""
    events = [event(text(number), str(number)) for number in range(21)]

    assert store(quarantine, events) == {}

    assert aws.requests == ["SendMessageBatch"] * 3
    assert len(quarantine.bodies()) == 21


def test_the_maximum_sizes_are_those_of_sqs() -> None:
    """A message with several events has 256 KiB, as all tools for SQS support it."""
    assert (MAX_SHARED_BYTES, MAX_MESSAGE_BYTES) == (262_144, 1_048_576)


def test_a_large_event_has_a_message_of_its_own(quarantine: Queue) -> None:
    """With all attributes and a long reason, it fits into a message of 1 MiB."""
    large = StoredEvent(
        json.dumps("x" * (MAX_EVENT_BYTES - 2)),
        "no" * 4_000,
        Attributes("2026-11-24T12:00:00+00:00", "production"),
    )
    small = large._replace(text="1")

    assert store(quarantine, [small, large, small._replace(text="2")]) == {}

    assert [large.text[1:-1]] in [m["events"] for m in quarantine.messages()]


def test_an_event_that_is_too_large_is_not_stored(quarantine: Queue) -> None:
    """The other events are stored."""
    large, small = (
        event(text(1, MAX_MESSAGE_BYTES), "no"),
        event(text(2), "no"),
    )

    assert store(quarantine, [large, small]) == {
        0: "the event is too large for the Quarantine queue"
    }
    assert store(quarantine, [large]).keys() == {0}
    assert len(quarantine.bodies()) == 1


def test_the_attributes_count(quarantine: Queue) -> None:
    """SQS counts the name, the type and the value of each attribute."""
    attributes = Attributes("2026-11-24T12:00:00+00:00", "production")
    size = sum(
        len(name + "String" + value)
        for name, value in (("StoredAt", attributes[0]), ("Environment", attributes[1]))
    )
    frame = len('{"reason": "no", "events": [""]}')
    fitting = json.dumps("x" * (MAX_MESSAGE_BYTES - frame - size))

    assert store(quarantine, [StoredEvent(fitting, "no", attributes)]) == {}
    assert store(quarantine, [StoredEvent(f" {fitting}", "no", attributes)]) != {}


@pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\x7f", "😀", "\u2028"])
def test_an_event_can_contain_any_character(quarantine: Queue, character: str) -> None:
    """SQS rejects two characters that JSON allows, so they are escaped."""
    stored = event(json.dumps({"text": character}, ensure_ascii=False), "no")

    assert store(quarantine, [stored]) == {}

    (message,) = quarantine.messages()
    assert message["events"] == [{"text": character}]


# SQS confirms the first message with its digest, and rejects the second.
MD5 = hashlib.md5(b'{"reason": "a", "events": [' + text(1).encode() + b"]}").hexdigest()
SECOND_FAILED = json.dumps(
    {
        "Successful": [{"Id": "0", "MessageId": "x", "MD5OfMessageBody": MD5}],
        "Failed": [{"Id": "1", "Code": "InternalError", "SenderFault": False}],
    }
).encode()


def test_messages_that_sqs_rejects_are_retried(quarantine: Queue, aws: FakeAws) -> None:
    """SQS can accept one message of a request and reject another."""
    good, bad = event(text(1), "a"), event(text(2), "b")
    aws.fail("SendMessageBatch", Fault("200 OK", SECOND_FAILED), Fault())

    assert store(quarantine, [good, bad]) == {}

    assert [m["reason"] for m in quarantine.messages()] == ["b"]
    assert aws.requests.count("SendMessageBatch") == 3


def test_messages_that_sqs_rejects_three_times_are_not_stored(
    quarantine: Queue, aws: FakeAws
) -> None:
    """Their events are returned, with the code of the last error."""
    good, bad = event(text(1), "a"), event(text(2), "b")
    aws.fail("SendMessageBatch", Fault("200 OK", SECOND_FAILED), Fault(), Fault())

    assert store(quarantine, [good, bad]) == {
        1: "the Quarantine queue can't be written: InternalServiceError"
    }


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b'{"Failed": [{"Id": "0", "Code": "X", "SenderFault": false}]}', "X"),
        (b'{"Successful": [], "Failed": []}', "not confirmed"),
        (b"{}", "not confirmed"),
        (b'{"Successful": [{"Id": ["0"]}]}', "not confirmed"),
        (b'{"Failed": [{"Id": {}, "Code": []}]}', "not confirmed"),
    ],
)
def test_only_a_confirmed_message_is_stored(
    quarantine: Queue, aws: FakeAws, response: bytes, code: str
) -> None:
    """A status of 200 is not enough."""
    stored = event(text(1), "no")
    aws.fail("SendMessageBatch", *[Fault("200 OK", response)] * 3)

    assert store(quarantine, [stored]) == {
        0: f"the Quarantine queue can't be written: {code}"
    }
    assert quarantine.messages() == []


def test_a_queue_that_does_not_respond_stores_nothing(
    quarantine: Queue, aws: FakeAws
) -> None:
    """The message may or may not have arrived, so Segment retries the event."""
    stored = event(text(1), "no")
    aws.fail("SendMessageBatch", Fault(delay=6))

    assert store(quarantine, [stored]) == {
        0: "the Quarantine queue can't be written: deadline exceeded"
    }
    assert aws.requests.count("SendMessageBatch") == 1


def test_no_event_of_a_message_that_is_not_stored_is_forgotten(
    quarantine: Queue, aws: FakeAws
) -> None:
    """All of its events are returned, by their positions among all events."""
    events = [event(text(1), "a"), event(text(2), "b"), event(text(3), "a")]
    aws.fail("SendMessageBatch", *[Fault()] * 3)

    assert store(quarantine, events).keys() == {0, 1, 2}
