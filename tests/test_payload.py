"""Inbound: which events a body carries, and when Segment received them."""

import json

import pytest

import payload
from segment_webhook import array, extensible

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
def test_the_events_of_an_array_keep_their_own_text(body: str) -> None:
    """What may have to be quarantined is kept as Segment wrote it."""
    events = payload.parse(body.encode())

    assert [event.text for event in events] == [FIRST, SECOND]
    assert [event.data for event in events] == [json.loads(FIRST), json.loads(SECOND)]


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
def test_elements_of_any_kind_are_read(element: str) -> None:
    """Whether an element can be billed is not for the reader to say."""
    (only,) = payload.parse(f"[{element}]".encode())

    assert (only.data, only.text) == (json.loads(element), element)


def test_what_is_signed_is_what_is_read() -> None:
    """Of two values with one name the first was signed, so no other may be billed."""
    body = f'[{{"json":{FIRST},"json":{SECOND}}}]'.encode()

    (only,) = payload.parse(body)

    assert payload.first_element(body) == (FIRST.encode(), False)
    assert (only.data, only.text) == (json.loads(FIRST), FIRST)


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
def test_the_first_of_a_long_array_is_found(
    body: str, first: str, *, more: bool
) -> None:
    """How long it is, and where its bytes are parted, makes no difference."""
    for shift in range(8):
        shifted = " " * shift + body
        assert payload.first_element(shifted.encode()) == (first.encode(), more)


def test_what_hides_behind_an_array_is_not_read() -> None:
    """The first event vouches for itself alone, so nothing may follow its array."""
    body = f"[{FIRST}]{SPACE},{SECOND}]".encode()

    assert payload.first_element(body) == (FIRST.encode(), False)
    with pytest.raises(payload.Malformed, match="Extra data"):
        payload.parse(body)


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 5_000, "1e-400", "9" * 300]
)
def test_numbers_beyond_all_measure_are_read(number: str) -> None:
    """A number that Python can't hold does not hide the event it is in."""
    text = f'{{"messageId":"1","number":{number}}}'

    (event,) = payload.parse(text.encode())

    assert event.data["messageId"] == "1"
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
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_without_events_is_malformed(body: bytes, reason: str) -> None:
    """A body that is not what Segment sends is refused with the reason."""
    with pytest.raises(payload.Malformed, match=reason):
        payload.parse(body)


@pytest.mark.parametrize("data", [None, 1, "text", [], {}, {"receivedAt": None}])
def test_an_event_may_not_tell_when_it_was_received(data: object) -> None:
    """Whatever is no event, or has no time in it, has no age."""
    assert payload.received_at(data) is None


def test_when_an_event_was_received_is_told_in_seconds() -> None:
    """Segment's own time of receipt goes before what the customer's clock said."""
    times = {
        "receivedAt": "1970-01-01T00:01:00.5Z",
        "timestamp": "2026-01-01T00:00:00Z",
    }

    assert payload.received_at(times) == 60.5
