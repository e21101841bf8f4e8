"""The mapping: what is billed for an event, and what can't be."""

import json
from pathlib import Path
from typing import Any

import pytest

import mapping
from billable import Key
from samples import BILLABLE, track, without

RULES = mapping.load(Path(mapping.__file__).with_name("mapping.toml"))


def bill(event: Any) -> dict[str, Any]:
    """Return what the mapping as it comes makes of *event*, read back from its JSON."""
    billable = mapping.apply(RULES, event)
    assert billable is not None
    content: dict[str, Any] = json.loads(billable.json)
    return content


def test_a_track_event_is_billed() -> None:
    """A track event becomes the billable event that the README shows."""
    billable = mapping.apply(RULES, track())

    assert billable is not None
    assert billable.key == Key("Seats Added", "node-next-1768555859208-e1640791")
    assert json.loads(billable.json) == BILLABLE


@pytest.mark.parametrize("kind", ["identify", "page", "screen", "group", "alias", "x"])
def test_an_event_that_no_rule_wants_is_filtered(kind: str) -> None:
    """Only tracks are billed by the mapping as it comes."""
    assert mapping.apply(RULES, {"type": kind}) is None


def test_the_same_event_gives_the_same_bytes() -> None:
    """A retry overwrites what Hyperline has, so it must not differ in anything."""
    text = json.dumps(track(properties={"ü": "\ud800", "b": 1.10, "a": [1e21, True]}))

    billed = {mapping.apply(RULES, json.loads(text)) for _ in range(3)}

    assert [event.json for event in billed if event] == [
        (
            b'{"customer_id":"customer-42","event_type":"Seats Added",'
            b'"timestamp":"2026-01-16T09:30:59.243Z",'
            b'"record":{"\\u00fc":"\\ud800","b":1.1,"a":[1e+21,true],'
            b'"id":"node-next-1768555859208-e1640791"}}'
        )
    ]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        0,
        -1,
        1.5,
        10**300,
        True,
        False,
        [],
        [1, "a", True, 0.5],
        "x" * 32_768,
    ],
)
def test_a_property_that_hyperline_takes_is_copied(value: Any) -> None:
    """Text, numbers, booleans and arrays of these reach the invoice unchanged."""
    assert bill(track(properties={"p": value}))["record"]["p"] == value


@pytest.mark.parametrize("value", [None, {}, {"a": 1}, [None], [{}], [[1]], [1, {}]])
def test_a_property_that_hyperline_refuses_is_left_out(value: Any) -> None:
    """An object in one property does not keep the others from being billed."""
    record = bill(track(properties={"p": value, "seats": 3}))["record"]

    assert record.keys() == {"seats", "id"}


@pytest.mark.parametrize("value", [float("inf"), [1, float("-inf")]])
def test_a_number_that_json_cannot_write_is_unmappable(value: Any) -> None:
    """Leaving such a number out would bill another amount than was meant."""
    with pytest.raises(mapping.Unmappable, match="number too large"):
        mapping.apply(RULES, track(properties={"p": value}))


@pytest.mark.parametrize(
    "name",
    ["__proto__", "constructor", "", "a.b", "*", "$", "\ud800", "😀", "event_type"],
)
def test_a_property_may_have_any_name(name: str) -> None:
    """The name of a property is the customer's and means nothing to us."""
    assert bill(track(properties={name: 1}))["record"][name] == 1


@pytest.mark.parametrize("value", ["other", 1, None, {}])
def test_no_property_replaces_the_id(value: Any) -> None:
    """Another id would make another event of a retry."""
    record = bill(track(properties={"id": value}))["record"]

    assert record == {"id": "node-next-1768555859208-e1640791"}


@pytest.mark.parametrize("event", [without("properties"), track(properties=None)])
def test_an_event_without_properties_is_billed(event: Any) -> None:
    """That it happened can be all there is to bill."""
    assert bill(event)["record"].keys() == {"id"}


