"""Preview and plan: what the mapping would bill, and what a change of it would."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.samples import BILLABLE, track
from tools.segment_requests import write

ROOT = Path(__file__).parents[1]
ALL = '[[rules]]\nrecord = { "*" = "properties" }\n'

type Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command over events, with mappings in files of their own."""

    def run(
        content: str, *options: str, mapping: str = ALL, other: str = ALL
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "mapping.toml").write_text(mapping, "utf-8")
        (tmp_path / "other.toml").write_text(other, "utf-8")
        command = [sys.executable, str(ROOT / "tools/preview.py"), "-"]
        return subprocess.run(
            [*command, "--mapping", "mapping.toml", *options],
            cwd=tmp_path,
            input=content,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def ndjson(*events: Any) -> str:
    """Return *events*, one a line."""
    return "".join(write(event) + "\n" for event in events)


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    """Return a track event with an id of its own."""
    return track(messageId=f"m-{number}") | changes


MIXED = ndjson(track(), {"type": "page", "name": "Home"}, track(userId=None))


def test_each_event_and_a_summary_are_shown(run: Run) -> None:
    """What is billed, what is filtered, and what is quarantined and why."""
    shown = run(MIXED + "nonsense\n" + ndjson(numbered(5)))

    billed, filtered, quarantined, unreadable, *_ = shown.stdout.splitlines()
    assert billed.split()[:2] == ["1", "billed"]
    for part in ("Seats Added", "customer-42", "09:30:59.243Z", '"seats": 3'):
        assert part in billed
    assert filtered.split() == ["2", "filtered", "page", "Home"]
    assert quarantined.split(maxsplit=2) == [
        "3",
        "quarantined",
        "rule 1 (track): customer_id: userId is null",
    ]
    assert unreadable.split(maxsplit=3)[:3] == ["4", "unreadable", "not"]
    summary = "5 events: 2 billed, 1 filtered, 1 quarantined, 1 unreadable"
    assert summary in shown.stdout
    assert "Seats Added  customer-42  2 events  seats 6" in shown.stdout
    assert "1  rule 1 (track): customer_id: userId is null" in shown.stdout


def test_machines_are_told_the_same(run: Run) -> None:
    """Each line is JSON; the last has the summary."""
    shown = run(MIXED, "--json")

    *events, last = [json.loads(line) for line in shown.stdout.splitlines()]
    assert events == [
        {"line": 1, "outcome": "billed", "billable_event": BILLABLE},
        {"line": 2, "outcome": "filtered", "reason": "page  Home"},
        {
            "line": 3,
            "outcome": "quarantined",
            "reason": "rule 1 (track): customer_id: userId is null",
        },
    ]
    assert last["summary"]["usage"] == [
        {
            "event_type": "Seats Added",
            "customer_id": "customer-42",
            "events": 1,
            "totals": {"seats": 3},
        }
    ]
    assert last["summary"]["quarantined"] == 1


@pytest.mark.parametrize(
    ("content", "options", "status"),
    [
        (MIXED, (), 0),
        (MIXED, ("--strict",), 1),
        (ndjson(track()), ("--strict",), 0),
        ("nonsense\n", (), 1),
        ("", (), 0),
        (MIXED, ("--against", "other.toml"), 0),
        (MIXED, ("--against", "other.toml", "--strict"), 1),
        ("nonsense\n", ("--against", "other.toml"), 1),
    ],
)
def test_the_exit_status_is_for_ci(
    run: Run, content: str, options: tuple[str, ...], status: int
) -> None:
    """It is 1 for what can't be read and, if asked, for what would be quarantined."""
    assert run(content, *options).returncode == status


def test_a_fault_of_a_plan_has_its_line(run: Run) -> None:
    """What can't be read is told beside the plan."""
    shown = run(f"{write(track())}\nnonsense\n", "--against", "other.toml")

    assert shown.stderr == "line 2: not JSON: Expecting value (character 0)\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--mapping", "none.toml"), "No such file or directory: 'none.toml'"),
        (("--against", "none"), "none is neither a file nor a git revision with this"),
        (("--mapping", "bad.toml"), "bad.toml: rule 1: rcord is unknown here"),
        (("--against", "bad.toml"), "bad.toml: rule 1: rcord is unknown here"),
    ],
)
def test_a_mapping_that_is_not_there_or_bad_is_told(
    run: Run, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    """One line says what to mend, without a traceback."""
    (tmp_path / "bad.toml").write_text("[[rules]]\nrcord = {}", "utf-8")

    shown = run("", *options)

    assert shown.returncode == 1
    assert words in shown.stderr
    assert "Traceback" not in shown.stderr


def test_nothing_in_an_event_steers_the_terminal(run: Run) -> None:
    """Names are the customers' own, and may hold anything."""
    hostile = track(event="\x1b[2J", userId="\ud800", properties={"\x07": 1})

    shown = run(json.dumps(hostile))

    assert "\x1b" not in shown.stdout
    assert "\x07" not in shown.stdout
    assert r'"\u001b[2J"' in shown.stdout


SEATS = numbered(1, properties={"seats": 3, "price": 9.99})
MORE = numbered(2, properties={"seats": 4, "price": 0.01})
OTHER = numbered(3, event="Report Sent", properties={"pages": 12})


def changed(run: Run, mapping: str, *options: str) -> list[str]:
    """Return the lines of the plan that begin with a sign, spaces made one."""
    shown = run(
        ndjson(SEATS, MORE, OTHER), "--against", "other.toml", *options, mapping=mapping
    )
    assert "Traceback" not in shown.stderr
    lines = (" ".join(line.split()) for line in shown.stdout.splitlines())
    return [line for line in lines if line[:2] in {"- ", "+ ", "! "}]


def test_a_plan_tells_what_is_added_and_dropped(run: Run) -> None:
    """What one mapping bills and the other does not, with totals."""
    rule = '[[rules]]\nevent = "Seats Added"\nignore = true\n'

    assert changed(run, rule + ALL) == [
        "- Seats Added customer-42 2 events seats 7, price 10"
    ]
    back = run(
        ndjson(SEATS, MORE, OTHER), "--against", "other.toml", other=rule + ALL
    ).stdout
    assert "+  Seats Added  customer-42  2 events  seats 7, price 10" in back
    assert "billed events: 2 added, 1 unchanged" in back


def test_a_plan_tells_what_is_altered(run: Run) -> None:
    """Totals before and after, and which fields differ."""
    rule = '[[rules]]\nevent = "Seats Added"\nrecord = { seats = "properties.seats" }\n'

    assert changed(run, rule + ALL) == [
        "- Seats Added customer-42 2 events seats 7, price 10",
        "+ Seats Added customer-42 2 events seats 7",
        "! Seats Added customer-42 altered: record.price of 2",
    ]


def test_a_plan_tells_of_times_that_move(run: Run) -> None:
    """The time decides the invoice, and no total shows it."""
    rule = f'{ALL}timestamp = "originalTimestamp"\n'

    assert changed(run, rule) == [
        "! Report Sent customer-42 altered: timestamp of 1",
        "! Seats Added customer-42 altered: timestamp of 2",
    ]


def test_a_plan_tells_what_is_newly_quarantined(run: Run) -> None:
    """A property that some events lack is seen before it is lost."""
    rule = '[[rules]]\nrecord = { seats = "properties.seats" }\n'

    reason = "rule 1 (track): record.seats: properties.seats is missing"
    assert f"+ quarantined 1 {reason}" in changed(run, rule)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            "event_type = \"'Seats'\"\n",
            "2 events of type Seats Added become Seats. Hyperline keeps one event",
        ),
        (
            'customer_id = "context.groupId"\n',
            "2 events of type Seats Added move to another customer",
        ),
        (
            'timestamp = "originalTimestamp"\n',
            "2 events of type Seats Added get another timestamp",
        ),
        (
            'customer_id = "context.accountId"\n',
            "2 events that were billed are now quarantined.",
        ),
    ],
)
def test_a_plan_stops_for_what_can_go_wrong(run: Run, rule: str, words: str) -> None:
    """Double billing, and usage of one customer on another's invoice, are warned of."""
    mapping = f'[[rules]]\nevent = "Seats Added"\nrecord = {{}}\n{rule}{ALL}'
    events = ndjson(SEATS, MORE, OTHER)

    warned = run(events, "--against", "other.toml", mapping=mapping)
    accepted = run(events, "--against", "other.toml", "--accept", mapping=mapping)

    assert f"WARNING: {words}" in warned.stdout
    assert (warned.returncode, accepted.returncode) == (1, 0)
    assert accepted.stdout == warned.stdout


