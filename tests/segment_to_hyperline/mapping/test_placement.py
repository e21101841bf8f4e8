"""Keys of a rule that TOML puts into the table above, and the lines of mistakes."""

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segment_to_hyperline.mapping.file import parse_rules
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.mapping.placement import find_line

# A value for each key that is valid there, so that the file would be accepted.
VALUES = {
    "when": "\"properties.plan != 'free'\"",
    "each": '"properties.products"',
    "customer_id": '"context.groupId"',
    "event_type": "\"'Seats'\"",
    "timestamp": '"originalTimestamp"',
    "ignore": '"properties.ignore"',
}
BELOW_RECORD = """\
# A file
[[rules]]
event = "Seats Added"
[rules.record]
seats = "properties.seats"
{key} = {value}
"""
BELOW_TABLE = """\
[[rules]]
record = {{}}
[tables.region]
DE = "EU"

  {key} = {value} # of the rule
"""
BELOW_TABLES = """\
[[rules]]
record = {{}}
[tables]
region = {{ DE = "EU" }}
{key} = {value}
"""


def error_in(source: str) -> MappingFileError:
    """Return the error in the file *source*."""
    with pytest.raises(MappingFileError) as error:
        parse_rules(source.encode(), "mapping.toml")
    return error.value


@pytest.mark.parametrize("key", VALUES)
@pytest.mark.parametrize(
    ("source", "line", "advice"),
    [
        (
            BELOW_RECORD,
            6,
            "is below the line [rules.record], so it is a property of the record; if",
        ),
        (
            BELOW_TABLE,
            6,
            "is below the line [tables.region], so it is an entry of that table; if",
        ),
        (BELOW_TABLES, 5, "is below the line [tables]; move it above that line"),
    ],
)
def test_a_key_of_a_rule_in_another_table_is_rejected(
    source: str, line: int, advice: str, key: str
) -> None:
    """TOML puts it there, and without it the wrong events or customers are billed."""
    error = error_in(source.format(key=key, value=VALUES[key]))

    assert error.line == line
    assert str(error).startswith(f"mapping.toml: line {line}: {key} {advice}")


@pytest.mark.parametrize("key", ["type", "event"])
def test_a_table_has_no_event_or_type_below_its_line(key: str) -> None:
    """A rule without them bills other events, and nothing else would show it."""
    error = error_in(BELOW_TABLE.format(key=key, value='"track"'))

    assert str(error).startswith(f"mapping.toml: line 6: {key} is below the line")


def test_the_first_misplaced_key_of_a_file_is_reported() -> None:
    """Its author reads the file from the top."""
    tables = "[tables.region]\nwhen = 'DE'\n"
    rule = "[[rules]]\n[rules.record]\neach = 'properties.products'\n"

    assert error_in(tables + rule).line == 2
    assert error_in(rule + tables).line == 3


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("header", "key", "line"),
    [
        ("[rules.record]", "'when'", 4),
        ("[ rules . 'record' ]", '"when"', 4),
        ("[rules.record]\n# when = 1\na = '''\nwhen = 1\n'''", "when", 8),
        ("[rules.record]\na = { when = 'type' }\n[[rules]]\n[rules.record]", "when", 7),
    ],
)
def test_the_line_is_found_in_any_spelling(
    header: str, key: str, line: int, newline: str
) -> None:
    """The text of a string or a comment is not mistaken for the key."""
    source = f"[[rules]]\nevent = 'A'\n{header}\n{key} = 'type'\n"

    with pytest.raises(MappingFileError) as error:
        parse_rules(source.replace("\n", newline).encode(), "mapping.toml")

    assert error.value.line == line


@pytest.mark.parametrize(
    "source",
    [
        'record = { timestamp = "properties.started_at", when = "properties.when" }',
        'record = { when = "properties.when" }\nwhen = "properties.plan"',
        'record.when = "properties.when"\nrecord.each = "properties.each"',
        '[rules.record]\ntype = "properties.type"\nevent = "event"',
        "[rules.record]\nseats = '''\nnot_null(\n\nproperties.when)'''",
        'record = {}\n[tables]\nx = { when = 1, event = "A" }\ny = { type = 2 }',
        "record = {}\n[tables]\nx.when = 1",
        'when = "type"\n[rules.record]\na = "name"\n[[rules]]\nignore = true',
    ],
)
def test_a_property_or_entry_can_have_such_a_name(source: str) -> None:
    """It is written in braces or after a dot, which shows where it belongs."""
    assert parse_rules(f"[[rules]]\n{source}\n".encode(), "mapping.toml")


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("[[rules]]\nwhen = 'userid'\nrecord = {}", 2),
        ("[[rules]]\nrecord = { a = 'x', b = 'userId' }", 2),
        ("[[rules]]\n\n[rules.record]\nb = 'userId'\na = 'b'", 5),
        ("[[rules]]\n[rules.record]\na = 'userId'\n'b.c' = 'userid'", 4),
        ("[[rules]]\n[rules.record]\na = 'userId'\nid = 'messageId'", 4),
        ("[[rules]]\nrecord = {}\nevnt = 1", 3),
        ("[[rules]]\nrecord = {}\n[[rules]]\nevent = ['A', 'A']", 4),
        ("[[rules]]\ntype = 'Track'", 2),
        ("[[rules]]\nignore = false", 2),
        ("[[rules]]\nrecord = { id = 'messageId' }", 2),
        ("[[rules]]\nrecord = {}\n[tables.x]\na = []", 4),
        ("rule = 1", 1),
        ("[[rules]]\ntype = track", 2),
        ('[[rules]]\nwhen = "a\n', 2),
        ("", None),
        ("[[rules]]", None),
    ],
)
def test_an_error_has_the_line_for_editors(source: str, line: int | None) -> None:
    """It is None if the mistake is that something is missing."""
    assert error_in(source).line == line


KEYS = st.sampled_from(["when", "seats", '"a b"', "'*'"])
TEXTS = st.text(st.sampled_from("ab=#[]{}'\n when"), max_size=12).map(
    lambda text: f"'''{text.replace(chr(39), '')}'''"
)
ENTRIES = st.dictionaries(KEYS, TEXTS | st.just("[\n'when',\n]"), max_size=4)


@given(
    before=ENTRIES,
    after=ENTRIES,
    entries=ENTRIES,
    newline=st.sampled_from(["\n\n", "\n"]),
)
def test_the_line_of_a_key_is_exact(
    before: dict[str, str], after: dict[str, str], entries: dict[str, str], newline: str
) -> None:
    """Whatever else is in the file, the text up to the line doesn't set the key."""
    tables = [("x", before), ("y", entries), ("z", after)]
    text = newline.join(
        f"[tables.{name}]\n"
        + "".join(f"{key} = {text}\n" for key, text in table.items())
        for name, table in tables
    )

    line = find_line(text, ("tables", "y", "when"))

    assert (line is not None) == ("when" in entries)
    if line:
        lines = text.split("\n")
        assert lines[line - 1].startswith("when = ")
        start = "\n".join(lines[: line - 1])
        assert "when" not in tomllib.loads(start)["tables"]["y"]
        assert re.search(r"^\[tables\.y\]$", start, re.MULTILINE)
