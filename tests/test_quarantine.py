"""What can't be billed is kept, whole and with its reason."""

import hashlib
import json

import pytest

import quarantine as quarantine_module
from conftest import Queue
from deadline import Deadline
from fake_aws import FakeAws, Fault
from quarantine import MAX_MESSAGE_BYTES, Refused, keep


def text(number: int, size: int = 10) -> str:
    """Return the JSON of an event that is *size* bytes long, or a little longer."""
    return json.dumps({"messageId": str(number), "text": "x" * size})


def test_events_with_one_reason_share_a_message(quarantine: Queue) -> None:
    """A message has one reason and, byte for byte, what Segment wrote."""
    events = [
        Refused('{"n": 1e400}', "no"),
        Refused("null", "other"),
        Refused("1", "no"),
    ]

    assert keep(events, quarantine.url, Deadline(5)) == {}

    assert sorted(quarantine.bodies()) == [
        '{"reason": "no", "events": [{"n": 1e400},1]}',
        '{"reason": "other", "events": [null]}',
    ]


def test_five_thousand_events_fit(quarantine: Queue) -> None:
    """A whole call can be quarantined, in messages as full as can be."""
    events = [Refused(text(number, 1000), "no") for number in range(5_000)]

    assert keep(events, quarantine.url, Deadline(5)) == {}

    bodies = quarantine.bodies()
    kept = [event["messageId"] for b in bodies for event in json.loads(b)["events"]]
    assert sorted(map(int, kept)) == list(range(5_000))
    sizes = sorted(len(body) for body in bodies)
    assert sizes[-1] <= MAX_MESSAGE_BYTES
    assert sizes[1] > MAX_MESSAGE_BYTES - 1_100


def test_a_message_is_filled_to_the_last_byte(quarantine: Queue) -> None:
    """An event that just fits a message is kept, in the bytes of UTF-8."""
    frame = len('{"reason": "no", "events": [""]}')
    fitting = f'"{"é" * ((MAX_MESSAGE_BYTES - frame) // 2)}"'

    assert keep([Refused(fitting, "no")], quarantine.url, Deadline(5)) == {}

    (body,) = quarantine.bodies()
    assert MAX_MESSAGE_BYTES - 2 < len(body.encode()) <= MAX_MESSAGE_BYTES


def test_an_event_too_large_for_a_message_is_not_kept(quarantine: Queue) -> None:
    """It stays with Segment; its neighbours are kept."""
    large, small = Refused(text(1, MAX_MESSAGE_BYTES), "no"), Refused(text(2), "no")

    assert keep([large, small], quarantine.url, Deadline(5)) == {
        large: "the event is too large for the Quarantine queue"
    }
    assert keep([large], quarantine.url, Deadline(5)).keys() == {large}
    assert len(quarantine.bodies()) == 1


@pytest.mark.parametrize("character", ["\ufffe", "\uffff", "\x7f", "😀", "\u2028"])
def test_any_character_of_an_event_is_kept(quarantine: Queue, character: str) -> None:
    """SQS refuses two characters that JSON allows; they are spelled out."""
    event = Refused(json.dumps({"text": character}, ensure_ascii=False), "no")

    assert keep([event], quarantine.url, Deadline(5)) == {}

    (message,) = quarantine.messages()
    assert message["events"] == [{"text": character}]
    assert quarantine_module.MAX_MESSAGE_BYTES == 262_144


# SQS proves that it stored the first message by its digest.
MD5 = hashlib.md5(b'{"reason": "a", "events": [' + text(1).encode() + b"]}").hexdigest()
FAILED_SECOND = json.dumps(
    {
        "Successful": [{"Id": "0", "MessageId": "x", "MD5OfMessageBody": MD5}],
        "Failed": [{"Id": "1", "Code": "InternalError", "SenderFault": False}],
    }
).encode()


def test_messages_that_sqs_refuses_are_sent_again(
    quarantine: Queue, aws: FakeAws
) -> None:
    """SQS can take one message of a call and refuse another."""
    good, bad = Refused(text(1), "a"), Refused(text(2), "b")
    aws.fail("SendMessageBatch", Fault("200 OK", FAILED_SECOND), Fault())

    assert keep([good, bad], quarantine.url, Deadline(5)) == {}

    assert [m["reason"] for m in quarantine.messages()] == ["b"]
    assert aws.calls.count("SendMessageBatch") == 3


def test_messages_that_sqs_goes_on_refusing_are_told(
    quarantine: Queue, aws: FakeAws
) -> None:
    """Only what is in the queue counts as kept."""
    good, bad = Refused(text(1), "a"), Refused(text(2), "b")
    aws.fail("SendMessageBatch", Fault("200 OK", FAILED_SECOND), Fault(), Fault())

    assert keep([good, bad], quarantine.url, Deadline(5)) == {
        bad: "the Quarantine queue can't be written: InternalServiceError"
    }


def test_a_queue_that_does_not_answer_keeps_nothing(
    quarantine: Queue, aws: FakeAws
) -> None:
    """Whether the messages arrived is not known, so the events stay with Segment."""
    event = Refused(text(1), "no")
    aws.fail("SendMessageBatch", Fault(delay=1))

    assert keep([event], quarantine.url, Deadline(0.2)) == {
        event: "the Quarantine queue can't be written: TimeUp"
    }
    assert aws.calls.count("SendMessageBatch") == 1
