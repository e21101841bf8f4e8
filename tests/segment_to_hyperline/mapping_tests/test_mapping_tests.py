"""Tests beside the mapping: what they compare, and where they are run."""

import json
import os
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from local_stack.aws import ROOT
from local_stack.segment_requests import write
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.mapping_tests.check import check_mapping
from segment_to_hyperline.mapping_tests.file import MappingTestsError, parse_tests
from tests.samples import TIMESTAMP, track

MAPPING = """
[tables.region]
DE = "EU"
US = "Americas"

[[rules]]
event = "Seats Added"
record = { seats = "properties.seats", price = "multiply(properties.seats, `10`)" }

[[rules]]
event = "Message Sent"
record = { region = "lookup('region', properties.country)" }

[[rules]]
event = "Listed"
record = { list = "properties.list" }

[[rules]]
event = "Order Completed"
each = "properties.products"
record = { sku = "item.sku" }
"""
SCHEMA = json.loads((ROOT / "function/mapping_tests.schema.json").read_text("utf-8"))
GERMAN = track(event="Message Sent", properties={"country": "DE"})
LISTED = track(event="Listed", properties={"list": [1, "a", True]})
ORDER = track(
    event="Order Completed", properties={"products": [{"sku": "a"}, {"sku": "b"}]}
)

type Run = Callable[..., Result]


def case(expected: str, event: object = None, name: str = "Seats") -> str:
    """Return a test for an *event*."""
    text = write(track() if event is None else event)
    return f"[[tests]]\nname = '{name}'\nevent = '''{text}'''\n{expected}\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command for tests beside the mapping."""
    (tmp_path / "mapping.toml").write_text(MAPPING, "utf-8")

    def run(tests: str, *options: str) -> Result:
        (tmp_path / "mapping_tests.toml").write_text(tests, "utf-8")
        mapping = ["--mapping", str(tmp_path / "mapping.toml")]
        return CliRunner().invoke(cli, ["test", *mapping, *options])

    return run


BILLED = '[[tests.billed]]\ncustomer_id = "customer-42"\n'
SEATS = "record = { seats = 3, price = 30 }\n"


@pytest.mark.parametrize(
    "test",
    [
        case(BILLED),
        case(BILLED + SEATS),
        case(f'[[tests.billed]]\ntimestamp = "{TIMESTAMP}"\nrecord.seats = 3.0\n')
        + "record.price = 30\n",
        case("filtered = true", {"type": "page", "name": "Home"}),
        case('quarantined = "userId is null"', track(userId=None)),
        case('[[tests.billed]]\nrecord = { region = "EU" }', GERMAN),
        case('billed = [{record = {sku = "a"}}, {record = {sku = "b"}}]', ORDER),
        case("billed = [{record = {list = [1.0, 'a', true]}}]", LISTED),
    ],
)
def test_a_test_that_is_right_passes(run: Run, test: str) -> None:
    """Fields that it doesn't name are not compared, and record.id only if it does."""
    done = run(test)

    assert done.exit_code == 0, done.output
    assert "ok      Seats\n\n1 test passed, 0 failed\n" in done.output
    jsonschema.validate(tomllib.loads(test), SCHEMA)


IS_BILLED = (
    '+ billed: customer_id = "customer-42", event_type = "Seats Added",'
    f' timestamp = "{TIMESTAMP}", record.seats = 3, record.price = 30,'
    ' record.id = "node-next-1768555859208-e1640791"'
)


@pytest.mark.parametrize(
    ("test", "diff"),
    [
        (
            case(f"{BILLED}record = {{ seats = 3, price = 27 }}"),
            ["- record.price = 27", "+ record.price = 30"],
        ),
        (case(f"{BILLED}record = {{ seats = 3 }}"), ["+ record.price = 30"]),
        (
            case(f"{BILLED}record = {{ seats = true, price = 30, a = 1 }}"),
            ["- record.seats = true", "+ record.seats = 3", "- record.a = 1"],
        ),
        (case(f'{BILLED}record = {{ seats = 3, price = 30, id = "m" }}'), None),
        (
            case('[[tests.billed]]\ncustomer_id = "c"'),
            ['- customer_id = "c"', '+ customer_id = "customer-42"'],
        ),
        (case("filtered = true"), ["- filtered", IS_BILLED]),
        (
            case('quarantined = "country"'),
            ["- quarantined: country", IS_BILLED],
        ),
        (
            case('quarantined = "seats"', track(userId=None)),
            [
                "- quarantined: seats",
                "+ quarantined: Seats Added: customer_id: userId is null",
            ],
        ),
        (
            case("billed = [{record = {list = [1, 'b', 1]}}]", LISTED),
            ['- record.list = [1, "b", 1]', '+ record.list = [1, "a", true]'],
        ),
        (
            case('billed = [{record = {sku = "z"}}]', ORDER),
            [
                "- 1 billable event",
                "+ 2 billable events",
                '- record.sku = "z"',
                '+ record.sku = "a"',
            ],
        ),
        (
            case('billed = [{}, {event_type = "B"}]', ORDER),
            [
                '- billable event 2: event_type = "B"',
                '+ billable event 2: event_type = "Order Completed"',
            ],
        ),
    ],
)
def test_a_test_that_is_wrong_fails_with_a_diff(
    run: Run, test: str, diff: list[str] | None
) -> None:
    """It shows what was expected and what is so, and the status is 1."""
    done = run(test)

    assert done.exit_code == 1
    assert "FAILED  Seats\n" in done.output
    assert "0 tests passed, 1 failed\n" in done.output
    assert "Failed: 1 test of the mapping failed.\n" in done.output
    shown = [line.strip() for line in done.output.splitlines() if line[:8].isspace()]
    if diff is not None:
        assert shown == diff
    else:
        assert shown[0] == '- record.id = "m"'


