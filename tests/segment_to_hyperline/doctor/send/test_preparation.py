"""The event that is sent: one of the owner's, or one that the mapping bills."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from segment_to_hyperline.doctor.send.creation import Identity
from segment_to_hyperline.doctor.send.preparation import (
    MOST_EVENTS,
    Prepared,
    Unprepared,
    describe_billed,
    prepare_created,
    prepare_received,
)
from segment_to_hyperline.hyperline.billable_event import Fields
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules, parse_rules
from segment_to_hyperline.mapping.rules import Rules
from tests.clock import ago
from tests.samples import RECENTLY, read_rules, track, without

ROOT = Path(__file__).parents[4]
IDENTITY = Identity("doctor-1", RECENTLY, "acme")
EACH = 'each = "properties.items"\nevent_type = "\'Item\'"\n'


def create(rules: Rules, identity: Identity = IDENTITY) -> Prepared:
    """Return the event that is created for *rules*."""
    prepared = prepare_created(rules, identity)
    assert isinstance(prepared, Prepared)
    assert prepared.billable == apply_rules(rules, prepared.event)
    return prepared


def receive(
    rules: Rules, *events: dict[str, Any], identity: Identity = IDENTITY
) -> Prepared:
    """Return what is sent of *events*."""
    prepared = prepare_received(rules, events, identity)
    assert isinstance(prepared, Prepared)
    return prepared


def list_billable(prepared: Prepared) -> list[Fields]:
    """Return what is billed."""
    return [each.fields() for each in prepared.billable]


def split_recipes() -> list[str]:
    """Return mapping files with a recipe each."""
    head, *rules = (ROOT / "docs/recipes.toml").read_text("utf-8").split("[[rules]]")
    return [f"{head}[[rules]]{rule}" for rule in rules]


@pytest.mark.parametrize("recipe", split_recipes())
def test_an_event_is_created_for_each_recipe(recipe: str) -> None:
    """The mapping bills it, to the customer."""
    billed = list_billable(create(parse_rules(recipe.encode(), "recipe")))

    # A recipe bills two kinds of usage of one event.
    assert len(billed) == (2 if "Usage Reported" in recipe else 1)
    for billable in billed:
        assert billable["customer_id"] == "acme"
        assert billable["timestamp"] == RECENTLY
        assert billable["record"]["id"].startswith("doctor-1")


def test_an_event_is_created_for_the_mapping_of_the_repository() -> None:
    """It has a name and a property."""
    prepared = create(load_rules(ROOT / "function/mapping.toml"))

    assert list_billable(prepared) == [
        {
            "customer_id": "acme",
            "event_type": "Example Event",
            "timestamp": RECENTLY,
            "record": {"quantity": 1, "id": "doctor-1"},
        }
    ]
    assert prepared.origin == "created from the mapping: track events (rule 1)"


@pytest.mark.parametrize(
    ("rule", "record"),
    [
        ('record = {n = "properties.a.b"}', {"n": 1}),
        ('record = {n = "@.custom"}', {"n": 1}),
        ('record = {n = "sum(properties.amounts)"}', {"n": 1}),
        ('record = {n = "sum(properties.items[].price)"}', {"n": 1}),
        ('record = {n = "max(properties.items[*].price)"}', {"n": 1}),
        ('record = {n = "properties.items[0].price"}', {"n": 1}),
        ('record = {n = "properties.items[0:2].n"}', {"n": [1]}),
        ('record = {n = "properties.a.b", m = "properties.a"}', None),
        ('record = {n = "length(properties.name)"}', {"n": 7}),
        ("record = {n = \"join('-', properties.tags)\"}", {"n": "example"}),
        ('record = {n = "properties.n || `5`"}', {"n": 1}),
        ("record = {n = \"starts_with(name, 'a')\"}", {"n": True}),
        ("record = {n = \"contains(['a', 'b'], properties.x)\"}", {"n": False}),
        ('record = {n = "contains(`[\\"a\\"]`, properties.x)"}', {"n": True}),
        ('record = {n = "length(keys(properties.o))"}', {"n": 1}),
        ('record = {n = "type(@)"}', {"n": "object"}),
        ('record = {n = "properties.items[1]"}', None),
        ('each = "values(properties)"\nrecord = {n = "item.n"}', None),
        ('record = {n = "parse_json(properties.x).n"}', None),
        ('record = {n = "max_by(properties.items, &n).n"}', None),
    ],
)
def test_it_has_what_the_record_reads(rule: str, record: dict[str, Any] | None) -> None:
    """Or it isn't created, because a function needs a special value."""
    rules = read_rules(rule)

    if record is None:
        prepared = prepare_created(rules, IDENTITY)
        assert isinstance(prepared, Unprepared)
        assert "rule 1 needs special values" in prepared.reason
        assert prepared.remedy == ("pass a file with one of your own events as EVENTS")
    else:
        (billable,) = list_billable(create(rules))
        assert billable["record"] == {**record, "id": "doctor-1"}