def test_a_plan_is_told_to_machines(run: Run) -> None:
    """One JSON object holds both summaries and the warnings."""
    mapping = '[[rules]]\ncustomer_id = "context.groupId"\nrecord = {}\n'

    shown = run(ndjson(SEATS), "--against", "other.toml", "--json", mapping=mapping)

    plan = json.loads(shown.stdout)
    assert plan["changes"] == {"altered": 1}
    assert plan["before"]["usage"][0]["customer_id"] == "customer-42"
    assert plan["after"]["usage"][0]["customer_id"] == "account-7"
    assert len(plan["warnings"]) == 1


def test_a_plan_compares_with_a_git_revision(run: Run, tmp_path: Path) -> None:
    """The reviewer of a change has its former state in git."""
    identity = ["-c", "user.name=owner", "-c", "user.email=owner@example.com"]
    (tmp_path / "mapping.toml").write_text(ALL, "utf-8")
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)

    shown = run(ndjson(SEATS), "--against", "HEAD", mapping="[[rules]]\nrecord = {}\n")

    assert "+  Seats Added  customer-42  1 event\n" in shown.stdout


def test_totals_are_exact(run: Run) -> None:
    """They are what an invoice is made of: 0.1 ten times is 1."""
    events = [numbered(n, properties={"price": 0.1}) for n in range(10)]

    assert "10 events  price 1\n" in run(ndjson(*events)).stdout