def test_what_no_test_uses_is_listed(run: Run) -> None:
    """These are rules and entries of tables; a change there would not be noticed."""
    done = run(case(BILLED) + case("billed = [{}]", GERMAN, "German"))

    assert done.exit_code == 0
    assert done.output.endswith(
        "\nnot tested:\n  rule 3 (Listed)\n  rule 4 (Order Completed)\n"
        "  tables.region.US\n"
    )


def test_only_the_rule_that_matches_is_used(run: Run) -> None:
    """Not the ones before it, and not those that an event is not for."""
    done = run(case("billed = [{}]", GERMAN))

    assert "\n  rule 1 (Seats Added)\n  rule 3 (Listed)\n" in done.output


@pytest.mark.parametrize("change", [("\n", "\r\n"), ("[[tests]]", "\ufeff[[tests]]")])
def test_editors_of_windows_can_write_the_file(
    run: Run, tmp_path: Path, change: tuple[str, str]
) -> None:
    """With its ends of lines, and a byte order mark."""
    (tmp_path / "tests.toml").write_text(
        case(f"{BILLED}x = 1").replace(*change), "utf-8", newline=""
    )

    done = run("", "--tests", str(tmp_path / "tests.toml"))

    assert "tests.toml: line 2: test 1 (Seats): billed: x is none of" in done.output


def test_one_test_that_fails_among_others_is_an_error(run: Run, tmp_path: Path) -> None:
    """As `sam build` checks them; it names that test only."""
    run(case(BILLED) + case("filtered = true", name="Free seats"))

    with pytest.raises(MappingTestsError) as raised:
        check_mapping(tmp_path / "mapping.toml")

    first, *_, last = str(raised.value).splitlines()
    assert first.startswith("mapping_tests.toml: line ")
    assert first.endswith(": Free seats")
    assert last == "mapping_tests.toml: 1 test passed, 1 failed"


def test_the_report_can_be_printed_as_json(run: Run) -> None:
    """It has each test with its line and its diff, and what is not tested."""
    done = run("# A comment.\n" + case("filtered = true"), "--json")

    report = json.loads(done.stdout)
    (result,) = report["tests"]
    assert (result["name"], result["line"], result["passed"]) == ("Seats", 3, False)
    assert result["diff"][0] == "- filtered"
    assert "tables.region.DE" in report["not_tested"]


def test_an_event_can_be_in_a_file(run: Run, tmp_path: Path) -> None:
    """Its path is relative to the file with the tests."""
    (tmp_path / "events").mkdir()
    (tmp_path / "events/seats.json").write_text(json.dumps(track(), indent=2))
    test = f'[[tests]]\nname = "Seats"\nfile = "events/seats.json"\n{BILLED}'

    assert run(test).exit_code == 0
    jsonschema.validate(tomllib.loads(test), SCHEMA)


def test_very_many_tests_are_read_at_once() -> None:
    """The page reads them again after each change."""
    tests = "".join(case(BILLED, name=f"Seats {n}") for n in range(200))
    began = time.process_time()

    parsed = parse_tests(tests.encode(), Path("mapping_tests.toml"))

    assert time.process_time() - began < 3
    lines = tests.splitlines()
    assert [lines[test.line - 1] for test in parsed] == [
        f"name = 'Seats {n}'" for n in range(200)
    ]


NAME = "[[tests]]\nname = 'Seats'\n"