@pytest.mark.parametrize(
    "condition",
    [
        "properties.plan == 'team'",
        "'team' == properties.plan",
        "properties.plan != 'free'",
        "properties.internal != `true`",
        "properties.plan != `null`",
        "properties.seats > `10`",
        "properties.seats >= `10`",
        "properties.seats < `10`",
        "`10` > properties.seats",
        "properties.seats && !(properties.internal)",
        "contains(properties.email, '@example.org')",
        "starts_with(properties.plan, 'te') && properties.seats != `0`",
        'contains(`["team", "pro"]`, properties.plan)',
        "context.a == properties.b",
        "event == 'Seats Added'",
        "lower(properties.plan) == 'example'",
    ],
)
def test_it_meets_usual_conditions(condition: str) -> None:
    """The condition of a rule can be one on its properties."""
    rules = read_rules(f"when = {json.dumps(condition)}\nrecord = {{}}")

    assert len(create(rules).billable) == 1


def test_a_condition_that_needs_a_special_value() -> None:
    """The answer says which rule, and what to pass."""
    rules = read_rules("when = \"lower(properties.plan) == 'team'\"\nrecord = {}")

    assert prepare_created(rules, IDENTITY) == Unprepared(
        "rule 1 needs special values, so no event can be created for it (filtered: no"
        " rule matches)",
        "pass a file with one of your own events as EVENTS",
    )


@pytest.mark.parametrize(
    "customer",
    ["userId", "context.groupId", "not_null(context.groupId, userId)", "@.account"],
)
def test_the_customer_is_where_the_mapping_reads_it(customer: str) -> None:
    """At every place that is read."""
    rules = read_rules(f'customer_id = "{customer}"\nrecord = {{}}')

    (billable,) = list_billable(create(rules))

    assert billable["customer_id"] == "acme"


@pytest.mark.parametrize("customer", ["upper(userId)", "'everybody'"])
def test_a_customer_that_is_computed(customer: str) -> None:
    """Another one than was asked for is never billed."""
    rules = read_rules(f'customer_id = "{customer}"\nrecord = {{}}')

    for prepared in (
        prepare_created(rules, IDENTITY),
        prepare_received(rules, [track()], IDENTITY),
    ):
        assert isinstance(prepared, Unprepared)
        assert f"computes the customer ({customer})" in prepared.reason
        assert "leave out --customer" in prepared.remedy


def test_each_element_is_billed() -> None:
    """The created event has one, in the array that the rule names."""
    rules = read_rules(EACH + 'customer_id = "item.owner"\nrecord = {n = "item.n"}')

    prepared = create(rules)

    assert prepared.event["properties"] == {"items": [{"owner": "acme", "n": 1}]}
    assert [each.key.record_id for each in prepared.billable] == ["doctor-1:0"]


