"""The mapping: what is billed for an event, and which events can't be billed."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segment_to_hyperline.hyperline.billable_event import Key
from segment_to_hyperline.mapping.apply import apply_rules, find_rule
from segment_to_hyperline.mapping.expressions import UnmappableEvent
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.mapping.rules import Rules
from tests.samples import BILLABLE, read_rules, track, without

RULES = load_rules(Path(__file__).parents[3] / "function/mapping.toml")


def bill(event: Any, rules: Rules = RULES) -> dict[str, Any]:
    """Return the content of the billable event for *event*."""
    (billable,) = apply_rules(rules, event)
    content: dict[str, Any] = json.loads(billable.json)
    return content


def reason_for(rules: Rules, event: Any) -> str:
    """Return the reason why *event* is unmappable."""
    with pytest.raises(UnmappableEvent) as unmappable:
        apply_rules(rules, event)
    return str(unmappable.value)


def test_a_track_event_is_billed() -> None:
    """A track event becomes the billable event that docs/mapping.md shows."""
    (billable,) = apply_rules(RULES, track())

    assert billable.key == Key("Seats Added", "node-next-1768555859208-e1640791")
    assert json.loads(billable.json) == BILLABLE


@pytest.mark.parametrize("kind", ["identify", "page", "screen", "group", "alias", "x"])
def test_an_event_that_no_rule_matches_is_filtered(kind: str) -> None:
    """By default, only track events are billed."""
    assert apply_rules(RULES, {"type": kind}) == ()


def test_the_same_event_results_in_the_same_bytes() -> None:
    """A retry overwrites the event, so a difference would change an invoice."""
    event = track(
        properties={"ü": "\ud800", "b": 1.10, "a": [1e21, True]},
        timestamp="2026-01-16T09:30:59.243Z",
        receivedAt="2026-01-16T09:31:06.302Z",
    )
    text = json.dumps(event)

    billed = {apply_rules(RULES, json.loads(text)) for _ in range(3)}

    assert [event.json for (event,) in billed] == [
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
def test_a_property_that_hyperline_accepts_is_copied(value: Any) -> None:
    """Strings, numbers, booleans and arrays of these are sent unchanged."""
    assert bill(track(properties={"p": value}))["record"]["p"] == value


@pytest.mark.parametrize("value", [None, {}, {"a": 1}, [None], [{}], [[1]], [1, {}]])
def test_a_property_that_hyperline_rejects_is_omitted(value: Any) -> None:
    """The other properties of the event are billed."""
    record = bill(track(properties={"p": value, "seats": 3}))["record"]

    assert record.keys() == {"seats", "id"}


@pytest.mark.parametrize("value", [float("inf"), [1, float("-inf")]])
def test_a_number_that_json_cannot_represent_is_unmappable(value: Any) -> None:
    """Without such a number, the wrong amount would be billed."""
    with pytest.raises(UnmappableEvent, match="record contains a number that JSON"):
        apply_rules(RULES, track(properties={"p": value}))


@pytest.mark.parametrize(
    "name",
    ["__proto__", "constructor", "", "a.b", "*", "$", "\ud800", "😀", "event_type"],
)
def test_a_property_can_have_any_name(name: str) -> None:
    """No name has a special meaning."""
    assert bill(track(properties={name: 1}))["record"][name] == 1


@pytest.mark.parametrize("value", ["other", 1, None, {}])
def test_no_property_replaces_the_id(value: Any) -> None:
    """With another id, a retry would be billed as another event."""
    record = bill(track(properties={"id": value}))["record"]

    assert record == {"id": "node-next-1768555859208-e1640791"}


@pytest.mark.parametrize("event", [without("properties"), track(properties=None)])
def test_an_event_without_properties_is_billed(event: Any) -> None:
    """Hyperline can bill by the number of events."""
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
    """Every format in Segment's documentation is converted to the same one."""
    assert bill(track(timestamp=time, receivedAt=None))["timestamp"] == utc


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
def test_an_invalid_time_is_unmappable(time: str) -> None:
    """With a guessed time, usage could be billed in the wrong period."""
    with pytest.raises(UnmappableEvent, match="timestamp is not an ISO 8601 date"):
        apply_rules(RULES, track(timestamp=time))


