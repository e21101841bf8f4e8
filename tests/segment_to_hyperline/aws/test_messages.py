"""The messages in the queues keep each event as Segment wrote it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_to_hyperline.attributes import Attributes
from segment_to_hyperline.aws.messages import (
    MAX_SHARED_BYTES,
    Message,
    StoredEvent,
    create_messages,
    parse_message,
)
from segment_to_hyperline.elements import MalformedBody
from segment_to_hyperline.reasons import Code

NOW = "2026-11-24T12:00:00+00:00"
TEXTS = [
    '{"n": 1e-7}',
    '{"a": 1, "a": 2}',
    '{"n":1E400}',
    "null",
    '{"json": {"messageId": "m-1"}}',
    '"]}"',
    '{"text": "\\ud800"}',
]


def store(*texts: str, reason: str = "no", stored_at: str = NOW) -> list[Message]:
    """Return the messages for events with these *texts*."""
    return list(
        create_messages(
            StoredEvent(text, reason, Attributes(stored_at)) for text in texts
        )
    )


def test_an_event_keeps_its_text() -> None:
    """Numbers, duplicate keys and spaces are read exactly as they were stored."""
    (message,) = store(*TEXTS)

    assert parse_message(message.body) == TEXTS


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    values=st.lists(JSON, min_size=1, max_size=5),
    ensure_ascii=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_any_event_keeps_its_text(
    values: list[object], *, ensure_ascii: bool, indent: int | None
) -> None:
    """What is stored and read is the same text, however JSON is written."""
    texts = [
        json.dumps(value, ensure_ascii=ensure_ascii, indent=indent) for value in values
    ]

    read = [text for message in store(*texts) for text in parse_message(message.body)]

    escaped = [
        t.replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff") for t in texts
    ]
    assert read == escaped


def test_a_message_has_one_reason_and_one_time() -> None:
    """Events that differ in the reason or the time are in different messages."""
    events = [
        StoredEvent("1", "a", Attributes(NOW)),
        StoredEvent("2", "b", Attributes(NOW)),
        StoredEvent("3", "a", Attributes("2026-11-23T12:00:00+00:00")),
        StoredEvent("4", "a", Attributes(NOW)),
    ]

    messages = list(create_messages(events))

    assert [parse_message(message.body) for message in messages] == [
        ["1", "4"],
        ["2"],
        ["3"],
    ]
    assert [message.attributes.stored_at for message in messages] == [
        NOW,
        NOW,
        "2026-11-23T12:00:00+00:00",
    ]


def test_a_message_has_the_code_of_the_reason() -> None:
    """Events with different codes are in different messages."""
    events = [
        StoredEvent("1", "no", code=Code.UNMAPPABLE),
        StoredEvent("2", "no", code=Code.EXPIRED),
        StoredEvent("3", "no", code=Code.UNMAPPABLE),
    ]

    bodies = [message.body for message in create_messages(events)]

    assert bodies == [
        '{"code": "unmappable", "reason": "no", "events": [1,3]}',
        '{"code": "expired", "reason": "no", "events": [2]}',
    ]


@pytest.mark.parametrize("fields", ["", '"code": "unmappable", ', '"code": null, '])
def test_a_message_is_read_with_and_without_a_code(fields: str) -> None:
    """Version 0.1.0 wrote no code, and a rollback reads messages that have one."""
    assert parse_message(f'{{{fields}"reason": "no", "events": [1, 2]}}') == ["1", "2"]


def test_an_isolated_event_has_a_message_of_its_own() -> None:
    """Another event is never stored with it, even if all attributes are equal."""
    isolated = Attributes(NOW, "sandbox", NOW)
    events = [
        StoredEvent("1", "a", isolated),
        StoredEvent("2", "a", isolated),
        StoredEvent("3", "a", isolated._replace(isolated_at="")),
        StoredEvent("4", "a", isolated._replace(isolated_at="")),
    ]

    messages = list(create_messages(events))

    assert [parse_message(message.body) for message in messages] == [
        ["1"],
        ["2"],
        ["3", "4"],
    ]
    assert messages[0].attributes == isolated


DEEP = '{"messageId":"deep","n":' + "[" * 12_000 + "]" * 12_000 + "}"


def test_a_deeply_nested_event_keeps_its_text() -> None:
    """So do the other events of the message."""
    (message,) = store('{"a":1}', DEEP, "2")

    assert parse_message(message.body) == ['{"a":1}', DEEP, "2"]
    assert parse_message(f'{{"deep": {DEEP}, "events": [1]}}') == ["1"]


def test_a_message_is_filled_up_to_its_limit() -> None:
    """Events are divided into as few messages as possible."""
    text = json.dumps("x" * 1_000)

    messages = store(*[text] * 600)

    sizes = [message.size() for message in messages]
    assert len(messages) == 3
    assert max(sizes) <= MAX_SHARED_BYTES
    assert sizes[0] > MAX_SHARED_BYTES - 1_100


@pytest.mark.parametrize(
    "body",
    [
        '{"events": [1, 2], "reason": "no"}',
        ' { "reason" : "no" , "events" : [ 1 , 2 ] } ',
        '{"events": [3], "reason": {"events": [4]}, "events": [1, 2]}',
        '{"events": [1, 2]}',
    ],
)
def test_an_edited_message_can_be_read(body: str) -> None:
    """A person may have changed the order, the spaces or the reason."""
    assert parse_message(body) == ["1", "2"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "rubbish",
        "null",
        "[]",
        "{}",
        '{"reason": "no"}',
        '{"reason": "no", "events": []}',
        '{"reason": "no", "events": {}}',
        '{"reason": "no", "events": [1]',
        '{"event": {"type": "track"}}',
        '[{"type": "track"}]',
        '{"reason": "no" "events": [1]}',
        '{"reason" "no", "events": [1]}',
        '{"reason": "no", "events": [1]} 1',
        '{"events": [1], ' + DEEP + ": 1}",
        f'{{"events": [1], "deep": {DEEP}',
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "[" * 499 + '"[' * 5_000,
    ],
)
def test_a_foreign_message_is_recognized(body: str) -> None:
    """A message of another format is never taken for events."""
    with pytest.raises(MalformedBody):
        parse_message(body)
