"""Events: how they are read from a body, and when Segment received them."""

import json

import pytest

from local_stack.segment_requests import array, extensible
from segment_to_hyperline.elements import Element, MalformedBody
from segment_to_hyperline.segment.events import (
    Event,
    is_test_id,
    parse_body,
    parse_first_element,
)

FIRST, SECOND = '{"messageId":"ü-1"}', '{"messageId":"2"}'


@pytest.mark.parametrize(
    "body",
    [
        array([FIRST, SECOND]).body,
        extensible([FIRST, SECOND]).body,
        f"\n[ {FIRST} ,\t{SECOND} ]\r\n",
        f'[{{ "json" : {FIRST} }}, {{"json":{SECOND}}}]',
    ],
)
def test_each_event_of_an_array_has_its_own_text(body: str) -> None:
    """An event is quarantined exactly as Segment wrote it."""
    events = list(parse_body(body.encode()))

    assert [event.text for event, _ in events] == [FIRST, SECOND]
    assert [data for _, data in events] == [json.loads(FIRST), json.loads(SECOND)]


@pytest.mark.parametrize(
    "element",
    [
        "1",
        "null",
        '"text"',
        "[1]",
        '{"json":1,"more":2}',
        r'{"\u006ason":1}',
        '{"a":1}',
    ],
)
def test_an_element_of_any_type_is_read(element: str) -> None:
    """The mapping rejects what is not an event, so that the other events are billed."""
    ((only, data),) = parse_body(f"[{element}]".encode())

    assert (data, only.text) == (json.loads(element), element)


def test_the_event_that_is_read_is_the_one_that_is_signed() -> None:
    """Of two values of one key, the signature covers the first, so that one is read."""
    body = f'[{{"json":{FIRST},"json":{SECOND}}}]'.encode()

    ((only, data),) = parse_body(body)

    assert parse_first_element(body, trusted=False) == (FIRST.encode(), False)
    assert (data, only.text) == (json.loads(FIRST), FIRST)


LARGE = json.dumps({"text": "ü😀" * 20_000}, ensure_ascii=False)
SPACE = " " * (1 << 16)


@pytest.mark.parametrize(
    ("body", "first", "more"),
    [
        (f"[{LARGE}]", LARGE, False),
        (f"[{LARGE},{FIRST}]", LARGE, True),
        (f"[{FIRST},{LARGE}]", FIRST, True),
        (f"[{FIRST}{SPACE},{SECOND}]", FIRST, True),
        (f"[{FIRST}{SPACE}]", FIRST, False),
        (f"{SPACE}[{FIRST}]", FIRST, False),
        (f"[{FIRST},{','.join([SECOND] * 1_000)}]", FIRST, True),
    ],
    ids=lambda value: str(value)[:10],
)
def test_the_first_element_of_a_long_array_is_found(
    body: str, first: str, *, more: bool
) -> None:
    """At first only a part of the body is decoded, which can end in any character."""
    for shift in range(8):
        shifted = " " * shift + body
        found = parse_first_element(shifted.encode(), trusted=True)
        assert found == (first.encode(), more)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f"[{FIRST}]", (FIRST.encode(), False)),
        (f"[{FIRST},{LARGE}]", (FIRST.encode(), True)),
        # What is decoded ends after the comma, and the second event comes later.
        (f"[{FIRST},{SPACE}{SECOND}]", (FIRST.encode(), True)),
        (f"[{FIRST}{SPACE},{SECOND}]", (None, False)),
        (f"[{LARGE}]", (None, False)),
        ("[", (None, False)),
    ],
    ids=range(6),
)
def test_only_the_first_part_of_an_untrusted_body_is_decoded(
    body: str, expected: tuple[bytes | None, bool]
) -> None:
    """An event after that part is never overlooked."""
    assert parse_first_element(body.encode(), trusted=False) == expected


def test_text_after_an_array_is_malformed() -> None:
    """The signature of the first event would not cover it."""
    body = f"[{FIRST}]{SPACE},{SECOND}]".encode()

    assert parse_first_element(body, trusted=False) == (FIRST.encode(), False)
    with pytest.raises(MalformedBody, match="Extra data"):
        list(parse_body(body))


@pytest.mark.parametrize(
    "number",
    [
        *("1e400", "-1e400", "1e-400", "9" * 300, "9" * 5_000),
        *("9" * 4_300, "9" * 4_301, "-" + "9" * 4_299, "-" + "9" * 4_300),
    ],
    ids=lambda number: f"{number[:6]}-{len(number)}",
)
def test_a_number_of_any_size_is_read(number: str) -> None:
    """An event with a number that Python can't convert is quarantined unchanged."""
    text = f'{{"messageId":"1","number":{number}}}'

    ((event, data),) = parse_body(text.encode())

    assert data["messageId"] == "1"
    assert event.text == text


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"rubbish", "not JSON"),
        (b'{"a":1', "not JSON"),
        (b'[{"a":1}', "not JSON"),
        (b'[{"a":1},]', "not JSON"),
        (b'[{"a":1}]]', "not JSON"),
        (b'[{"a":1} {"a":1}]', "not JSON"),
        (b'{"a":1}{"a":1}', "not JSON"),
        (b'{"a":"\n"}', "not JSON"),
        (b'{"a":NaN}', "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":"\xff"}', "not UTF-8 at byte 6"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "not UTF-8"),
        (b"null", "neither a JSON object nor an array"),
        (b"1", "neither"),
        (b'"text"', "neither"),
        (b"true", "neither"),
        (b"9" * 5_000, "neither"),
        (b"[]", "the array is empty"),
        (b" [ ] ", "the array is empty"),
        (b"[" * 100_000, "not JSON: Unterminated"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 99_999, "not JSON: Unterminated"),
        (b"[" * 100_000 + b"}" * 100_000, "not JSON"),
        (b"[" * 100_000 + b"NaN" + b"]" * 100_000, "NaN"),
    ],
)
def test_a_body_without_events_is_malformed(body: bytes, reason: str) -> None:
    """The reason says how it differs from what Segment sends."""
    with pytest.raises(MalformedBody, match=reason):
        list(parse_body(body))


