"""The mapping: what is billed for an event, and what can't be."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import mapping
from billable import Key
from expressions import Unmappable
from mapping_file import BadMapping, load
from rules import Rules
from samples import BILLABLE, read_rules, track, without

RULES = load(Path(mapping.__file__).with_name("mapping.toml"))


def bill(event: Any, rules: Rules = RULES) -> dict[str, Any]:
    """Return what *rules* make of *event*, read back from its JSON."""
    billable = mapping.apply(rules, event)
    assert billable is not None
    content: dict[str, Any] = json.loads(billable.json)
    return content


def refusal(rules: Rules, event: Any) -> str:
    """Return why *rules* can't bill *event*."""
    with pytest.raises(Unmappable) as unmappable:
        mapping.apply(rules, event)
    return str(unmappable.value)


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
    with pytest.raises(Unmappable, match="number too large"):
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
    with pytest.raises(Unmappable, match="timestamp is not an ISO 8601 date"):
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
        (track(type=None), "type is null"),
        (track(type=["track"]), "type is an array, not text"),
    ],
)
def test_what_no_rule_can_judge_is_unmappable(event: Any, reason: str) -> None:
    """To filter what has no type could be to filter all revenue."""
    assert refusal(RULES, event) == reason


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (without("messageId"), "messageId is missing"),
        (track(messageId=""), "messageId is empty"),
        (track(messageId=1), "messageId is a number, not text"),
        (without("userId"), "customer_id: userId is missing"),
        (track(userId=None), "customer_id: userId is null"),
        (track(userId=""), "customer_id: userId is empty"),
        (track(userId=1.5), "customer_id: userId is a number, not text"),
        (track(userId=True), "customer_id: userId is true or false, not text"),
        (track(userId={}), "customer_id: userId is an object, not text"),
        (without("event"), "event_type: event is missing"),
        (track(event=""), "event_type: event is empty"),
        (without("timestamp"), "timestamp: timestamp is missing"),
        (track(timestamp=1768555859243), "timestamp: timestamp is a number, not text"),
        (track(properties=[]), "record.*: properties is an array, not an object"),
        (track(properties="seats"), "record.*: properties is text, not an object"),
    ],
)
def test_what_is_missing_or_wrong_is_named(event: Any, reason: str) -> None:
    """The reason tells which rule and field to mend, and no value of the event."""
    assert refusal(RULES, event) == f"rule 1 (track): {reason}"


def test_an_anonymous_id_is_no_customer() -> None:
    """Nobody is billed for what a visitor without a name did, unless a rule says so."""
    anonymous = track(userId=None, anonymousId="visitor-1")

    assert refusal(RULES, anonymous) == "rule 1 (track): customer_id: userId is null"

    named = read_rules('customer_id = "userId || anonymousId"\nrecord = {}')
    assert bill(anonymous, named)["customer_id"] == "visitor-1"


SEATS = 'event = "Seats Added"\n'


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("properties.price", "is missing"),
        ("properties.plan.name", "is missing"),
        ("properties", "is an object, which Hyperline does not take"),
        ("properties.nothing", "is null"),
        ("properties.mixed", "is an array, which Hyperline does not take"),
        ("to_number(properties.plan)", "is null"),
        ("properties.none || properties.price", "is null"),
        ("length(properties.seats)", "fails: length() does not take what it gets"),
        ("sum(properties.mixed)", "fails: sum() does not take what it gets"),
        ("powertools_json(properties.plan)", "fails with JSONDecodeError"),
        ("powertools_base64_gzip(properties.b64)", "fails with BadGzipFile"),
        ("powertools_base64_gzip(properties.cut)", "fails with EOFError"),
        ("ceil(properties.inf)", "fails with OverflowError"),
        ("properties.mixed[::0]", "fails with ValueError"),
        ("&properties", "is nothing JSON knows, which Hyperline does not take"),
    ],
)
def test_a_named_property_must_be_there(expression: str, words: str) -> None:
    """Who names a property bills by it, so an event without it is not billed."""
    rules = read_rules(f"{SEATS}record = {{ price = '{expression}' }}")
    properties = {
        "seats": 3,
        "plan": "team",
        "nothing": None,
        "mixed": [1, "a", {}],
        "b64": "AAAA",
        "cut": "H4sIAAAAAAAC",
        "inf": float("inf"),
    }

    reason = refusal(rules, track(properties=properties))

    assert reason == f"Seats Added: record.price: {expression} {words}"