def test_an_integer_as_customer_id_becomes_a_string() -> None:
    """Hyperline only accepts strings."""
    assert bill(track(userId=9007199254740993))["customer_id"] == "9007199254740993"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (1, "the event is a number, not an object"),
        (None, "the event is null, not an object"),
        ([], "the event is an array, not an object"),
        (without("type"), "type is missing"),
        (track(type=None), "type is null"),
        (track(type=["track"]), "type is an array, not a string"),
    ],
)
def test_an_event_without_a_type_is_unmappable(event: Any, reason: str) -> None:
    """If it were filtered, a change at the source could stop all billing unnoticed."""
    assert reason_for(RULES, event) == reason


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (without("messageId"), "messageId is missing"),
        (track(messageId=""), "messageId is empty"),
        (track(messageId=1), "messageId is a number, not a string"),
        (without("userId"), "customer_id: userId is missing"),
        (track(userId=None), "customer_id: userId is null"),
        (track(userId=""), "customer_id: userId is empty"),
        (track(userId=1.5), "customer_id: userId is a number, not a string"),
        (track(userId=True), "customer_id: userId is a boolean, not a string"),
        (track(userId={}), "customer_id: userId is an object, not a string"),
        (without("event"), "event_type: event is missing"),
        (track(event=""), "event_type: event is empty"),
        (without("timestamp"), "timestamp: timestamp is missing"),
        (
            track(timestamp=1768555859243),
            "timestamp: timestamp is a number, not a string",
        ),
        (track(properties=[]), "record.*: properties is an array, not an object"),
        (track(properties="seats"), "record.*: properties is a string, not an object"),
    ],
)
def test_the_reason_names_the_rule_and_the_field(event: Any, reason: str) -> None:
    """It says what has to be fixed, and contains no value of the event."""
    assert reason_for(RULES, event) == f"rule 1 (track): {reason}"


@pytest.mark.parametrize("text", [" ", "\t\n", "\u00a0", "\u3000 ", "\u200b", "\x00"])
@pytest.mark.parametrize(
    ("field", "name"),
    [("userId", "customer_id: "), ("event", "event_type: "), ("messageId", "")],
)
def test_an_invisible_name_is_unmappable(field: str, name: str, text: str) -> None:
    """Nobody could find the customer or the event type in Hyperline."""
    reason = reason_for(RULES, track(**{field: text}))

    problem = f"{field} has only spaces or invisible characters"
    assert reason == f"rule 1 (track): {name}{problem}"


@pytest.mark.parametrize("text", ["0", " a", "\u00a0ü", "😀", "\ud800", "\U0010fffd"])
def test_any_visible_name_is_billed(text: str) -> None:
    """It is posted as it is, also if a space or an invisible character surrounds it."""
    assert bill(track(userId=text))["customer_id"] == text


def test_an_anonymous_id_is_not_a_customer_id() -> None:
    """An anonymous visitor is not billed, unless a rule says so."""
    anonymous = track(userId=None, anonymousId="visitor-1")

    assert reason_for(RULES, anonymous) == "rule 1 (track): customer_id: userId is null"

    named = read_rules('customer_id = "userId || anonymousId"\nrecord = {}')
    assert bill(anonymous, named)["customer_id"] == "visitor-1"


SEATS = 'event = "Seats Added"\n'


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("properties.price", "is missing"),
        ("properties.plan.name", "is missing"),
        ("properties", "is an object, which Hyperline does not accept"),
        ("properties.nothing", "is null"),
        ("properties.mixed", "is an array, which Hyperline does not accept"),
        ("to_number(properties.plan)", "is null"),
        ("properties.none || properties.price", "is null"),
        (
            "keys(properties.seats)",
            "fails: keys(): argument 1 (properties.seats) is a number, not an object",
        ),
        ("properties.mixed[::0]", "fails with ValueError"),
        (
            "properties.address.city",
            'is missing, but there is properties."address.city": quote that name',
        ),
    ],
)
def test_a_named_property_is_required(expression: str, problem: str) -> None:
    """An event without a property that is billed by name is not billed at all."""
    rules = read_rules(f"{SEATS}record = {{ price = '{expression}' }}")
    properties = {
        "seats": 3,
        "plan": "team",
        "nothing": None,
        "mixed": [1, "a", {}],
        "address.city": "Paris",
    }

    reason = reason_for(rules, track(properties=properties))

    assert reason == f"Seats Added: record.price: {expression} {problem}"


