"""What the customers of a browser source can do, because they know its write key.

Segment accepts any event with it, and signs it as any other. SECURITY.md has the list,
and what an owner can do about it.
"""

import json
from datetime import timedelta
from typing import Any

import pytest

from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.segment.times import format_time
from tests.clock import NOW
from tests.conftest import Queue, Send
from tests.samples import read_rules, track

YESTERDAY = format_time(NOW - timedelta(days=1))
LAST_YEAR = format_time(NOW - timedelta(days=300))


def read_stored(hyperline: FakeHyperline) -> list[dict[str, Any]]:
    """Return the events that Hyperline has."""
    return [json.loads(event) for event in hyperline.store.values()]


def test_a_customer_can_bill_another_one(send: Send, hyperline: FakeHyperline) -> None:
    """The userId is a field of the event like any other."""
    assert send(track(userId="a-competitor")).counts == {"delivered": 1}

    (stored,) = read_stored(hyperline)
    assert stored["customer_id"] == "a-competitor"


@pytest.mark.parametrize(
    "changes",
    [
        {"properties": {"seats": 0}},
        {"userId": "a-competitor"},
        {"timestamp": LAST_YEAR},
    ],
)
def test_a_customer_can_overwrite_a_billed_event(
    send: Send, hyperline: FakeHyperline, changes: dict[str, Any]
) -> None:
    """Hyperline keeps the last event with a name and a messageId, of any source."""
    send(track(channel="server", timestamp=YESTERDAY))

    assert send(track(channel="browser", **changes)).counts == {"delivered": 1}

    (stored,) = read_stored(hyperline)
    billed = {
        "properties": {"seats": stored["record"].get("seats")},
        "userId": stored["customer_id"],
        "timestamp": stored["timestamp"],
    }
    assert changes.items() <= billed.items()


def test_events_of_another_name_are_not_overwritten(
    send: Send, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the stack of the browser source bills only names that no server sends."""
    send(track())
    rules = read_rules('type = "track"\nevent = "Page Exported"\nrecord = {}')
    monkeypatch.setattr("receiver.RULES", rules)

    forged = send(track(userId="a-competitor"))
    own = send(track(event="Page Exported"))

    assert (forged.counts, own.counts) == ({"filtered": 1}, {"delivered": 1})
    assert [each["event_type"] for each in read_stored(hyperline)] == [
        *("Seats Added", "Page Exported")
    ]


def test_a_customer_can_reduce_a_sum(
    send: Send, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A negative quantity is billed, unless the mapping requires a positive one."""
    rule = """type = "track"
when = "properties.seats > `0`"
record = { seats = "properties.seats" }"""
    forged = track(properties={"seats": -1_000}, messageId="m-forged")

    assert send(forged).counts == {"delivered": 1}
    monkeypatch.setattr("receiver.RULES", read_rules(rule))
    assert send(forged | {"messageId": "m-2"}).counts == {"filtered": 1}
    assert send(track()).counts == {"delivered": 1}

    assert [each["record"]["seats"] for each in read_stored(hyperline)] == [-1_000, 3]


def test_a_customer_can_move_usage_into_a_closed_period(
    send: Send,
    hyperline: FakeHyperline,
    quarantine: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Up to a year back, unless the mapping has a lower limit."""
    assert send(track(timestamp=LAST_YEAR)).counts == {"delivered": 1}

    rule = 'type = "track"\nmax_days_in_past = 3\nrecord = {}'
    monkeypatch.setattr("receiver.RULES", read_rules(rule))

    assert send(track(timestamp=LAST_YEAR)).counts == {"quarantined": 1}
    assert len(hyperline.store) == len(quarantine.messages()) == 1


def test_a_customer_can_mark_usage_as_a_test(
    send: Send, hyperline: FakeHyperline, live_key: str
) -> None:
    """Segment's Event Tester begins the ids of its events like this."""
    assert live_key

    forged = send(track(messageId="test-message-1"))

    assert forged.counts == {"previewed": 1}
    assert hyperline.requests == []


def test_a_customer_can_fill_quarantine(
    send: Send, hyperline: FakeHyperline, quarantine: Queue
) -> None:
    """With events that can't be billed, which a person looks at."""
    hyperline.unknown_customers.add("nobody")
    send(track())  # Otherwise the URL could be wrong, which is not about the event.

    assert send(track(userId="nobody", messageId="m-2")).counts == {"quarantined": 1}
    assert send(track(userId=None, messageId="m-3")).counts == {"quarantined": 1}

    assert len(quarantine.messages()) == 2
