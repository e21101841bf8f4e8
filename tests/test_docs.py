"""The documentation is true: its examples, commands, links and names are tested."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click import Context, Group
from click.testing import CliRunner

import receiver
from bench.reports.monthly import monthly_table
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.expressions import UnmappableEvent
from segment_to_hyperline.mapping.file import load_rules, parse_rules
from segment_to_hyperline.mapping.functions import Functions
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.segment.facts import is_retried
from tests.documents import DOCUMENTS, HISTORY, read_prose
from tests.samples import read_rules, track

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
REFERENCE = (ROOT / "docs/mapping.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")
PROPERTIES = {
    "seats": 3,
    "plan": "team",
    "price": 9.5,
    "extra": True,
    "address": {"city": "Bern"},
}
SPREAD = {"seats": 3, "plan": "team", "price": 9.5, "extra": True}
ORDER = track(event="Order Completed", properties=PROPERTIES)
# For each recipe in docs/mapping.md: events, each with the fields of its billable event
# that the row is about, or None if it is filtered.
PURPOSES: dict[str, list[tuple[dict[str, Any], dict[str, Any] | None]]] = {
    "bill the account, not the user": [(ORDER, {"customer_id": "account-7"})],
    "bill an event under another name": [
        (ORDER, {"event_type": "Orders", "record": SPREAD}),
        (track(), None),
    ],
    "send only three properties": [
        (ORDER, {"record": {"seats": 3, "plan": "team", "price": 9.5}})
    ],
    "send all properties, and one from elsewhere": [
        (ORDER, {"record": SPREAD | {"account": "account-7"}})
    ],
    "send a nested property": [(ORDER, {"record": {"city": "Bern"}})],
    "send a constant": [(ORDER, {"record": {"source": "segment", "units": 1}})],
    "send a number that arrives as a string": [
        (track(properties={"seats": "12.5"}), {"record": {"seats": 12.5}})
    ],
    "use 0 for a missing property": [
        (track(properties={}), {"record": {"seats": 0}}),
        (track(properties={"seats": 3}), {"record": {"seats": 3}}),
    ],
    "leave out what is missing": [
        (track(properties={"seats": 3, "x": 1}), {"record": {"seats": 3}}),
    ],
    "bill several events the same way": [
        (track(), {"event_type": "Seats Added", "record": {"seats": 3}}),
        (track(event="Seats Removed"), {"event_type": "Seats Removed"}),
        (ORDER, None),
    ],
    "bill paying customers only": [
        (track(properties={"plan": "team"}), {"record": {"plan": "team"}}),
        (track(properties={"plan": "free"}), None),
        (track(properties={}), {"record": {}}),
    ],
    "bill page views": [
        (
            track(type="page", name="Home"),
            {"event_type": "Page Viewed", "record": {"page": "Home"}},
        ),
        (track(), None),
    ],
    "bill app screens by their name": [
        (
            track(type="screen", name="Map", properties={"zoom": 4}),
            {"event_type": "Map", "record": {"zoom": 4}},
        ),
    ],
    "bill a signup": [
        (
            track(type="identify", traits={"plan": "team", "email": "a@example.com"}),
            {"event_type": "User Identified", "record": {"plan": "team"}},
        ),
    ],
    "ignore test traffic (as the first rule)": [
        (track(context={"environment": "test"}), None),
        (track(context={"environment": "live"}), {"event_type": "Seats Added"}),
    ],
}


def examples() -> dict[str, list[str]]:
    """Return the rows of the table of recipes, each with the lines of its rule."""
    table = REFERENCE.split("| To | Write in a rule |\n|---|---|\n")[1].split("\n\n")[0]
    rows = [re.fullmatch(r"\| (.+?) \| (.+) \|", row) for row in table.splitlines()]
    return {
        row[1]: [
            cell.strip("`").strip() for cell in re.split("(?<=`) and (?=`)", row[2])
        ]
        for row in rows
        if row
    }


def test_the_example_mapping_bills_what_the_page_says() -> None:
    """Accounts are billed for added seats, and not in the test environment."""
    section = REFERENCE.split("\n## An event and what is billed\n")[1].split("\n## ")[0]
    (source,) = re.findall(r"```toml\n(.+?)```", section, re.DOTALL)
    rules = parse_rules(source.encode(), "docs/mapping.md")

    (billed,) = apply_rules(rules, track())

    assert json.loads(billed.json)["customer_id"] == "account-7"
    assert apply_rules(rules, track(event="Other")) == ()
    assert apply_rules(rules, track(context={"environment": "test"})) == ()


def test_every_recipe_is_tested() -> None:
    """`PURPOSES` lists all rows of the table, in order."""
    assert list(examples()) == list(PURPOSES)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_recipe_bills_what_it_says(purpose: str) -> None:
    """A rule with the lines of the row bills the events as listed in `PURPOSES`."""
    lines = examples()[purpose]
    tables = ["\n".join(lines)]
    if "ignore = true" in lines:
        tables.append('record = { "*" = "properties" }')
    elif not any(line.startswith("record") for line in lines):
        tables[0] += '\nrecord = { "*" = "properties" }'
    rules = read_rules(*tables)

    for event, expected in PURPOSES[purpose]:
        billed = [json.loads(b.json) for b in apply_rules(rules, event)]
        if expected is None:
            assert billed == []
            continue
        (content,) = billed
        assert content["record"].pop("id") == event["messageId"]
        assert expected.items() <= content.items()


# What docs/recipes.toml bills for each event of events/recipes.ndjson.
RECIPES: list[list[dict[str, Any]]] = [
    [
        {"sku": "a", "quantity": 2, "order": "o-1", "id": "recipe-1:0"},
        {"sku": "b", "quantity": 1, "order": "o-1", "id": "recipe-1:1"},
        {"sku": "c", "quantity": 5, "order": "o-1", "id": "recipe-1:2"},
    ],
    [{"revenue": 1999, "id": "recipe-2"}],
    [{"seats": 1, "id": "recipe-3"}],
    [{"seats": 0, "id": "recipe-4"}],
    [{"hours": 2, "id": "recipe-5"}],
    [{"hours": 1.5, "id": "recipe-6"}],
    [{"gigabytes": 1.235, "id": "recipe-7"}],
    [{"amount": 12.5, "id": "recipe-8"}],
    [{"plan": "team", "id": "recipe-9"}],
    [{"region": "EU", "id": "recipe-10"}],
    [],  # quarantined, because the country is not in the table
    [{"seats": 10, "prorated": 6.43, "id": "recipe-12"}],
    [{"page": "Pricing", "id": "recipe-13"}],
    [{"plan": "team", "id": "recipe-14"}],
    [{"amount": 12.5, "id": "recipe-15:0"}, {"amount": 3, "id": "recipe-15:1"}],
    [
        {"sku": "b", "quantity": 2, "id": "recipe-16:0"},
        {"sku": "c", "quantity": 1, "id": "recipe-16:1"},
    ],
]


def test_the_recipes_that_compute_bill_what_they_say() -> None:
    """Each rule of docs/recipes.toml has a sample event, and each event a rule."""
    rules = load_rules(ROOT / "docs/recipes.toml")
    lines = (ROOT / "events/recipes.ndjson").read_text("utf-8").splitlines()
    billed = []
    for line in lines:
        try:
            events = apply_rules(rules, json.loads(line))
        except UnmappableEvent as error:
            assert "has no entry" in str(error)  # noqa: PT017 - one of the events
            events = ()
        billed.append([json.loads(event.json)["record"] for event in events])

    assert billed == RECIPES
    source = (ROOT / "docs/recipes.toml").read_text("utf-8")
    # Two rules have two events.
    assert source.count("[[rules]]") + 2 == len(RECIPES)


def test_every_function_is_documented() -> None:
    """The table in docs/mapping.md has all functions that we define, and no others."""
    table = REFERENCE.split("| Function | Returns |")[1].split("\n\n")[0]
    documented = set(re.findall(r"`(\w+)\(", table))
    ours = {name.removeprefix("_func_") for name in vars(Functions) if "_func_" in name}

    assert ours <= documented
    assert documented <= Functions.FUNCTION_TABLE.keys()


def list_anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings in *text*."""
    commands = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
    headings = re.findall("^#+ (.+)$", commands.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("name", [*DOCUMENTS, HISTORY])
def test_links_lead_somewhere(name: str) -> None:
    """Each link into the repository names an existing file, and a section of it."""
    document = ROOT / name
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))

    broken = [link for link in links if not leads_somewhere(document, link)]

    assert broken == []