def test_a_reason_contains_no_event_name_from_outside_the_mapping() -> None:
    """Reasons are logged, and such a name could be personal data."""
    rules = read_rules('record = { price = "properties.price" }')

    assert "Seats" not in reason_for(rules, track())


def test_the_first_rule_that_matches_is_used() -> None:
    """The order in the file decides, with and without event names in the rules."""
    rules = read_rules(
        "when = \"userId == 'nobody'\"\nignore = true",
        f"{SEATS}when = \"properties.plan == 'free'\"\nignore = true",
        "when = \"properties.plan == 'trial'\"\nevent_type = \"'Trial'\"\nrecord = {}",
        f"{SEATS}event_type = \"'Seats'\"\nrecord = {{}}",
        "event_type = \"'Other'\"\nrecord = {}",
    )

    def event_type(**changes: Any) -> str | None:
        billed = apply_rules(rules, track(**changes))
        return billed[0].key.event_type if billed else None

    assert event_type() == "Seats"
    assert event_type(event="Bar Opened") == "Other"
    assert event_type(userId="nobody") is None
    assert event_type(userId="nobody", event="Bar Opened") is None
    assert event_type(properties={"plan": "free"}) is None
    assert event_type(properties={"plan": "free"}, event="Bar Opened") == "Other"
    assert event_type(properties={"plan": "trial"}) == "Trial"
    assert event_type(properties={"plan": "trial"}, event="Bar Opened") == "Trial"


def test_the_rule_of_an_event_is_found() -> None:
    """The commands show it as the reason why an event is filtered."""
    rules = read_rules('event = "A"\nrecord = {}', f"{SEATS}ignore = true")

    found = [find_rule(rules, track(event=name)) for name in ("A", "Seats Added", "B")]

    assert [rule and rule.number for rule in found] == [1, 2, None]


@pytest.mark.parametrize("event", [None, 5, "", [], {}])
def test_an_event_without_a_name_is_unmappable_if_rules_name_events(event: Any) -> None:
    """It is not filtered, because it is unknown whether a rule matches it."""
    rules = read_rules(f"{SEATS}record = {{}}")

    assert reason_for(rules, track(event=event)).startswith("event is ")
    assert apply_rules(rules, {"type": "page"}) == ()


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
def test_a_condition_is_true_as_jmespath_defines_it(
    condition: str, *, holds: bool
) -> None:
    """A missing field is null, and 0 is true."""
    rules = read_rules(f'when = "{condition}"\nrecord = {{}}')
    properties = {"plan": "team", "seats": 3, "zero": 0, "empty": "", "false": False}

    assert bool(apply_rules(rules, track(properties=properties))) == holds


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        (
            "starts_with(userId, 'x')",
            "fails: starts_with(): argument 1 (userId) is a number, not a string",
        ),
        (
            "properties.plan > `5`",
            "fails with TypeError; a number and a string can't be compared",
        ),
    ],
)
def test_an_event_for_which_a_condition_fails_is_unmappable(
    condition: str, problem: str
) -> None:
    """It is not filtered, because it is unknown whether the rule matches it."""
    rules = read_rules(f'when = "{condition}"\nignore = true')

    reason = reason_for(rules, track(userId=7))

    assert reason == f"rule 1 (track): when: {condition} {problem}"


def test_a_named_property_overrides_a_copied_one() -> None:
    """If "*" copies a property of the same name, the named one is sent."""
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
        ("properties.huge", "x" * 200_000),
        ("properties.list", [1, "a", True]),
        ("properties.list[1]", "a"),
        ("join(`-`, [`a`, properties.huge])", "a-" + "x" * 200_000),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_expression_selects_a_property_of_any_name(path: str, value: Any) -> None:
    """A name with special characters is written in double quotes."""
    path = path.replace("`-`", '`"-"`').replace("`a`", '`"a"`')
    rules = read_rules(f"record = {{ found = '{path}' }}")
    properties: dict[str, Any] = {"a.b": 1, "*": 2, "id": 3, "__proto__": 4, "😀": 5}
    properties |= {"huge": "x" * 200_000, "list": [1, "a", True]}

    assert bill(track(properties=properties), rules)["record"]["found"] == value