def test_the_names_of_events_stay_out_of_reasons() -> None:
    """A name that the mapping does not hold is the customer's own."""
    rules = read_rules('record = { price = "properties.price" }')

    assert "Seats" not in refusal(rules, track())


def test_the_first_rule_that_matches_is_used() -> None:
    """The order in the file decides, whether or not a rule names events."""
    rules = read_rules(
        "when = \"userId == 'nobody'\"\nignore = true",
        f"{SEATS}when = \"properties.plan == 'free'\"\nignore = true",
        "when = \"properties.plan == 'trial'\"\nevent_type = \"'Trial'\"\nrecord = {}",
        f"{SEATS}event_type = \"'Seats'\"\nrecord = {{}}",
        "event_type = \"'Other'\"\nrecord = {}",
    )

    def event_type(**changes: Any) -> str | None:
        billable = mapping.apply(rules, track(**changes))
        return billable and billable.key.event_type

    assert event_type() == "Seats"
    assert event_type(event="Bar Opened") == "Other"
    assert event_type(userId="nobody") is None
    assert event_type(userId="nobody", event="Bar Opened") is None
    assert event_type(properties={"plan": "free"}) is None
    assert event_type(properties={"plan": "free"}, event="Bar Opened") == "Other"
    assert event_type(properties={"plan": "trial"}) == "Trial"
    assert event_type(properties={"plan": "trial"}, event="Bar Opened") == "Trial"


@pytest.mark.parametrize("event", [None, 5, "", [], {}])
def test_an_event_whose_name_is_needed_has_one(event: Any) -> None:
    """A rule that names events can't be tried, so the event is kept, not filtered."""
    rules = read_rules(f"{SEATS}record = {{}}")

    assert refusal(rules, track(event=event)).startswith("event is ")
    assert mapping.apply(rules, {"type": "page"}) is None


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("properties.plan == 'team'", True),
        ("properties.plan != 'free'", True),
        ("properties.none != 'free'", True),
        ("properties.none == 'free'", False),
        ("properties.none > `5`", False),
        ("properties.seats > `2` && !(properties.none)", True),
        ("!(properties.plan) || !userId", False),
        ("properties.zero", True),
        ("properties.empty", False),
        ("properties.false", False),
        ("properties.none", False),
        ("contains(['team', 'pro'], properties.plan)", True),
        ("starts_with(userId, 'customer-')", True),
        ("type(properties.seats) == 'number'", True),
        ("properties.b.c.d", False),
        ("@.b", False),
        ("properties", True),
    ],
)
def test_a_condition_is_true_as_jmespath_has_it(condition: str, *, holds: bool) -> None:
    """A field that is missing is null, and 0 is true."""
    rules = read_rules(f'when = "{condition}"\nrecord = {{}}')
    properties = {"plan": "team", "seats": 3, "zero": 0, "empty": "", "false": False}

    assert (mapping.apply(rules, track(properties=properties)) is not None) == holds


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("starts_with(userId, 'x')", "fails: starts_with() does not take what it gets"),
        ("properties.plan > `5`", "fails with TypeError"),
    ],
)
def test_a_condition_that_fails_keeps_the_event(condition: str, words: str) -> None:
    """Nobody can tell whether the rule wants the event, so it is not filtered."""
    rules = read_rules(f'when = "{condition}"\nignore = true')

    reason = refusal(rules, track(userId=7))

    assert reason == f"rule 1 (track): when: {condition} {words}"