@pytest.mark.parametrize(
    ("tests", "problem", "fits_schema"),
    [
        ("[[test]]", "test is not a known key here; expected one of tests", False),
        ("[tests]", "begin each test with a line [[tests]]", False),
        ("tests", "not TOML: Expected '=' after a key", None),
        ("[[tests]]\nfiltered = true", "test 1: name: say in a string what", False),
        (f"{NAME}x = 1", "line 3: test 1 (Seats): x is not a known key", False),
        (case("filtered = true") * 2, "line 6: test 2 (Seats): name: another", True),
        (f"{NAME}filtered = true", "needs exactly one of event, file", False),
        (f"{NAME}event = '{{}}'", "needs exactly one of billed, filtered, qua", False),
        (case("filtered = true\nquarantined = 'a'"), "needs exactly one of", False),
        (case("filtered = false"), "line 4: test 1 (Seats): filtered: must be", False),
        (case("quarantined = ''"), "quarantined: must be a string, a part of", False),
        (f"{NAME}event = {{}}\nfiltered = true", "event: must be a string", False),
        (f"{NAME}event = 'x'\nfiltered = true", "line 3: test 1 (Seats): event", True),
        (f"{NAME}event = ''\nfiltered = true", "event: has no event", False),
        (
            f"{NAME}event = '{{}} {{}}'\nfiltered = true",
            "event: has 2 events, and must have one",
            True,
        ),
        (
            f"{NAME}file = 'none.json'\nfiltered = true",
            "line 3: test 1 (Seats): file: none.json: No such file or directory",
            True,
        ),
        (
            f"{NAME}file = '{ROOT}/tests/../README.md'\nfiltered = true",
            "/README.md: it must be in the folder of the tests, or below it",
            True,
        ),
        (
            f"{NAME}file = '../mapping.toml'\nfiltered = true",
            "file: ../mapping.toml: it must be in the folder of the tests, or below it",
            True,
        ),
        (f'{NAME}file = "a\\u0000"\nfiltered = true', "embedded null byte", True),
        (f"a = {'[' * 9_999}", "not TOML: maximum recursion depth", None),
        (f"a = {'1' * 9_999}", "not TOML: Exceeds the limit", None),
        (case("billed = []"), "billed: begin each billable event with a line", False),
        (case("billed = [{ id = 1 }]"), "billed: id is none of customer_id, ", False),
        (
            case("[[tests.billed]]\ntimestamp = 2026-01-01"),
            "line 2: test 1 (Seats): billed: timestamp: must be a string, in quotes",
            None,
        ),
        (case("billed = [{ record = 1 }]"), "billed: record: must be a table", False),
        (case("billed = [{ record.a = {} }]"), "billed: record.a: must be a", False),
    ],
)
def test_an_invalid_test_is_reported(
    run: Run, tests: str, problem: str, *, fits_schema: bool | None
) -> None:
    """The message has the file, the line, the test and what to do, as in editors."""
    done = run(tests)

    assert done.exit_code == 2
    assert "Error: mapping_tests.toml: " in done.output
    assert problem in done.output
    if fits_schema is not None:
        validator = jsonschema.Draft202012Validator(SCHEMA)
        assert validator.is_valid(tomllib.loads(tests)) == fits_schema


def test_a_file_that_is_not_utf8_is_reported(run: Run, tmp_path: Path) -> None:
    """As it is for the mapping."""
    other = tmp_path / "other.toml"
    other.write_bytes(b"# \xff")

    assert "Error: other.toml: not TOML" in run("", "--tests", str(other)).output


def test_a_mapping_without_tests_is_valid(run: Run, tmp_path: Path) -> None:
    """Whether the file is empty or missing."""
    shipped = (ROOT / "function/mapping_tests.toml").read_text("utf-8")
    for content in ("", shipped):
        assert run(content).output == "The mapping has no tests\n"
    (tmp_path / "mapping_tests.toml").unlink()
    mapping = ["--mapping", str(tmp_path / "mapping.toml")]

    done = CliRunner().invoke(cli, ["test", *mapping])

    assert (done.exit_code, done.output) == (0, "The mapping has no tests\n")


def test_a_link_that_leads_nowhere_is_not_a_mapping_without_tests(
    run: Run, tmp_path: Path
) -> None:
    """Otherwise a moved file would end all tests silently."""
    run(case(BILLED))
    tests = tmp_path / "mapping_tests.toml"
    tests.rename(tmp_path / "moved.toml")
    tests.symlink_to(tmp_path / "none.toml")

    done = CliRunner().invoke(
        cli, ["test", "--mapping", str(tmp_path / "mapping.toml")]
    )

    assert done.exit_code == 2
    assert "mapping_tests.toml: No such file or directory" in done.output
    tests.unlink()
    tests.symlink_to("moved.toml")
    done = CliRunner().invoke(
        cli, ["test", "--mapping", str(tmp_path / "mapping.toml")]
    )
    assert "1 test passed" in done.output


