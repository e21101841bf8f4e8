"""The mapping file: what it may hold, and what is said of any other."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import mapping_file
from samples import read_rules

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "tools/mapping.schema.json").read_text("utf-8"))
RECORD = 'record = { "*" = "properties" }\n'
GOOD = [
    RECORD,
    "record = {}",
    f'type = "track"\nevent = "Seats Added"\n{RECORD}',
    f'event = ["Seats Added", "Seats Removed"]\n{RECORD}',
    f"when = \"properties.plan != 'free'\"\n{RECORD}",
    f'customer_id = "context.groupId"\n{RECORD}',
    f'timestamp = "originalTimestamp"\n{RECORD}',
    'type = "page"\nevent_type = "\'Page Viewed\'"\nrecord = {}',
    'type = "delete"\nignore = true',
    'event = "Seats Added"\nwhen = "properties.test"\nignore = true',
]
# What is wrong with a rule's form, which the schema tells an editor as well.
MALFORMED = [
    ('rcord = {}\nevent = "A"', "rule 1 (A): rcord is unknown here; known are type, "),
    ("", "rule 1: record is missing or no table: name what is sent, as in record = {"),
    ('record = "properties"', "rule 1: record is missing or no table"),
    ("record = { seats = 3 }", "rule 1: record.seats: it must be text that is not"),
    ('record = { seats = "" }', "rule 1: record.seats: it must be text that is not"),
    ('record = { id = "messageId" }', "rule 1: record.id: it is always the event's"),
    ('type = "Track"\nrecord = {}', "rule 1: type: Track is none of track, identify,"),
    ("type = 1\nrecord = {}", "rule 1: type: it must be text"),
    ('type = ["page"]\nrecord = {}', "rule 1: type: it must be text"),
    ("event = 1\nrecord = {}", "rule 1: event: it must be text"),
    ('event = ""\nrecord = {}', "rule 1 (): event: it must be text"),
    ("event = []\nrecord = {}", "rule 1: event: the list is empty"),
    ('event = ["A", 1]\nrecord = {}', "rule 1: event: it must be text"),
    ('event = ["A", "A"]\nrecord = {}', "rule 1: event: A is in the list twice"),
    ("when = true\nrecord = {}", "rule 1: when: it must be text"),
    ('when = ""\nrecord = {}', "rule 1: when: it must be text"),
    ("customer_id = 1\nrecord = {}", "rule 1: customer_id: it must be text"),
    ("ignore = false", "rule 1: ignore: it can only be true; else leave it out"),
    ('ignore = "yes"', "rule 1: ignore: it can only be true; else leave it out"),
    ("ignore = true\nrecord = {}", "rule 1: record is unknown here; known are type,"),
    ('type = "page"\nrecord = {}', "rule 1: event_type is missing: page events have"),
    (
        'type = "page"\nevent = "Home"\nevent_type = "name"\nrecord = {}',
        "rule 1 (Home): event: only track events have an event name; for page events",
    ),
]
# What is wrong with an expression, or with the order.
MISTAKEN = [
    (
        'when = "a =="\nrecord = {}',
        "when: no JMESPath expression; the fault is at ▸: a",
    ),
    (
        'when = "a b"\nrecord = {}',
        "when: no JMESPath expression; the fault is at ▸: a ▸b",
    ),
    ('when = " "\nrecord = {}', "when: no JMESPath expression"),
    ('when = "plan == \'free"\nrecord = {}', "when: no JMESPath expression"),
    ('customer_id = "a..b"\nrecord = {}', "customer_id: no JMESPath expression"),
    ('record = { "*" = "a[" }', "record.*: no JMESPath expression"),
    ('record = { n = "number(a)" }', "record.n: there is no function number()"),
    ('record = { n = "a[?b(c)]" }', "record.n: there is no function b()"),
    ('record = { n = "length()" }', "record.n: length() takes 1 values, not 0"),
    ('record = { n = "join(a)" }', "record.n: join() takes 2 values, not 1"),
    ('record = { n = "abs(a, b)" }', "record.n: abs() takes 1 values, not 2"),
    ('when = "!a.b"\nrecord = {}', "when: ! goes before a dot here: for !a.b write"),
    ('when = "a || !b.c"\nrecord = {}', "when: ! goes before a dot here"),
    (
        'when = "true"\nrecord = {}',
        "when: no event of Segment has a field true; for text",
    ),
    (f'when = "{"(" * 5_000}"\nrecord = {{}}', "when: nested too deeply"),
    (
        """when = 'properties.plan != "free"'\nrecord = {}""",
        "when: no event of Segment has a field free; for text write 'free', for a",
    ),
    (
        'when = "property.plan"\nrecord = {}',
        "when: no event of Segment has a field prop",
    ),
    ('when = "contains(userId, x)"\nrecord = {}', "when: no event of Segment has a"),
    ('when = "not_null(a.b, userId)"\nrecord = {}', "when: no event of Segment has a"),
    (
        'when = "[userId, a][0]"\nrecord = {}',
        "when: no event of Segment has a field a;",
    ),
    ("when = \"'false'\"\nrecord = {}", "when: the condition is the same for every"),
    ('when = "`1` == `1`"\nrecord = {}', "when: the condition is the same for every"),
    ('record = { "*" = "property" }', "record.*: no event of Segment has a field prop"),
    ('when = "!properties.*"\nrecord = {}', "when: ! goes before a dot here"),
]
UNREACHABLE = [
    (
        [RECORD, 'event = "A"\nignore = true'],
        "rule 2: it never gets the event A, since",
    ),
    (
        [RECORD, 'when = "userId"\nrecord = {}'],
        "rule 2: it never gets all track events",
    ),
    ([RECORD, RECORD], "rule 2: it never gets all track events, since rule 1 takes"),
    (
        ['event = ["A", "B"]\nrecord = {}', 'event = ["C", "B"]\nignore = true'],
        "rule 2: it never gets the event B, since rule 1 takes every one",
    ),
]


def refusal(*tables: str) -> str:
    """Return what is said of a file that holds *tables*."""
    with pytest.raises(mapping_file.BadMapping) as bad:
        read_rules(*tables)
    return str(bad.value)


def is_valid(*tables: str) -> bool:
    """Return what the JSON Schema says of a file that holds *tables*."""
    document = tomllib.loads("".join(f"[[rules]]\n{table}\n" for table in tables))
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(document)


@pytest.mark.parametrize("table", GOOD)
def test_a_rule_may_hold_what_the_readme_says(table: str) -> None:
    """The file loads, and an editor with the schema has nothing to say either."""
    assert read_rules(table)
    assert is_valid(table)


def test_the_mapping_as_it_comes_is_good() -> None:
    """What is deployed loads, and agrees with the schema it names in its first line."""
    source = (ROOT / "function/mapping.toml").read_text("utf-8")

    assert mapping_file.parse(source.encode(), "mapping.toml")
    jsonschema.validate(tomllib.loads(source), SCHEMA)
    named = source.splitlines()[0].removeprefix("#:schema ")
    assert (ROOT / "function" / named).resolve() == ROOT / "tools/mapping.schema.json"


@pytest.mark.parametrize(("table", "reason"), MALFORMED)
def test_a_malformed_rule_is_refused(table: str, reason: str) -> None:
    """The file, the rule and the reason are told; the schema refuses it as well."""
    assert refusal(table).startswith(f"mapping.toml: {reason}")
    assert not is_valid(table)


@pytest.mark.parametrize(("table", "reason"), MISTAKEN)
def test_a_mistaken_expression_is_refused(table: str, reason: str) -> None:
    """A mistake shows when the file is read, not when an event comes."""
    assert refusal(table).startswith(f"mapping.toml: rule 1: {reason}")


@pytest.mark.parametrize(("tables", "reason"), UNREACHABLE)
def test_a_rule_that_can_never_match_is_refused(tables: list[str], reason: str) -> None:
    """Its owner believes that it does something."""
    assert refusal(*tables).startswith(f"mapping.toml: {reason}")


def test_rules_of_other_types_and_conditions_leave_something() -> None:
    """Only a rule without a condition, for the same type, takes all."""
    assert read_rules(
        'when = "userId"\nrecord = {}',
        'event = "A"\nwhen = "traits.b"\nignore = true',
        'event = "A"\nrecord = {}',
        'type = "page"\nevent_type = "name"\nrecord = {}',
        RECORD,
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "it holds no rules: begin each with a line [[rules]]"),
        (b"rules = []", "it holds no rules"),
        (b"rules = 1", "it holds no rules"),
        (b"rules = [1]", "it holds no rules"),
        (b"[rules]\nrecord = {}", "it holds no rules"),
        (b"[[rule]]\nrecord = {}", "rule is unknown here; known are rules"),
        (b"[[rules]\n", "not TOML: Expected ']]' at the end of an array declaration"),
        (b"[[rules]]\nevent = 'A'\nevent = 'B'", "not TOML: Cannot overwrite a value"),
        (b"x = " + b"[" * 100_000, "not TOML: "),
        (b"[[rules]]\nevent = 'S\xffats'", "not UTF-8 at byte 20"),
        ("[[rules]]\nrecord = {}".encode("utf-16"), "not UTF-8 at byte 0"),
    ],
)
def test_a_file_without_rules_is_refused(source: bytes, reason: str) -> None:
    """Nothing would be billed by it, and nobody would be told."""
    with pytest.raises(mapping_file.BadMapping) as bad:
        mapping_file.parse(source, "other.toml")

    assert str(bad.value).startswith(f"other.toml: {reason}")


def test_a_byte_order_mark_is_no_fault() -> None:
    """Some editors of Windows write one."""
    assert mapping_file.parse(b"\xef\xbb\xbf[[rules]]\nrecord = {}", "mapping.toml")


def test_a_broken_mapping_does_not_start(tmp_path: Path) -> None:
    """The function then answers no call, so that Segment keeps the events."""
    for module in (ROOT / "function").glob("*.py"):
        (tmp_path / module.name).symlink_to(module)
    (tmp_path / "mapping.toml").write_text('[[rules]]\nevnt = "A"', "utf-8")
    # What finds the file is where the module lies, which must not be the link's target.
    settlement = tmp_path / "settlement.py"
    source = settlement.read_bytes()
    settlement.unlink()
    settlement.write_bytes(source)

    started = subprocess.run(
        [sys.executable, "-c", "import app"],
        cwd=tmp_path,
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == 1
    assert "mapping.toml: rule 1: evnt is unknown here" in started.stderr


def test_a_good_rule_without_any_one_of_its_lines_is_judged_alike() -> None:
    """The schema and the code agree on what may be left out."""
    full: dict[str, Any] = {
        "type": "page",
        "when": "userId",
        "customer_id": "userId",
        "event_type": "name",
        "timestamp": "sentAt",
        "record": {},
    }
    for name in full:
        kept = {k: v for k, v in full.items() if k != name}
        table = "\n".join(f"{k} = {json.dumps(v)}" for k, v in kept.items())
        try:
            loads = bool(read_rules(table))
        except mapping_file.BadMapping:
            loads = False
        assert loads == is_valid(table), name