def leads_somewhere(document: Path, link: str) -> bool:
    """Return whether *link* in *document* is external, or names what exists."""
    if link.startswith("https://"):
        return True
    path, _, anchor = link.partition("#")
    target = document.parent / path if path else document
    if not anchor:
        return target.exists()
    return target.is_file() and anchor in list_anchors(target.read_text("utf-8"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_exist(name: str) -> None:
    """Each subcommand that a sentence mentions exists, with its options.

    tests/test_documented_commands.py parses those in blocks.
    """
    for subcommand, rest in re.findall(
        r"`(?:\.venv/bin/)?segment-to-hyperline\s+([a-z]+)([^`|]*)", read_prose(name)
    ):
        assert set(re.findall(r"--[a-z-]+", rest)) <= list_options(subcommand)


# The pages on commands of ours, and the commands whose options they mention alone.
PAGES = {
    "docs/mapping.md": {"preview", "send", "studio", "test"},
    "docs/reconcile.md": {"reconcile", "backfill", "ledger"},
    "docs/close.md": {"close", "verify"},
    "docs/doctor.md": {"doctor"},
    "docs/hyperline.md": {"doctor"},
    "docs/capacity.md": {"simulate"},
    "docs/quarantine.md": {"quarantine", "replay"},
}


@pytest.mark.parametrize("name", PAGES)
def test_options_exist(name: str) -> None:
    """Each option that a page mentions without its command is one of these commands."""
    text = (ROOT / name).read_text("utf-8")
    known = {option for command in PAGES[name] for option in list_options(command)}

    mentioned = set(re.findall(r"`(--[a-z-]+)[^`]*`", text))

    assert mentioned
    assert mentioned <= known


def list_options(subcommand: str) -> set[str]:
    """Return the options of *subcommand*, which exists."""
    command = cli.get_command(Context(cli), subcommand)
    assert command
    below = command.commands.values() if isinstance(command, Group) else ()
    parameters = (p for each in (command, *below) for p in each.params)
    names = (name for parameter in parameters for name in parameter.opts)
    return {"--help", *(name for name in names if name.startswith("--"))}


def test_the_costs_per_month_are_current() -> None:
    """They follow the alarms and metrics. If they don't, run `make alarms`."""
    assert monthly_table() in (ROOT / "bench/README.md").read_text("utf-8")


def test_the_table_of_responses_is_complete() -> None:
    """It has each status that the function returns, and whether Segment retries."""
    table = README.split("| Status | When |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (\d{3}) \| .+? \| (yes|no) \|", table, re.MULTILINE)

    assert {int(status) for status, _ in rows} == {
        *(outcome.value.status for outcome in Outcome),
        *(rejection.status for rejection in receiver.REJECTIONS.values()),
    }
    assert all(
        is_retried(int(status)) == (retried == "yes") for status, retried in rows
    )


def test_the_table_of_outcomes_is_complete() -> None:
    """docs/operations.md has a row for each outcome, and no others."""
    table = OPERATIONS.split("| Outcome | Meaning |")[1].split("\n\n")[0]
    labels = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert len(labels) == len(set(labels))
    assert set(labels) == {outcome.value.label for outcome in Outcome}


def list_rows(text: str) -> list[tuple[str, str]]:
    """Return the rows of a table of `simulate`, each with the heading above it."""
    heading, rows = "", []
    for line in map(str.rstrip, text.splitlines()):
        heading = line if line.endswith(":") else heading
        rows += [(heading, line)] if re.search(r"  .*\d", line) else []
    return rows


@pytest.mark.parametrize(
    ("heading", "arguments"),
    [
        ("Events that Hyperline can't process", "--unprocessable 1 --rate 0.2"),
        ("Some outages", ""),
        ("A new AWS account", "--rate 90 --concurrency 10"),
    ],
)
def test_the_documented_simulations_are_current(heading: str, arguments: str) -> None:
    """The rows in a section of docs/capacity.md are some that `simulate` prints."""
    page = (ROOT / "docs/capacity.md").read_text("utf-8")
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]

    done = CliRunner().invoke(cli, ["simulate", *arguments.split()])

    (table,) = re.findall(r"^```\n(.+?)^```", section, re.MULTILINE | re.DOTALL)
    documented = list_rows(table)
    assert documented
    assert [row for row in documented if row not in list_rows(done.output)] == []
    assert f"simulate {arguments}".strip() in section


def test_the_page_says_what_to_do_for_each_code_in_quarantine() -> None:
    """They are codes that exist; other reasons need no redrive."""
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    table = text.partition("| Code of the reason | What to do |")[2].partition("\n\n")[
        0
    ]

    codes = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)

    assert set(codes) <= set(Code)
    assert set(codes) == {
        *(Code.UNMAPPABLE, Code.MAPPING_FAILED, Code.EVENT_REJECTED, Code.EVENT_FAILED),
        *(Code.EVENT_TOO_LARGE, Code.WRONG_ENVIRONMENT, Code.EXPIRED),
        Code.NOT_ACCEPTED,
    }