def test_the_first_rule_that_can_be_used_counts() -> None:
    """A rule that ignores events, or needs special values, is left out."""
    rules = read_rules(
        'event = "Secret"\nignore = true',
        'event = "Odd"\nrecord = {n = "parse_json(properties.x).n"}',
        'event = ["Seats Added", "Seats Removed"]\nrecord = {}',
    )

    prepared = create(rules)

    assert prepared.event["event"] == "Seats Added"
    assert prepared.origin.endswith("track Seats Added or Seats Removed (rule 3)")


def test_a_mapping_that_bills_nothing() -> None:
    """There is no event for it."""
    rules = read_rules('event = "Secret"\nignore = true')

    assert prepare_created(rules, IDENTITY) == Unprepared(
        "the mapping bills no events", "add a rule without ignore"
    )


def test_the_first_event_that_is_billed_is_sent() -> None:
    """Its messageId, its own times and its customer are replaced, and nothing else."""
    events = [track(event="Other"), track(receivedAt=ago(99)), track(userId="third")]
    before = copy.deepcopy(events)
    rules = read_rules('event = "Seats Added"\nrecord = {"*" = "properties"}')

    prepared = receive(rules, *events)

    now = dict.fromkeys(("receivedAt", "sentAt", "timestamp", "originalTimestamp"))
    assert prepared.event == track(
        messageId="doctor-1", userId="acme", **dict.fromkeys(now, RECENTLY)
    )
    assert events == before
    assert prepared.problem == ""


def test_an_event_is_received_now() -> None:
    """Also if the one in the file has no such time, as in an archive of a source."""
    prepared = receive(read_rules("record = {}"), without("receivedAt"))

    assert prepared.event["receivedAt"] == RECENTLY


def test_the_customer_of_an_event_stays() -> None:
    """Without --customer, the event bills its own."""
    prepared = receive(
        read_rules("record = {}"), track(), identity=IDENTITY._replace(customer=None)
    )

    assert [each["customer_id"] for each in list_billable(prepared)] == ["customer-42"]


def test_an_old_event_is_within_the_limits() -> None:
    """The time that is billed is the present, also where it is a property."""
    rules = read_rules(
        'timestamp = "properties.ended_at"\nmax_days_in_past = 1\nrecord = {}'
    )
    old = track(properties={"ended_at": "2020-01-01T00:00:00Z"})
    assert not receive(read_rules('event = "Other"\nrecord = {}'), old).billable

    (billable,) = list_billable(receive(rules, old))

    assert billable["timestamp"] == RECENTLY


def test_no_event_is_billed() -> None:
    """The first one is sent, and it is known why it isn't billed."""
    rules = read_rules('event = "Seats Added"\nrecord = {n = "properties.none"}')

    prepared = receive(rules, track(), track(event="Other"))

    assert prepared.event["event"] == "Seats Added"
    assert prepared.problem == (
        "quarantined: Seats Added: record.n: properties.none is missing"
    )
    filtered = receive(rules, track(event="Other", type=3), track(event="Other"))
    assert filtered.problem == "quarantined: type is a number, not a string"


def test_not_more_events_are_read_than_needed() -> None:
    """An archive can have millions of them."""
    read = 0

    def generate() -> Any:
        nonlocal read
        while True:
            read += 1
            yield {"type": "alias"}

    prepared = prepare_received(read_rules("record = {}"), generate(), IDENTITY)

    assert isinstance(prepared, Prepared)
    assert read == MOST_EVENTS
    assert isinstance(
        prepare_received(read_rules("record = {}"), [], IDENTITY), Unprepared
    )


def test_the_billed_events_are_described() -> None:
    """For those who have to pass one."""
    rules = read_rules(
        'event = ["A", "B"]\nrecord = {}',
        'type = "page"\nevent_type = "\'P\'"\nwhen = "name"\nrecord = {}',
        *(f'event = "E{number}"\nrecord = {{}}' for number in range(4)),
    )

    assert describe_billed(rules) == (
        "track A or B (rule 1); page events if name (rule 2); track E0 (rule 3); track"
        " E1 (rule 4); track E2 (rule 5); …"
    )
