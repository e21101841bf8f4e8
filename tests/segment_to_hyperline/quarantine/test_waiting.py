"""The events that wait: what is known about them, which are selected, and groups."""

import json
from typing import Any

import pytest

from local_stack.segment_requests import write
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.attributes import NO_ATTRIBUTES, Attributes
from segment_to_hyperline.aws.messages import ReceivedMessage
from segment_to_hyperline.quarantine.groups import group_events
from segment_to_hyperline.quarantine.queue import MAX_MESSAGES, State
from segment_to_hyperline.quarantine.selection import Selection
from segment_to_hyperline.quarantine.site import Contents
from segment_to_hyperline.quarantine.waiting import Waiting, read_message
from tests.clock import NOW
from tests.samples import read_rules
from tests.segment_to_hyperline.quarantine.helpers import STORED_AT, event

HOUR = 60 * 60
RULES = read_rules(
    'type = "track"\nevent = "Ignored"\nignore = true',
    'type = "track"\nwhen = "to_number(properties.seats) > `0`"\n'
    'record = { plan = "properties.plan" }',
)


def receive(
    *events: Any, attributes: Attributes = NO_ATTRIBUTES, **fields: Any
) -> list[Waiting]:
    """Return the events of a message that was sent an hour ago."""
    content = {"code": "unmappable", "reason": "why", **fields}
    body = json.dumps({k: v for k, v in content.items() if v is not None})
    texts = ",".join(write(each) for each in events)
    text = f'{body[:-1]}, "events": [{texts}]}}'
    sent_at = NOW.timestamp() - HOUR
    message = ReceivedMessage("id", "handle", text, sent_at, 1, attributes)
    return read_message(message, RULES)


@pytest.mark.parametrize(
    "body",
    ["", "hello", "[]", "{}", '{"events": []}', '{"reason": 1, "events": [{}]}'],
)
def test_a_message_of_somebody_else_has_no_events(body: str) -> None:
    """So that it is never moved or deleted."""
    assert read_message(ReceivedMessage("id", "h", body, 0, 1), RULES) == []


def test_a_message_without_a_code_is_one_of_version_0_1_0() -> None:
    """Its events were stored when it was sent."""
    (waiting,) = receive(event(0), code=None)

    assert waiting.code == "-"
    assert waiting.message.event_attributes.stored_at == "2026-12-01T11:00:00+00:00"


@pytest.mark.parametrize(
    ("changes", "outlook", "rule", "customer"),
    [
        ({}, "would be billed", "2", "customer-42"),
        ({"event": "Ignored"}, "would not be billed: rule 1 ignores it", "1", "-"),
        ({"type": "page"}, "would not be billed: no rule matches", "-", "-"),
        (
            {"properties": {"seats": 1}},
            "would fail again: rule 2 (track): record.plan: properties.plan is missing",
            *("2", "customer-42"),
        ),
        (
            {"userId": None},
            "would fail again: rule 2 (track): customer_id: userId is null",
            *("2", "-"),
        ),
    ],
)
def test_what_would_become_of_an_event(
    changes: dict[str, Any], outlook: str, rule: str, customer: str
) -> None:
    """By today's mapping, with the customer also where another field is missing."""
    (waiting,) = receive(event(0, **changes))

    assert (waiting.outlook, waiting.rule, waiting.customer) == (
        outlook,
        rule,
        customer,
    )


def test_a_customer_that_cannot_be_computed() -> None:
    """It is unknown, as the reason says."""
    rules = read_rules(
        'type = "track"\ncustomer_id = "join(\'-\', userId)"\nrecord = {}'
    )
    (known,) = receive(event(0))

    (waiting,) = read_message(known.message, rules)

    assert waiting.customer == "-"
    assert "customer_id: " in waiting.outlook


def test_more_messages_than_can_be_read() -> None:
    """The rest is said to be missing."""
    (waiting,) = receive(event(0))
    contents = Contents(
        State(0, 0, 0), [waiting.message] * (MAX_MESSAGES - 1), [waiting]
    )
    full = contents._replace(messages=[waiting.message] * MAX_MESSAGES)

    assert list(contents.list_notes()) == []
    assert list(full.list_notes()) == ["only the first 100,000 messages were read"]


def test_an_event_that_is_no_object() -> None:
    """Such as the beginning of one that is too large."""
    (waiting,) = receive("m-0: {...")

    assert (waiting.message_id, waiting.event, waiting.rule) == ("-", "-", "-")
    assert waiting.outlook == ("would fail again: the event is a string, not an object")
    assert waiting.time is None


def test_an_event_that_is_nested_too_deeply() -> None:
    """Its message has its reason nevertheless."""
    deep = "[" * 20_000 + "]" * 20_000
    body = f'{{"reason": "why", "events": [{{"properties": {deep}}}]}}'

    (waiting,) = read_message(ReceivedMessage("id", "h", body, 0, 1), RULES)

    assert waiting.reason == "why"
    assert waiting.outlook == "would fail again: the event is nested too deeply"


EVENTS = [
    *receive(event(0), event(1, userId="acme"), code="event_rejected"),
    *receive(event(2, event="Report Sent"), attributes=Attributes(STORED_AT)),
    *receive(event(3, type="page")),
    *receive("text"),
]


@pytest.mark.parametrize(
    ("conditions", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"codes": ("event_rejected",)}, [0, 1]),
        ({"rules": ("2",)}, [0, 1, 2]),
        ({"events": ("Report Sent", "Other")}, [2]),
        ({"customers": ("acme", "customer-42")}, [0, 1, 2]),
        ({"message_ids": ("m-1", "m-3")}, [1, 3]),
        ({"hours": 2}, [2]),
        ({"hours": 0.5}, [0, 1, 2, 3, 4]),
        ({"where": "userId == 'acme'"}, [1]),
        ({"where": "to_number(messageId) > `0`"}, []),
        ({"where": "sum(properties) > `0`"}, []),
        ({"codes": ("unmappable",), "where": "type == 'track'"}, [2]),
    ],
)
def test_a_selection(conditions: dict[str, Any], numbers: list[int]) -> None:
    """An event meets all conditions, each with one of its values."""
    selection = Selection(**conditions)

    found = selection.select(EVENTS, NOW.timestamp())

    assert [EVENTS.index(each) for each in found] == numbers
    assert selection.is_empty() == (not conditions)


def test_a_condition_that_is_no_expression() -> None:
    """It is shown with what is wrong with it."""
    with pytest.raises(InputError, match="--where userId =: "):
        Selection(where="userId =").select(EVENTS, 0)


def test_the_hash_of_a_selection_is_that_of_its_conditions() -> None:
    """Which aren't in the audit log themselves."""
    hashes = {Selection(customers=(name,)).hash() for name in ("a", "b", "b")}

    assert len(hashes) == 2


def test_events_are_grouped_by_their_cause() -> None:
    """The largest group is the first, and an event that is stored twice counts once."""
    twice = receive(event(0), attributes=Attributes(STORED_AT))

    groups = group_events([*receive(event(0)), *twice, *receive(event(5)), *EVENTS[3:]])

    assert [group.number for group in groups] == [2, 1, 1]
    described = groups[0].describe(NOW.timestamp(), 14 * 24 * HOUR)
    assert described == {
        "code": "unmappable",
        "rule": "2",
        "event": "Seats Added",
        "customer": "customer-42",
        "events": 2,
        "first": STORED_AT,
        "oldest": "2026-11-01T12:00:00+00:00",
        "deleted_in_days": 14.0,
        "now": "would be billed",
    }
    others = {group.event: group for group in groups[1:]}
    assert others["-"].describe(0, 0)["oldest"] is None