def test_the_shipped_file_has_only_comments_which_are_valid_tests() -> None:
    """So the first change of the default mapping doesn't fail."""
    path = ROOT / "function/mapping_tests.toml"
    text = path.read_text("utf-8")
    lines = text.splitlines()
    examples = "\n".join(lines[lines.index("# [[tests]]") :]).replace("\n# ", "\n")
    examples = examples.removeprefix("# ").replace("\n#\n", "\n\n")

    assert all(line.startswith("#") for line in lines)
    assert lines[0] == "#:schema mapping_tests.schema.json"
    assert len(tomllib.loads(examples)["tests"]) == 3
    jsonschema.validate(tomllib.loads(examples), SCHEMA)


def test_the_examples_in_the_shipped_file_pass(tmp_path: Path) -> None:
    """They are about the default mapping."""
    lines = (ROOT / "function/mapping_tests.toml").read_text("utf-8").splitlines()
    text = "\n".join(line[2:] for line in lines[lines.index("# [[tests]]") :])
    (tmp_path / "tests.toml").write_text(text, "utf-8")
    event = {"type": "track", "event": "A", "messageId": "m-3", "userId": None}
    (tmp_path / "anonymous.json").write_text(json.dumps(event), "utf-8")

    done = CliRunner().invoke(cli, ["test", "--tests", str(tmp_path / "tests.toml")])

    assert "3 tests passed, 0 failed\n" in done.output


def test_a_test_that_fails_ends_the_build(tmp_path: Path) -> None:
    """`sam build` names the test; without it, it succeeds, and deploys no tests."""
    for name in ("template.yaml", "monitoring.yaml", "daily_check.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    ignore = shutil.ignore_patterns("__pycache__")
    function = tmp_path / "function"
    shutil.copytree(ROOT / "function", function, ignore=ignore)
    # Nothing is installed, because the packages are in this environment.
    (function / "requirements.txt").write_text("")
    tests = function / "mapping_tests.toml"
    tests.write_text(case('[[tests.billed]]\ncustomer_id = "c"'))
    path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"

    def build() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / ".venv/stack/bin/sam", "build", "Receiver"],
            cwd=tmp_path,
            env=os.environ | {"PATH": path, "SAM_CLI_TELEMETRY": "0"},
            capture_output=True,
            text=True,
            check=False,
        )

    failed = build()
    tests.write_text(case(BILLED))
    built = build()

    assert failed.returncode != 0
    for part in ("mapping_tests.toml: line 2: Seats", '- customer_id = "c"'):
        assert part in failed.stderr
    assert built.returncode == 0, built.stderr
    artifact = tmp_path / ".aws-sam/build/Receiver"
    assert (artifact / "mapping.toml").exists()
    assert not (artifact / "mapping_tests.toml").exists()
    for package in ("mapping_tests", "studio"):
        assert not (artifact / "segment_to_hyperline" / package).exists()


@pytest.mark.parametrize(("expected", "status"), [(BILLED, 0), ("filtered = true", 1)])
def test_a_pull_request_shows_the_tests(
    tmp_path: Path, expected: str, status: int
) -> None:
    """`preview --markdown` runs them, and fails if one of them does."""
    mapping, events = tmp_path / "mapping.toml", tmp_path / "events.ndjson"
    mapping.write_text(MAPPING)
    events.write_text(write(track()))
    tests = case(expected, name="Seats `#1`")
    (tmp_path / "mapping_tests.toml").write_text(tests)
    command = ["preview", str(events), "--mapping", str(mapping), "--markdown"]

    done = CliRunner().invoke(cli, [*command, "--against", str(mapping)])

    assert done.exit_code == status
    title = f"**Tests of the mapping: {1 - status} test{'s' * status} passed, {status}"
    assert title in done.output
    assert "Not tested: rule 2 (Message Sent), rule 3" in done.output
    assert (r"Seats \`\#1\`:" in done.output) == bool(status)
    assert ("```diff\n- filtered\n+ billed: " in done.output) == bool(status)
    failure = "Failed: 1 test of the mapping failed."
    assert (failure in done.output) == bool(status)


def test_a_value_can_not_end_the_block_of_a_diff(tmp_path: Path) -> None:
    """Values come from events, so a comment of a pull request can't contain others."""
    mapping, events = tmp_path / "mapping.toml", tmp_path / "events.ndjson"
    mapping.write_text(MAPPING)
    event = track(event="Listed", properties={"list": "```\n# Approved"})
    events.write_text(write(event))
    test = case('[[tests.billed]]\nrecord = { list = "a" }', event)
    (tmp_path / "mapping_tests.toml").write_text(test)
    command = ["preview", str(events), "--mapping", str(mapping), "--markdown"]

    done = CliRunner().invoke(cli, [*command, "--against", str(mapping)])

    lines = done.output.splitlines()
    assert '+ record.list = "` ` `\\n# Approved"' in lines
    assert [line for line in lines if line.startswith("```")] == ["```diff", "```"]