def create(data: object) -> Event:
    """Return the event with this *data*."""
    return Event.create(Element(data, json.dumps(data)))


@pytest.mark.parametrize("data", [None, 1, "text", [], {}, {"receivedAt": None}])
def test_the_time_of_receipt_can_be_unknown(data: object) -> None:
    """An element can lack a time, or not be an event at all."""
    assert create(data).received_at is None


def test_the_time_of_receipt_is_a_unix_timestamp() -> None:
    """Segment's own time has precedence over the time of the customer's clock."""
    times = {
        "receivedAt": "1970-01-01T00:01:00.5Z",
        "timestamp": "2026-01-01T00:00:00Z",
    }

    assert create(times).received_at == 60.5


MINUTE_1, MINUTE_2 = "1970-01-01T00:01:00Z", "1970-01-01T00:02:00Z"


@pytest.mark.parametrize(
    "times",
    [
        {"sentAt": MINUTE_1, "timestamp": MINUTE_2},
        {"receivedAt": None, "sentAt": MINUTE_1, "timestamp": MINUTE_2},
        {"receivedAt": "today", "sentAt": MINUTE_1},
        {"receivedAt": "today", "sentAt": 60, "timestamp": MINUTE_1},
    ],
)
def test_the_first_valid_time_is_the_time_of_receipt(times: dict[str, object]) -> None:
    """`sentAt` and then `timestamp` replace a missing or invalid `receivedAt`."""
    assert create(times).received_at == 60


@pytest.mark.parametrize("data", [None, 1, "text", [], {}, {"messageId": 1}])
def test_the_message_id_can_be_missing(data: object) -> None:
    """Then the event is not a test event."""
    event = create(data)

    assert event.message_id is None
    assert not event.is_test


@pytest.mark.parametrize(
    ("message_id", "is_test"),
    [
        ("segment-test-message-4r8vzq", True),
        ("test-message-4r8vzq", True),
        ("node-next-1768555859208-e1640791", False),
        ("my-test-message-1", False),
        ("", False),
    ],
)
def test_events_of_the_event_tester_have_a_prefix(
    message_id: str, *, is_test: bool
) -> None:
    """An event with any other messageId is real."""
    event = create({"messageId": message_id})

    assert event.message_id == message_id
    assert event.is_test == is_test_id(message_id) == is_test


def test_an_array_can_have_five_times_the_events_of_a_batch() -> None:
    """A longer one is rejected before its elements use up the time budget."""
    most = 20_000

    assert len(list(parse_body(b"[" + b"1," * (most - 1) + b"1]"))) == most
    with pytest.raises(MalformedBody, match="more than 20,000 elements"):
        list(parse_body(b"[" + b"1," * most + b"1]"))


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    """Return an event with a value that is nested so deeply."""
    value = opening * depth + "1" + closing * depth
    return f'{{"n":{value},"messageId":"m-1","receivedAt":"1970-01-01T00:01:00Z"}}'


@pytest.mark.parametrize("depth", [498, 499, 500, 999, 12_000, 100_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "]"), ('{"a":', "}"), ('[{"]}":["[\\"{",', ',"]",2]}]'), ("[ [],", "] ")],
)
def test_an_event_of_any_depth_is_found(depth: int, opening: str, closing: str) -> None:
    """Its text, its messageId and its times are known, even if it can't be mapped."""
    text = nested(depth, opening, closing)

    (first, _), (second, _) = parse_body(f"[{text},{FIRST}]".encode())

    assert (first.text, second.text) == (text, FIRST)
    assert first.message_id == "m-1"
    assert first.received_at == 60
    assert parse_first_element(f"[{text},{FIRST}]".encode(), trusted=True) == (
        text.encode(),
        True,
    )


def test_an_element_that_is_a_deep_array_is_read() -> None:
    """It is no event, and has no messageId."""
    text = "[" * 12_000 + '"messageId"' + "]" * 12_000

    ((only, _),) = parse_body(f"[{text}]".encode())

    assert (only.text, only.message_id, only.received_at) == (text, None, None)


@pytest.mark.parametrize(
    "value",
    [
        "[" * 12_000 + "]" * 11_999 + "}",
        "[" * 12_000 + "nonsense" + "]" * 12_000,
        "[" * 12_000 + "]" * 6_000 + ",," + "]" * 6_000,
        "[" * 12_000 + '"\\x"' + "]" * 12_000,
        "[" * 12_000 + '"' + "]" * 12_000,
        '{"a" 1,"n":' + "[" * 12_000 + "]" * 12_000 + "}",
        "{" + "[" * 12_000 + "]" * 12_000 + ":1}",
    ],
    ids=range(7),
)
def test_deep_text_that_is_not_json_is_malformed(value: str) -> None:
    """It is checked as strictly as any other text."""
    with pytest.raises(MalformedBody, match="not JSON"):
        list(parse_body(f'[{{"n":{value}}}]'.encode()))