def test_totals_of_very_long_numbers_are_written(run: Run) -> None:
    """The longest numbers that an event can hold are added up to the last digit."""
    numbers = [10**17 + 1, 0.5, 10**17, 0.0000000000002]
    events = [numbered(n, properties={"n": v}) for n, v in enumerate(numbers)]
    shown = run(ndjson(*events)).stdout.replace(",", "")
    assert "n 200000000000000001.5000000000002\n" in shown

    longest = [numbered(n, properties={"n": int("9" * 4_299)}) for n in range(20)]
    shown = run(ndjson(*longest), "--json")

    usage = json.loads(shown.stdout.splitlines()[-1])["summary"]["usage"]
    total = usage[0]["totals"]["n"]
    assert (total[:4], total[-4:], len(total)) == ("1999", "9980", 4_301)
    assert "20 events  n 2E+4300\n" in run(ndjson(*longest)).stdout


def test_a_plan_of_very_many_customers_compares_the_same_ones(run: Run) -> None:
    """Who is told apart in one mapping's usage is told apart in the other's."""
    rule = '[[rules]]\nevent = "Seats Added"\nrecord = {}\n'
    events = [
        numbered(n, userId=f"c-{n // 2}", event=("Seats Added", "B")[n % 2])
        for n in range(22_000)
    ]

    shown = run(ndjson(*events), "--against", "other.toml", other=rule, mapping=ALL)

    assert "11,000 unchanged" not in shown.stdout  # properties were added
    removed = [line for line in shown.stdout.splitlines() if line.startswith("-  B")]
    assert removed == []


def test_a_strict_preview_needs_events(run: Run) -> None:
    """A capture that is empty by mistake proves nothing."""
    assert run("", "--strict").returncode == 1


def test_usage_of_very_many_customers_is_added_up(run: Run) -> None:
    """The memory that the summary takes has an end, and no event is left out."""
    events = [numbered(n, userId=f"c-{n}") for n in range(10_500)]

    shown = run(ndjson(*events), "--json")

    usage = json.loads(shown.stdout.splitlines()[-1])["summary"]["usage"]
    assert len(usage) == 10_001
    assert usage[-1]["customer_id"] == "(further)"
    assert sum(account["events"] for account in usage) == 10_500


def test_make_says_what_it_needs() -> None:
    """Without a file there is nothing to preview."""
    told = subprocess.run(
        ["make", "--silent", "preview"], cwd=ROOT, capture_output=True, check=False
    )

    assert told.returncode != 0
    assert b"make preview EVENTS=file" in told.stderr


def test_make_previews_and_plans() -> None:
    """The commands that the README shows run, with the mapping as it comes."""
    command = ["make", "--silent", "preview", "EVENTS=tools/segment-events.ndjson"]
    for options in ([], ["AGAINST=function/mapping.toml"], ["OPTIONS=--json"]):
        subprocess.run(
            [*command, *options], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
        )