@pytest.mark.parametrize(
    ("time", "utc"),
    [
        ("2026-01-16T09:30:59.243Z", "2026-01-16T09:30:59.243Z"),
        ("2026-01-16T09:30:59.55Z", "2026-01-16T09:30:59.550Z"),
        ("2026-01-16T09:30:59Z", "2026-01-16T09:30:59.000Z"),
        ("2026-01-16T09:30:59.862826965Z", "2026-01-16T09:30:59.862Z"),
        ("2026-01-16T09:30:59.9999Z", "2026-01-16T09:30:59.999Z"),
        ("2026-01-16T09:30:59.243", "2026-01-16T09:30:59.243Z"),
        ("2026-01-16T00:30:59.243+05:30", "2026-01-15T19:00:59.243Z"),
        ("2026-01-16T23:30:59-01:00", "2026-01-17T00:30:59.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_billed_in_utc_with_milliseconds(time: str, utc: str) -> None:
    """The forms that Segment's documents show all become the one form."""
    assert bill(track(timestamp=time))["timestamp"] == utc


@pytest.mark.parametrize(
    "time",
    [
        "rubbish",
        "2026-01-16",
        "2015-2-02T00:00:00Z",
        "2026-01-16 09:30:59Z",
        "2020-05-09 23:54:49.209808489 +0000 UTC m=+0.1",
        "1768555859243",
        "1512101212345",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-01-16T09:30:59\ud800",
        "٢٠٢٦-01-16T09:30:59Z",
    ],
)
def test_what_is_no_time_is_unmappable(time: str) -> None:
    """A guess at the time could put usage on the wrong invoice."""
    with pytest.raises(mapping.Unmappable, match="timestamp is not an ISO 8601 date"):
        mapping.apply(RULES, track(timestamp=time))


def test_a_number_as_customer_is_its_decimal_text() -> None:
    """Hyperline's customers are named by text."""
    assert bill(track(userId=9007199254740993))["customer_id"] == "9007199254740993"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (1, "the event is a number, not an object"),
        (None, "the event is null, not an object"),
        ([], "the event is an array, not an object"),
        (without("type"), "type is missing"),
        (track(type=None), "type is null, not text"),
        (track(type=["track"]), "type is an array, not text"),
        (without("messageId"), "messageId is missing"),
        (track(messageId=""), "messageId is empty"),
        (track(messageId=1), "messageId is a number, not text"),
        (without("userId"), "userId is missing"),
        (track(userId=None), "userId is null, not text"),
        (track(userId=""), "userId is empty"),
        (track(userId=1.5), "userId is a number, not text"),
        (track(userId=True), "userId is true or false, not text"),
        (track(userId={}), "userId is an object, not text"),
        (without("event"), "event is missing"),
        (track(event=""), "event is empty"),
        (without("timestamp"), "timestamp is missing"),
        (track(timestamp=1768555859243), "timestamp is a number, not text"),
        (track(properties=[]), "properties is an array, not an object"),
        (track(properties="seats"), "properties is text, not an object"),
    ],
)
def test_what_is_missing_or_wrong_is_named(event: Any, reason: str) -> None:
    """The reason tells what to mend, and no value of the event."""
    with pytest.raises(mapping.Unmappable) as unmappable:
        mapping.apply(RULES, event)

    assert str(unmappable.value) == reason


def rules(tmp_path: Path, **changes: str) -> tuple[mapping.Rule, ...]:
    """Return the rules of a mapping file that differs in *changes*."""
    rule = {
        "type": '"track"',
        "customer_id": '"userId"',
        "event_type": '"event"',
        "timestamp": '"timestamp"',
        "record": '{ "*" = "properties" }',
    }
    lines = [f"{name} = {value}" for name, value in (rule | changes).items()]
    path = tmp_path / "mapping.toml"
    path.write_text("\n".join(["[[rules]]", *lines]), "utf-8")
    return mapping.load(path)


def test_a_rule_reaches_inside_objects(tmp_path: Path) -> None:
    """The customer can be the account in the event's context."""
    by_account = rules(tmp_path, customer_id='"context.groupId"')

    billable = mapping.apply(by_account, track())

    assert billable is not None
    assert json.loads(billable.json)["customer_id"] == "account-7"


def test_a_rule_names_what_is_recorded(tmp_path: Path) -> None:
    """A property is recorded under the name it is given, before any copied one."""
    named = rules(tmp_path, record='{ plan = "context.groupId", "*" = "properties" }')

    billable = mapping.apply(named, track())

    assert billable is not None
    record = json.loads(billable.json)["record"]
    assert record["plan"] == "account-7"
    assert record["seats"] == 3


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("properties.price", "properties.price is missing"),
        ("properties", "properties is an object, which Hyperline does not take"),
        ("event.name", "event.name is missing"),
    ],
)
def test_a_named_property_must_be_there(tmp_path: Path, path: str, reason: str) -> None:
    """Who names a property bills by it, so an event without it is not billed."""
    named = rules(tmp_path, record=f'{{ price = "{path}" }}')

    with pytest.raises(mapping.Unmappable, match=reason):
        mapping.apply(named, track())