def test_what_is_named_wins_over_what_is_spread() -> None:
    """A property is recorded under the name it is given, before any copied one."""
    rules = read_rules('record = { plan = "context.groupId", "*" = "properties" }')

    record = bill(track(), rules)["record"]

    assert record == BILLABLE["record"] | {"plan": "account-7"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ('properties."a.b"', 1),
        ('properties."*"', 2),
        ("properties.id", 3),
        ("properties.__proto__", 4),
        ('properties."😀"', 5),
        ("properties.huge", "x" * 1_000_000),
        ("properties.list", [1, "a", True]),
        ("properties.list[1]", "a"),
        ("join(`-`, [`a`, properties.huge])", "a-" + "x" * 1_000_000),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_expression_finds_properties_of_any_name(path: str, value: Any) -> None:
    """The name of a property is the customer's; quotes hold what a name can't."""
    path = path.replace("`-`", '`"-"`').replace("`a`", '`"a"`')
    rules = read_rules(f"record = {{ found = '{path}' }}")
    properties = {"a.b": 1, "*": 2, "id": 3, "__proto__": 4, "😀": 5}
    properties |= {"huge": "x" * 1_000_000, "list": [1, "a", True]}

    assert bill(track(properties=properties), rules)["record"]["found"] == value


@pytest.mark.parametrize("name", ["a.b", "__proto__", "😀", "event_type", "$"])
def test_a_record_may_hold_any_name(name: str) -> None:
    """What a property is called on the invoice is the owner's choice."""
    rules = read_rules(f'record = {{ "{name}" = "properties.seats" }}')

    assert bill(track(), rules)["record"][name] == 3


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", 3),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("9007199254740993", 9007199254740993),
        (7, 7),
        ("1_000", None),
        ("nan", None),
        ("NaN", None),
        ("Infinity", None),
        ("٣", None),
        ("0x10", None),
        ("1,5", None),
        ("", None),
        ("true", None),
        ("[1]", None),
        ("9" * 5_000, None),
        ("[" * 100_000, None),
        (True, None),
        (None, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_number_is_read_from_text_as_json_writes_it(text: Any, number: Any) -> None:
    """What Python alone takes for a number would be an invented amount."""
    rules = read_rules('record = { seats = "to_number(properties.seats)" }')
    event = track(properties={"seats": text})

    if number is None:
        assert refusal(rules, event).endswith("to_number(properties.seats) is null")
    else:
        assert bill(event, rules)["record"]["seats"] == number


TYPES, NAMES, PLANS = ("track", "page"), ("A", "B", "C"), ("free", "team")
RULE = st.tuples(
    st.sampled_from(TYPES),
    st.sets(st.sampled_from(NAMES), max_size=2),
    st.sampled_from([*PLANS, None]),
    st.booleans(),
)


def write_rule(rule: tuple[str, set[str], str | None, bool], number: int) -> str:
    """Return the lines of a rule that bills as its number, or ignores."""
    kind, names, plan, ignore = rule
    lines = [f'type = "{kind}"']
    if names and kind == "track":
        lines.append(f"event = {sorted(names)}")
    if plan:
        lines.append(f"when = \"properties.plan == '{plan}'\"")
    billing = [f"event_type = \"'{number}'\"", "record = {}"]
    return "\n".join([*lines, *(["ignore = true"] if ignore else billing)])


@example(
    [(TYPES[0], set(), plan, False) for plan in PLANS]
    + [(TYPES[0], {"A"}, None, False)]
)
@given(st.lists(RULE, min_size=1, max_size=8))
def test_rules_are_found_as_if_tried_one_after_another(rules_: list[Any]) -> None:
    """That they are sorted makes no difference to what is billed, or by which rule."""
    try:
        rules = read_rules(*(write_rule(r, n) for n, r in enumerate(rules_)))
    except BadMapping as error:
        assert "it never gets" in str(error)  # noqa: PT017 - both ends are tested
        return

    for kind, name, plan in itertools.product(TYPES, NAMES, PLANS):
        event = track(type=kind, event=name, properties={"plan": plan})
        billable = mapping.apply(rules, event)
        matching = (
            None if ignore else str(number)
            for number, (type_, names, when, ignore) in enumerate(rules_)
            if type_ == kind
            and (not names or type_ != "track" or name in names)
            and when in (None, plan)
        )
        assert (billable and billable.key.event_type) == next(matching, None)


def test_a_thousand_rules_bill_as_one_does() -> None:
    """Each event meets the rule that names it, however many there are."""
    rules = read_rules(
        *(
            f'event = "Event {n}"\nevent_type = "\'Type {n}\'"\nrecord = {{}}'
            for n in range(1000)
        )
    )

    for number in (0, 500, 999):
        billed = bill(track(event=f"Event {number}"), rules)
        assert billed["event_type"] == f"Type {number}"
    assert mapping.apply(rules, track(event="Event 1000")) is None
