"""The mapping file: what it can contain, and the errors in an invalid file."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from segment_to_hyperline.mapping.file import parse_rules
from segment_to_hyperline.mapping.mistakes import MappingFileError
from tests.samples import read_rules

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "function/mapping.schema.json").read_text("utf-8"))
RECORD = 'record = { "*" = "properties" }\n'
NOT_A_STRING = "must be a non-empty string"
NOT_QUOTED = "must be an expression in quotes; for a constant write"
UNKNOWN_FIELD = "Segment's events have no top-level field"
VALID = [
    RECORD,
    "record = {}",
    f'type = "track"\nevent = "Seats Added"\n{RECORD}',
    f'event = ["Seats Added", "Seats Removed"]\n{RECORD}',
    f"when = \"properties.plan != 'free'\"\n{RECORD}",
    f'event = "\'"\n{RECORD}',
    f'customer_id = "context.groupId"\n{RECORD}',
    f'timestamp = "originalTimestamp"\n{RECORD}',
    'type = "page"\nevent_type = "\'Page Viewed\'"\nrecord = {}',
    'type = "delete"\nignore = true',
    'event = "Seats Added"\nwhen = "properties.test"\nignore = true',
    'record = { price = "max_by(properties.items, &price).price" }',
    'record = { seats = "`3`", paid = "`true`", plan = "\'free\'" }',
    'when = "properties.seats > `5`"\nrecord = {}',
    'each = "properties.products"\nrecord = { quantity = "item.quantity" }',
    'each = "properties.products"\ncustomer_id = "item.id || userId"\nrecord = {}',
    "each = \"properties.products[?category == 'x']\"\nrecord = {}",
    f'{RECORD}[tables.region]\nDE = "EU"\n"a b" = 1\nx = true',
    'record = { n = "add(properties.a, `1`)", d = "date_part(timestamp, \'day\')" }',
    'record = { n = "time_difference(sentAt, receivedAt, properties.unit)" }',
    f"{RECORD}max_days_in_past = 800\nmax_days_in_future = 0.5",
    f"{RECORD}max_days_in_past = false\nmax_days_in_future = 0",
    f"{RECORD}[limits]\nmax_days_in_past = 800\nmax_days_in_future = false",
]
# Rules that the schema rejects too.
MALFORMED = [
    (
        'rcord = {}\nevent = "A"',
        "rule 1 (A): rcord is not a known key here; expected one of type, ",
    ),
    (
        "",
        "rule 1: record is missing or not a table: list the properties to send, as in",
    ),
    ('record = "properties"', "rule 1: record is missing or not a table"),
    ("record = { seats = 3 }", f'rule 1: record.seats: {NOT_QUOTED} "`3`"'),
    ("record = { seats = 1.5 }", f'rule 1: record.seats: {NOT_QUOTED} "`1.5`"'),
    ("record = { seats = [3] }", f"rule 1: record.seats: {NOT_A_STRING}"),
    ("record = { seats = 2026-01-16 }", f"rule 1: record.seats: {NOT_A_STRING}"),
    ('record = { seats = "" }', f"rule 1: record.seats: {NOT_A_STRING}"),
    (
        'record = { id = "messageId" }',
        "rule 1: record.id: this is always the messageId; remove it",
    ),
    (
        'type = "Track"\nrecord = {}',
        "rule 1: type: Track is not one of track, identify,",
    ),
    ("type = 1\nrecord = {}", f"rule 1: type: {NOT_A_STRING}"),
    ('type = ["page"]\nrecord = {}', f"rule 1: type: {NOT_A_STRING}"),
    ("event = 1\nrecord = {}", f"rule 1: event: {NOT_A_STRING}"),
    ('event = ""\nrecord = {}', f"rule 1 (): event: {NOT_A_STRING}"),
    ("event = []\nrecord = {}", "rule 1: event: the list is empty"),
    ('event = ["A", 1]\nrecord = {}', f"rule 1: event: {NOT_A_STRING}"),
    ('event = ["A", "A"]\nrecord = {}', "rule 1: event: A is listed twice"),
    ("when = true\nrecord = {}", f'rule 1: when: {NOT_QUOTED} "`true`"'),
    ('when = ""\nrecord = {}', f"rule 1: when: {NOT_A_STRING}"),
    ("customer_id = 1\nrecord = {}", f'rule 1: customer_id: {NOT_QUOTED} "`1`"'),
    ("ignore = false", "rule 1: ignore: must be true or omitted"),
    ('ignore = "yes"', "rule 1: ignore: must be true or omitted"),
    (
        "ignore = true\nrecord = {}",
        "rule 1: record is not a known key here; expected one of type,",
    ),
    ('type = "page"\nrecord = {}', "rule 1: event_type is missing: page events have"),
    ("each = 1\nrecord = {}", f'rule 1: each: {NOT_QUOTED} "`1`"'),
    (
        'each = "properties.a"\nignore = true',
        "rule 1: each is not a known key here; expected one of type, event, when",
    ),
    (f"{RECORD}[tables]\nregion = 1", "tables.region: list its entries, as in DE ="),
    (f"{RECORD}[tables.region]\n", "tables.region: list its entries"),
    (
        f"{RECORD}[tables.region]\nDE = []",
        "tables.region.DE: must be a string, a number or a boolean",
    ),
    (
        'type = "page"\nevent = "Home"\nevent_type = "name"\nrecord = {}',
        "rule 1 (Home): event: only track events have an event name; for page events",
    ),
]
LIMIT = "must be a number of days, or false for no limit"
MALFORMED += [
    (
        f"{RECORD}max_days_in_past = {value}",
        f"rule 1: max_days_in_past: {LIMIT}",
    )
    for value in ("true", "-1", '"1"', "inf", "1e12", "[1]")
]
MALFORMED += [
    (f"{RECORD}[limits]\nmax_days_in_future = -1", "limits: max_days_in_future: must"),
    (f"{RECORD}[limits]\nmax_days = 1", "limits: max_days is not a known key here;"),
    (f"{RECORD}[[limits]]\nmax_days_in_past = 1", "limits: begin the table with a"),
    (
        "ignore = true\nmax_days_in_past = 1",
        "rule 1: max_days_in_past is not a known key here; expected one of type, ",
    ),
]
# Expressions are not checked by the schema.
INVALID_EXPRESSIONS = [
    (
        'when = "a =="\nrecord = {}',
        "when: not a JMESPath expression; the error is at ▸: a",
    ),
    (
        'when = "a b"\nrecord = {}',
        "when: not a JMESPath expression; the error is at ▸: a ▸b",
    ),
    ('when = " "\nrecord = {}', "when: not a JMESPath expression"),
    ('when = "plan == \'free"\nrecord = {}', "when: not a JMESPath expression"),
    ('customer_id = "a..b"\nrecord = {}', "customer_id: not a JMESPath expression"),
    ('record = { "*" = "a[" }', "record.*: not a JMESPath expression"),
    ('record = { n = "number(a)" }', "record.n: unknown function number()"),
    ('record = { n = "a[?b(c)]" }', "record.n: unknown function b()"),
    (
        'record = { n = "length()" }',
        "record.n: length() takes 1 argument(s), but 0 are given",
    ),
    (
        'record = { n = "join(a)" }',
        "record.n: join() takes 2 argument(s), but 1 are given",
    ),
    (
        'record = { n = "abs(a, b)" }',
        "record.n: abs() takes 1 argument(s), but 2 are given",
    ),
    ('when = "!a.b"\nrecord = {}', "when: ! binds tighter than a dot: for !a.b write"),
    ('when = "a || !b.c"\nrecord = {}', "when: ! binds tighter than a dot"),
    (
        "when = \"name = 'x'\"\nrecord = {}",
        "when: not a JMESPath expression; the error is",
    ),
    (
        'when = "name > 5"\nrecord = {}',
        "when: not a JMESPath expression; the error is at ▸: name > ▸5; write a number",
    ),
    (
        'when = "true"\nrecord = {}',
        "when: true without backticks is the name of a field; write `true`",
    ),
    (f'when = "{"(" * 5_000}"\nrecord = {{}}', "when: nested too deeply"),
    (
        """when = 'properties.plan != "free"'\nrecord = {}""",
        (
            'when: "free" in double quotes is the name of a field; for the string write'
            " 'free', and for the field free"
        ),
    ),
    (
        'when = "property.plan"\nrecord = {}',
        f"when: {UNKNOWN_FIELD} property (did you mean properties?);",
    ),
    (
        'customer_id = "userid"\nrecord = {}',
        f"customer_id: {UNKNOWN_FIELD} userid (did you mean userId?);",
    ),
    ('when = "contains(userId, x)"\nrecord = {}', f"when: {UNKNOWN_FIELD}"),
    ('when = "not_null(a.b, userId)"\nrecord = {}', f"when: {UNKNOWN_FIELD}"),
    ('when = "[userId, a][0]"\nrecord = {}', f"when: {UNKNOWN_FIELD} a (did"),
    ("when = \"'false'\"\nrecord = {}", "when: the condition is the same for every"),
    ('when = "`1` == `1`"\nrecord = {}', "when: two constants are compared; a field"),
    ("when = \"contains('a', 'b')\"\nrecord = {}", "when: the condition is the same"),
    (
        "when = \"userId && 'a' == 'b'\"\nrecord = {}",
        "when: two constants are compared",
    ),
    (
        "record = { n = \"properties.a[?'seat']\" }",
        "record.n: the condition in [? ] is the same for every element; a field",
    ),
    (
        """record = { n = '"Plan Name"' }""",
        (
            f'record.n: {UNKNOWN_FIELD} "Plan Name" (did you mean'
            ' properties."Plan Name"?); for the string write'
        ),
    ),
    ('record = { "*" = "property" }', f"record.*: {UNKNOWN_FIELD} prop"),
    ('record = { n = "item.n" }', "record.n: item is the element of each, which can"),
    (
        'each = "properties.a"\nwhen = "item.n"\nrecord = {}',
        "when: item is the element of each, which can",
    ),
    ('each = "item"\nrecord = {}', "each: item is the element of each, which can"),
    (
        'each = "properties.a"\nrecord = { n = "quantity" }',
        f"record.n: {UNKNOWN_FIELD} quantity (did you mean item.quantity?)",
    ),
    (
        "record = { n = \"lookup('region', userId)\" }",
        "record.n: lookup(): argument 1 must be the name of a table in quotes",
    ),
    (
        'record = { n = "lookup(userId, userId)" }',
        "record.n: lookup(): argument 1 must",
    ),
    (
        "record = { n = \"lookup('r', userId, userId, userId)\" }",
        "record.n: lookup(): takes 2 or 3 arguments, but 4 are given",
    ),
    ('record = { n = "lookup(`[]`, userId)" }', "record.n: lookup(): argument 1 must"),
    (
        'record = { n = "date_part(sentAt, `{}`)" }',
        "record.n: date_part(): argument 2 must be",
    ),
    ('record = { n = "&userId" }', "record.n: & is only allowed in an argument"),
    (
        'record = { n = "to_string(&userId)" }',
        "record.n: to_string() does not accept an argument with &",
    ),
    (
        'record = { n = "to_string([&userId])" }',
        "record.n: & is only allowed in an argument",
    ),
    (
        'record = { n = "max_by(properties.a, userId)" }',
        "record.n: max_by() requires an argument with &",
    ),
    (
        f'record = {{ n = "{"||".join(["userId"] * 5_000)}" }}',
        "record.n: nested too deeply",
    ),
    (
        "record = { n = \"lookup('r', userId, userId, userId)\" }",
        "record.n: lookup(): takes 2 or 3 arguments, but 4 are given",
    ),
    (
        "record = { n = \"lookup('r')\" }",
        "record.n: lookup() takes 2 argument(s), but 1 are given",
    ),
    (
        "record = { n = \"time_difference(sentAt, receivedAt, 'weeks')\" }",
        "record.n: time_difference(): argument 3 must be one of seconds, minutes",
    ),
    (
        'record = { n = "date_part(sentAt, `1`)" }',
        "record.n: date_part(): argument 2 must be one of year, month, day",
    ),
    (
        'record = { n = "multiply(properties.a)" }',
        "record.n: multiply() takes 2 argument(s), but 1 are given",
    ),
    ('when = "!properties.*"\nrecord = {}', "when: ! binds tighter than a dot"),
]
UNREACHABLE = [
    (
        [RECORD, 'event = "A"\nignore = true'],
        "rule 2: unreachable for the event A, because",
    ),
    (
        [RECORD, 'when = "userId"\nrecord = {}'],
        "rule 2: unreachable for all track events",
    ),
    ([RECORD, RECORD], "rule 2: unreachable for all track events, because rule 1"),
    (
        ['event = ["A", "B"]\nrecord = {}', 'event = ["C", "B"]\nignore = true'],
        "rule 2: unreachable for the event B, because rule 1 matches first",
    ),
]


def when(expression: str) -> str:
    """Return a file with a rule that has this condition."""
    return f'[[rules]]\nwhen = "{expression}"\nrecord = {{}}'


def error_for(*tables: str) -> str:
    """Return the error in a file with the rules *tables*."""
    with pytest.raises(MappingFileError) as error:
        read_rules(*tables)
    return str(error.value)


def is_valid(*tables: str) -> bool:
    """Return whether the JSON schema accepts a file with the rules *tables*."""
    document = tomllib.loads("".join(f"[[rules]]\n{table}\n" for table in tables))
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(document)


@pytest.mark.parametrize("table", VALID)
def test_a_valid_rule_is_accepted(table: str) -> None:
    """An editor that uses the schema shows no error either."""
    assert read_rules(table)
    assert is_valid(table)


def test_the_default_mapping_is_valid() -> None:
    """It also matches the schema that its first line names."""
    source = (ROOT / "function/mapping.toml").read_text("utf-8")

    assert parse_rules(source.encode(), "mapping.toml")
    jsonschema.validate(tomllib.loads(source), SCHEMA)
    named = source.splitlines()[0].removeprefix("#:schema ")
    assert (ROOT / "function" / named).resolve() == ROOT.joinpath(
        "function/mapping.schema.json"
    )


@pytest.mark.parametrize(("table", "reason"), MALFORMED)
def test_a_malformed_rule_is_rejected(table: str, reason: str) -> None:
    """The error names the file, the rule and the reason; the schema rejects it too."""
    assert error_for(table).startswith(f"mapping.toml: {reason}")
    assert not is_valid(table)


@pytest.mark.parametrize(("table", "reason"), INVALID_EXPRESSIONS)
def test_an_invalid_expression_is_rejected(table: str, reason: str) -> None:
    """The error is raised when the file is read, and not at the first event."""
    assert error_for(table).startswith(f"mapping.toml: rule 1: {reason}")


@pytest.mark.parametrize(("tables", "reason"), UNREACHABLE)
def test_an_unreachable_rule_is_rejected(tables: list[str], reason: str) -> None:
    """Its author expects it to have an effect."""
    assert error_for(*tables).startswith(f"mapping.toml: {reason}")


def test_rules_after_conditions_and_other_types_are_reachable() -> None:
    """Only a rule of the same type and without a condition matches all events."""
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
        (b"", "no rules: begin each rule with a line [[rules]]"),
        (b"rules = []", "no rules"),
        (b"rules = 1", "no rules"),
        (b"rules = [1]", "no rules"),
        (b"[rules]\nrecord = {}", "no rules"),
        (
            b"[[rule]]\nrecord = {}",
            "rule is not a known key here; expected one of rules, tables",
        ),
        (b"tables = 1\n[[rules]]\nrecord = {}", "tables: begin each table with a line"),
        (b"[[rules]\n", "not TOML: Expected ']]' at the end of an array declaration"),
        (b"[[rules]]\nevent = 'A'\nevent = 'B'", "not TOML: Cannot overwrite a value"),
        (
            b"[[rules]]\ntype = track",
            "not TOML: Invalid value (at line 2, column 8); a string needs quotes",
        ),
        (b"x = " + b"[" * 100_000, "not TOML: "),
        (b"x = " + b"9" * 5_000, "not TOML: "),
        (
            b"tables.a.b = nan\n[[rules]]\nrecord = {}",
            "tables.a.b: must be a string, a number or a boolean",
        ),
        (b"[[rules]]\nevent = 'S\xffats'", "not UTF-8 at byte 20"),
        ("[[rules]]\nrecord = {}".encode("utf-16"), "not UTF-8 at byte 0"),
    ],
)
def test_a_file_without_rules_is_rejected(source: bytes, reason: str) -> None:
    """With such a file, nothing would be billed, and nobody would notice."""
    with pytest.raises(MappingFileError) as error:
        parse_rules(source, "other.toml")

    assert str(error.value).startswith(f"other.toml: {reason}")


def test_a_byte_order_mark_is_ignored() -> None:
    """Some editors on Windows write one."""
    assert parse_rules(b"\xef\xbb\xbf[[rules]]\nrecord = {}", "mapping.toml")


@pytest.mark.parametrize("module", ["receiver", "replayer"])
def test_a_function_with_an_invalid_file_does_not_start(
    tmp_path: Path, module: str
) -> None:
    """It then responds to no request, so that Segment retries."""
    function = tmp_path / "function"
    shutil.copytree(
        ROOT / "function", function, ignore=shutil.ignore_patterns("__pycache__")
    )
    (function / "mapping.toml").write_text('[[rules]]\nevnt = "A"', "utf-8")

    started = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        cwd=function,
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == 1
    assert "mapping.toml: rule 1: evnt is not a known key here" in started.stderr


def test_the_schema_and_the_code_agree_on_required_keys() -> None:
    """They accept or reject the same rules with one key missing."""
    full: dict[str, Any] = {
        "type": "page",
        "when": "userId",
        "customer_id": "userId",
        "event_type": "name",
        "timestamp": "sentAt",
        "record": {},
    }
    for name in full:
        others = {k: v for k, v in full.items() if k != name}
        table = "\n".join(f"{k} = {json.dumps(v)}" for k, v in others.items())
        try:
            loads = bool(read_rules(table))
        except MappingFileError:
            loads = False
        assert loads == is_valid(table), name


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("[[rules]]\ntype = track", 'a string needs quotes, as in type = "track"'),
        ("[[rules]]\nrecord = { * = 'properties' }", '"*" needs quotes'),
        ("[[rules]]\nrecord = {\n}", "must be on one line"),
        ('[[rules]]\ntype = "track\n', "a string is not closed"),
        ("[[rules]]\nwhen = \"name = 'x'\"\nrecord = {}", "compare with =="),
        ("[[rules]]\nevent = \"'Seats Added'\"\nrecord = {}", "write the name alone"),
        ("[[rules]]\nrecord = { units = 1 }", 'for a constant write "`1`"'),
        ("[[rules]]\nrecord = { seats = 'seats' }", "did you mean properties.seats?"),
        ("[[rules]]\ncustomer_id = 'userid'\nrecord = {}", "did you mean userId?"),
        (when("properties.workspace-id == 'a'"), 'special character: "workspace-id"'),
        (when("properties.a-1 == 'a'"), 'special character: "a-1"'),
        (when("properties.Plan Name == 'a'"), 'special character: "Plan Name"'),
        (when("properties.größe"), 'special character: "größe"'),
        (when("properties.$plan"), 'special character: "$plan"'),
        (when("properties.2fa"), 'special character: "2fa"'),
        (when("properties.seats > -5"), "in backticks, as in `-5`"),
        (when("userId and groupId"), "write && instead of and"),
        (when("userId or groupId"), "write || instead of or"),
        (when("not userId"), "write !(a) instead of not a"),
        (when("name in properties.a"), "write contains(b, a) instead of a in b"),
        (when("properties.a - properties.b"), "with a function: subtract(a, b)"),
        (when("properties.a * `2`"), "with a function: multiply(a, b)"),
    ],
)
def test_a_common_mistake_has_a_hint(source: str, hint: str) -> None:
    """The message says how to write what was meant."""
    with pytest.raises(MappingFileError, match=re.escape(hint)):
        parse_rules(source.encode(), "mapping.toml")