@pytest.mark.parametrize("name", ["a.b", "__proto__", "😀", "event_type", "$"])
def test_a_record_can_contain_any_name(name: str) -> None:
    """The mapping decides under which name Hyperline gets a property."""
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
def test_to_number_converts_only_numbers_in_json_format(text: Any, number: Any) -> None:
    """Python accepts more formats, so a wrong amount could be billed."""
    rules = read_rules('record = { seats = "to_number(properties.seats)" }')
    event = track(properties={"seats": text})

    if number is None:
        assert reason_for(rules, event).endswith("to_number(properties.seats) is null")
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
    """Return the TOML of a rule that uses *number* as event_type, or ignores events."""
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
def test_the_index_gives_the_same_result_as_testing_each_rule(
    drawn: list[Any],
) -> None:
    """The first rule that matches is used, for any rules and any event."""
    try:
        rules = read_rules(*(write_rule(r, n) for n, r in enumerate(drawn)))
    except MappingFileError as error:
        assert "unreachable" in str(error)  # noqa: PT017 - a valid file is tested too
        return

    for kind, name, plan in itertools.product(TYPES, NAMES, PLANS):
        event = track(type=kind, event=name, properties={"plan": plan})
        billed = [event.key.event_type for event in apply_rules(rules, event)]
        matching = (
            None if ignore else str(number)
            for number, (type_, names, when, ignore) in enumerate(drawn)
            if type_ == kind
            and (not names or type_ != "track" or name in names)
            and when in (None, plan)
        )
        assert next(iter(billed), None) == next(matching, None)


def test_a_mapping_can_have_a_thousand_rules() -> None:
    """Each event is billed by the rule that names it."""
    rules = read_rules(
        *(
            f'event = "Event {n}"\nevent_type = "\'Type {n}\'"\nrecord = {{}}'
            for n in range(1000)
        )
    )

    for number in (0, 500, 999):
        billed = bill(track(event=f"Event {number}"), rules)
        assert billed["event_type"] == f"Type {number}"
    assert apply_rules(rules, track(event="Event 1000")) == ()


@pytest.mark.parametrize("message_id", ["m:0", "m:12"])
def test_an_id_like_that_of_an_element_is_unmappable(message_id: str) -> None:
    """The event and the element would overwrite each other, if a rule has `each`."""
    event = track(messageId=message_id)
    each = f'{SEATS}each = "properties.items"\nrecord = {{}}'
    rules = read_rules('event = "A"\nrecord = {}', each)

    assert bill(event)["record"]["id"] == message_id
    assert bill(event | {"properties": {"items": [1]}}, rules)["record"]["id"] == (
        f"{message_id}:0"
    )
    reason = reason_for(rules, event | {"event": "A"})
    assert reason.startswith("A: messageId ends with a colon and a number")


def test_the_billable_events_of_an_event_have_a_maximum_size() -> None:
    """Each element can contain the properties of the whole event."""
    rules = read_rules('each = "properties.items"\nrecord = { "*" = "properties" }')
    properties = {"note": "x" * 20_000, "items": [1] * 60}

    with pytest.raises(UnmappableEvent, match="together larger than 1,048,576 bytes"):
        apply_rules(rules, track(properties=properties))
    assert len(apply_rules(rules, track(properties=properties | {"note": ""}))) == 60


@pytest.mark.parametrize(("excess", "fits"), [(0, True), (1, False)])
def test_a_billable_event_has_at_most_256_kib(excess: int, *, fits: bool) -> None:
    """A larger one is quarantined before it is posted."""
    (billed,) = apply_rules(RULES, track(properties={"text": ""}))
    text = "x" * (256 * 1024 - len(billed.json) + excess)
    event = track(properties={"text": text})

    if fits:
        assert apply_rules(RULES, event)
        return
    with pytest.raises(UnmappableEvent, match="larger than 262,144 bytes"):
        apply_rules(RULES, event)
