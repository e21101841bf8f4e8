"""The preview of a mapping, and the diff of two mappings."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_stack.segment_requests import write
from tests.samples import BILLABLE, TIMESTAMP, track

ALL = '[[rules]]\nrecord = { "*" = "properties" }\n'

type Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command for events in standard input, with two mapping files."""

    def run(
        content: str, *options: str, mapping: str = ALL, other: str = ALL
    ) -> subprocess.CompletedProcess[str]:
        (tmp_path / "mapping.toml").write_text(mapping, "utf-8")
        (tmp_path / "other.toml").write_text(other, "utf-8")
        command = [
            sys.executable,
            "-m",
            "segment_to_hyperline",
            "preview",
            "-",
        ]
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
    """Return *events*, one per line."""
    return "".join(write(event) + "\n" for event in events)


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    """Return a track event with a messageId made from *number*."""
    return track(messageId=f"m-{number}") | changes


NO_RULE = "no rule matches"
MIXED = ndjson(track(), {"type": "page", "name": "Home"}, track(userId=None))


def test_each_event_and_a_summary_are_shown(run: Run) -> None:
    """Each line has the outcome, and what is billed or the reason."""
    shown = run(MIXED + "nonsense\n" + ndjson(numbered(5)))

    billed, filtered, quarantined, unreadable, *_ = shown.stdout.splitlines()
    assert billed.split()[:2] == ["1", "billed"]
    for part in ("Seats Added", "customer-42", TIMESTAMP, '"seats": 3'):
        assert part in billed
    assert filtered.split()[1:] == ["filtered", "page:", "Home:", *NO_RULE.split()]
    assert quarantined.split(maxsplit=2) == [
        "3",
        "quarantined",
        "rule 1 (track): customer_id: userId is null",
    ]
    assert unreadable.split()[:4] == ["4", "unreadable", "<stdin>:4:", "not"]
    summary = "5 events: 2 billed, 1 filtered, 1 quarantined, 1 unreadable"
    assert summary in shown.stdout
    assert "Seats Added  customer-42  2 events  seats 6" in shown.stdout
    assert "1  rule 1 (track): customer_id: userId is null" in shown.stdout


def line(number: int) -> dict[str, Any]:
    """Return where an event in the standard input is."""
    return {"file": "<stdin>", "line": number}


def test_each_file_of_several_is_named(run: Run, tmp_path: Path) -> None:
    """Above its events, and in JSON beside each line number."""
    for name in ("a.ndjson", "b.ndjson"):
        (tmp_path / name).write_text(ndjson(track()) * 2)

    shown = run(ndjson(track()), "a.ndjson", "b.ndjson")
    as_json = run(ndjson(track()), "a.ndjson", "b.ndjson", "--json")

    events = shown.stdout.partition("\n\n")[0].splitlines()
    assert [each.split()[0] for each in events] == [
        *("<stdin>:", "1", "a.ndjson:", "1", "2", "b.ndjson:", "1", "2"),
    ]
    places = [json.loads(each) for each in as_json.stdout.splitlines()[:-1]]
    assert [(each["file"], each["line"]) for each in places] == [
        *(("<stdin>", 1), ("a.ndjson", 1), ("a.ndjson", 2)),
        *(("b.ndjson", 1), ("b.ndjson", 2)),
    ]


def test_a_single_file_is_not_named(run: Run) -> None:
    """The command names it already."""
    assert "<stdin>" not in run(ndjson(track())).stdout


def test_json_output_has_the_same_content(run: Run) -> None:
    """Each line is JSON, and the last line is the summary."""
    shown = run(MIXED, "--json")

    *events, last = [json.loads(line) for line in shown.stdout.splitlines()]
    assert events == [
        {**line(1), "outcome": "billed", "billable_events": [BILLABLE]},
        {**line(2), "outcome": "filtered", "event": "page: Home", "reason": NO_RULE},
        {
            **line(3),
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
        ("", (), 2),
        (MIXED, ("--against", "other.toml"), 0),
        (MIXED, ("--against", "other.toml", "--strict"), 1),
        ("nonsense\n", ("--against", "other.toml"), 1),
    ],
)
def test_the_exit_status_tells_ci_about_problems(
    run: Run, content: str, options: tuple[str, ...], status: int
) -> None:
    """It is 1 for an unreadable line and, with --strict, for a quarantined event.

    Without any event it is 2, because then nothing was checked.
    """
    assert run(content, *options).returncode == status


@pytest.mark.parametrize("options", [("--summary",), ("--against", "other.toml")])
@pytest.mark.parametrize("parts", [1, 2])
def test_what_cannot_be_read_is_reported(
    run: Run, options: tuple[str, ...], parts: int
) -> None:
    """The file, the line and the bytes are printed, and that it is incomplete."""
    line = f"{write(track())}\n"
    shown = run(f"{line}nonsense\n" * parts + line, *options)

    number = ("1 part", "2 parts")[parts - 1]
    place = f"at byte {len(line)}, 9 bytes skipped"
    first, *_, last = shown.stderr.splitlines()
    assert first == f"<stdin>:2: not JSON: Expecting value (character 0) ({place})"
    assert last == (
        f"Failed: the result is incomplete, because {number} of the input can't be"
        " read."
    )
    assert len(shown.stderr.splitlines()) == parts + 1
    assert shown.returncode == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mapping", "none.toml"), "'none.toml' does not exist"),
        (
            ("--against", "none"),
            "none is neither a file nor a git revision that contains",
        ),
        (("--mapping", "bad.toml"), "bad.toml: rule 1: rcord is not a known key here"),
        (("--against", "bad.toml"), "bad.toml: rule 1: rcord is not a known key here"),
    ],
)
def test_a_missing_or_invalid_mapping_is_reported(
    run: Run, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    """The message names the file and what is wrong, without a traceback."""
    (tmp_path / "bad.toml").write_text("[[rules]]\nrcord = {}", "utf-8")

    shown = run(MIXED, *options)

    assert shown.returncode == 2
    assert message in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert "Traceback" not in shown.stderr


def test_control_characters_of_an_event_are_escaped(run: Run) -> None:
    """Names come from customers, and must not control the terminal."""
    hostile = track(event="\x1b[2J", userId="\ud800", properties={"\x07": 1})

    shown = run(json.dumps(hostile))

    assert "\x1b" not in shown.stdout
    assert "\x07" not in shown.stdout
    assert r'"\u001b[2J"' in shown.stdout


SEATS = numbered(1, properties={"seats": 3, "price": 9.99})
MORE = numbered(2, properties={"seats": 4, "price": 0.01})
OTHER = numbered(3, event="Report Sent", properties={"pages": 12})


def compare(run: Run, mapping: str, *options: str) -> list[str]:
    """Return the lines of the diff, with repeated spaces removed."""
    shown = run(
        ndjson(SEATS, MORE, OTHER), "--against", "other.toml", *options, mapping=mapping
    )
    assert "Traceback" not in shown.stderr
    lines = (" ".join(line.split()) for line in shown.stdout.splitlines())
    return [line for line in lines if line[:2] in {"- ", "+ ", "! "}]


def test_a_mapping_diff_shows_added_and_removed_events(run: Run) -> None:
    """Events that only one mapping bills are shown with their totals."""
    rule = '[[rules]]\nevent = "Seats Added"\nignore = true\n'

    assert compare(run, rule + ALL) == [
        "- Seats Added customer-42 2 events seats 7, price 10"
    ]
    reverse = run(
        ndjson(SEATS, MORE, OTHER), "--against", "other.toml", other=rule + ALL
    ).stdout
    assert "+  Seats Added  customer-42  2 events  seats 7, price 10" in reverse
    assert "billed events: 2 added, 1 unchanged" in reverse


def test_a_mapping_diff_shows_changed_events(run: Run) -> None:
    """The totals before and after are shown, and the fields that differ."""
    rule = '[[rules]]\nevent = "Seats Added"\nrecord = { seats = "properties.seats" }\n'

    assert compare(run, rule + ALL) == [
        "- Seats Added customer-42 2 events seats 7, price 10",
        "+ Seats Added customer-42 2 events seats 7",
        "! Seats Added customer-42 changed: record.price (2 events)",
    ]


def test_a_mapping_diff_shows_changed_timestamps(run: Run) -> None:
    """The timestamp determines the invoice, and no total shows it."""
    rule = f'{ALL}timestamp = "receivedAt"\n'

    assert compare(run, rule) == [
        "! Report Sent customer-42 changed: timestamp (1 event)",
        "! Seats Added customer-42 changed: timestamp (2 events)",
    ]


def test_a_mapping_diff_shows_newly_quarantined_events(run: Run) -> None:
    """The reason, such as a missing property, is shown before the deployment."""
    rule = '[[rules]]\nrecord = { seats = "properties.seats" }\n'

    reason = "rule 1 (track): record.seats: properties.seats is missing"
    assert f"+ quarantined 1 {reason}" in compare(run, rule)


NO_ACCOUNT = (
    "Seats Added: quarantined: Seats Added: customer_id: context.accountId is missing"
)


@pytest.mark.parametrize(
    ("rule", "warning", "row"),
    [
        (
            "event_type = \"'Seats'\"\n",
            "2 events would be billed twice if retried or replayed",
            "2 Seats Added → Seats m-1, m-2",
        ),
        (
            'customer_id = "context.groupId"\n',
            "2 events would move to another customer",
            "2 Seats Added m-1, m-2",
        ),
        (
            'timestamp = "receivedAt"\n',
            "2 events would get another timestamp",
            "2 Seats Added m-1, m-2",
        ),
        (
            'customer_id = "context.accountId"\n',
            "2 events would no longer be billed",
            f"2 {NO_ACCOUNT} m-1, m-2",
        ),
        (
            "ignore = true\n",
            "2 events would no longer be billed",
            "2 Seats Added: filtered: rule 1 ignores it m-1, m-2",
        ),
    ],
)
def test_a_mapping_diff_warns_of_wrong_invoices(
    run: Run, rule: str, warning: str, row: str
) -> None:
    """It lists the events, and fails unless --accept is given."""
    record = "" if "ignore" in rule else "record = {}\n"
    mapping = f'[[rules]]\nevent = "Seats Added"\n{record}{rule}{ALL}'
    events = ndjson(SEATS, MORE, OTHER)

    warned = run(events, "--against", "other.toml", mapping=mapping)
    accepted = run(events, "--against", "other.toml", "--accept", mapping=mapping)

    assert warnings_of(warned.stdout) == {warning: [row]}
    assert (warned.returncode, accepted.returncode) == (1, 0)
    assert accepted.stdout == warned.stdout


def warnings_of(text: str) -> dict[str, list[str]]:
    """Return the warnings of a diff, each with its rows, which begin with a number."""
    # A row continues in lines with a larger indent.
    joined = re.sub(r"\n {5,}", " ", text)
    blocks = [block.splitlines() for block in joined.split("\nWARNING: ")[1:]]
    return {
        title: [" ".join(row.split()) for row in rows if row.split()[0].isdecimal()]
        for title, *rows in blocks
    }


def test_a_warning_is_printed_once_for_all_types(run: Run) -> None:
    """Each type is a row of it, those with the most events first."""
    mapping = f"{ALL}event_type = \"join('', [event, ' v2'])\"\n"

    shown = run(
        ndjson(OTHER, SEATS, MORE), "--against", "other.toml", mapping=mapping
    ).stdout

    assert warnings_of(shown) == {
        "3 events would be billed twice if retried or replayed": [
            "2 Seats Added → Seats Added v2 m-1, m-2",
            "1 Report Sent → Report Sent v2 m-3",
        ]
    }
    assert shown.count("Hyperline stores one event") == 1
    assert max(map(len, shown.splitlines())) <= 80


def test_a_warning_lists_some_of_many_events(run: Run) -> None:
    """It says how many more there are, and --json lists up to 20."""
    events = ndjson(*(numbered(n) for n in range(30)))
    mapping = "[[rules]]\nignore = true\nevent = 'Seats Added'\n" + ALL
    options = ("--against", "other.toml")

    shown = run(events, *options, mapping=mapping).stdout
    listed = json.loads(run(events, *options, "--json", mapping=mapping).stdout)

    assert "  m-0, m-1, m-2, m-3 and 26 more\n" in shown
    (change,) = listed["warnings"][0]["changes"]
    assert (change["number"], len(change["events"])) == (30, 20)


def test_the_most_expensive_warning_is_the_first(run: Run) -> None:
    """Double billing comes before another customer, and before lost events."""
    mapping = (
        '[[rules]]\nevent = "Report Sent"\nignore = true\n'
        + ALL
        + 'customer_id = "context.groupId"\nevent_type = "\'Seats\'"\n'
        + 'timestamp = "receivedAt"\n'
    )

    shown = run(ndjson(SEATS, OTHER), "--against", "other.toml", mapping=mapping).stdout

    assert [title.split(" would ")[1].split()[:2] for title in warnings_of(shown)] == [
        ["be", "billed"],
        ["move", "to"],
        ["get", "another"],
        ["no", "longer"],
    ]


EACH = """
[[rules]]
event = "Order Completed"
each = "properties.products"
record = { sku = "item.sku" }
"""
ORDER = numbered(
    4, event="Order Completed", properties={"products": [{"sku": n} for n in "abc"]}
)


def test_each_billable_event_is_shown(run: Run) -> None:
    """An order with three products has three lines, which are three in the usage."""
    shown = run(ndjson(ORDER), mapping=EACH)

    lines = shown.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["1", "billed"]] * 3
    assert [json.loads(line[line.index("{") :])["id"] for line in lines[:3]] == [
        *("m-4:0", "m-4:1", "m-4:2")
    ]
    assert "1 event: 1 billed, 0 filtered" in shown.stdout
    assert "Order Completed  customer-42  3 events" in shown.stdout


TWICE = "1 event would be billed twice if retried or replayed"
FEWER = "1 event would be billed with fewer elements"
BY_SKU = EACH + "event_type = \"join('', ['Sold ', item.sku])\"\n"


@pytest.mark.parametrize(
    ("before", "after", "warning", "row"),
    [
        (ALL, EACH, TWICE, "1 Order Completed: other ids m-4"),
        (EACH, ALL, TWICE, "1 Order Completed: other ids m-4"),
        (ALL, BY_SKU, TWICE, "1 Order Completed → Sold a, Sold b, Sold c m-4"),
        (BY_SKU, EACH, TWICE, "1 Sold a, Sold b, Sold c → Order Completed m-4"),
        (
            EACH,
            EACH.replace("products", "products[1:]"),
            FEWER,
            "1 Order Completed m-4",
        ),
    ],
)
def test_a_mapping_diff_warns_of_other_ids(
    run: Run, before: str, after: str, warning: str, row: str
) -> None:
    """Events that are retried after the deployment would be billed twice."""
    shown = run(ndjson(ORDER), "--against", "other.toml", mapping=after, other=before)

    assert shown.returncode == 1
    assert warnings_of(shown.stdout) == {warning: [row]}


def test_line_items_without_a_change_have_no_line(run: Run) -> None:
    """Only those types are listed that have a changed field."""
    changed = BY_SKU.replace('"item.sku" }', '"item.sku", n = "item.n || `1`" }')
    products = [{"sku": "a", "n": 5}, {"sku": "b"}]
    order = ORDER | {"properties": {"products": products}}
    before = changed.replace("item.n || `1`", "not_null(item.m, `1`)")

    shown = run(
        ndjson(order), "--against", "other.toml", mapping=changed, other=before
    ).stdout

    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert [line for line in lines if "changed:" in line] == [
        "! Sold a customer-42 changed: record.n (1 event)"
    ]


def test_properties_in_another_order_are_no_change(run: Run) -> None:
    """The same values are billed, so nothing is reported."""
    one = '[[rules]]\nrecord = { a = "properties.seats", b = "properties.price" }\n'
    two = '[[rules]]\nrecord = { b = "properties.price", a = "properties.seats" }\n'

    shown = run(ndjson(SEATS), "--against", "other.toml", mapping=one, other=two)

    assert "billed events: 1 unchanged\n" in shown.stdout
    assert shown.returncode == 0


def test_a_mapping_diff_of_line_items_shows_changed_fields(run: Run) -> None:
    """With the same ids, it is the same as for events."""
    shown = run(
        ndjson(ORDER),
        "--against",
        "other.toml",
        mapping=EACH.replace('{ sku = "item.sku" }', '{ sku = "item.sku", n = "`1`" }'),
        other=EACH,
    )

    assert shown.returncode == 0
    assert "changed: record.n (3 events)" in shown.stdout


def test_a_mapping_diff_can_be_printed_as_markdown(run: Run) -> None:
    """The warnings come first; names can't change the formatting."""
    hostile = numbered(1, event="A | [x](http://x) @team", userId="<b>")
    mapping = '[[rules]]\ncustomer_id = "context.groupId"\nrecord = {}\n'

    shown = run(
        ndjson(hostile, numbered(2, userId=None)),
        *("--against", "other.toml", "--markdown"),
        mapping=mapping,
    )

    lines = shown.stdout.splitlines()
    assert lines[0] == "> [!WARNING]"
    assert "| billed | 1 | 2 |" in lines
    (row,) = [line for line in lines if line.startswith(r"| \- |")]
    assert row == (
        r"| \- | A \| \[x\](http://x) \@team | \<b\> | 1 event  plan, seats 3 |"
    ).replace("plan, ", "")


@pytest.mark.parametrize("options", [(), ("--against", "other.toml", "--json")])
def test_markdown_is_for_mapping_diffs(run: Run, options: tuple[str, ...]) -> None:
    """Anything else is a mistake in the command."""
    shown = run(MIXED, "--markdown", *options)

    assert shown.returncode == 2
    assert shown.stderr == "Error: --markdown needs --against, and excludes --json\n"


def test_a_mapping_diff_can_be_printed_as_json(run: Run) -> None:
    """One JSON object contains both summaries and the warnings."""
    mapping = '[[rules]]\ncustomer_id = "context.groupId"\nrecord = {}\n'

    shown = run(ndjson(SEATS), "--against", "other.toml", "--json", mapping=mapping)

    plan = json.loads(shown.stdout)
    assert plan["changes"] == {"changed": 1}
    assert plan["before"]["usage"][0]["customer_id"] == "customer-42"
    assert plan["after"]["usage"][0]["customer_id"] == "account-7"
    assert len(plan["warnings"]) == 1


def test_a_mapping_is_compared_with_a_git_revision(run: Run, tmp_path: Path) -> None:
    """The mapping file of that revision is read from git."""
    identity = ["-c", "user.name=owner", "-c", "user.email=owner@example.com"]
    (tmp_path / "mapping.toml").write_text(ALL, "utf-8")
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)

    shown = run(ndjson(SEATS), "--against", "HEAD", mapping="[[rules]]\nrecord = {}\n")

    assert "+  Seats Added  customer-42  1 event\n" in shown.stdout


def test_totals_are_exact(run: Run) -> None:
    """Ten times 0.1 is 1, as on an invoice."""
    events = [numbered(n, properties={"price": 0.1}) for n in range(10)]

    assert "10 events  price 1\n" in run(ndjson(*events)).stdout


def test_totals_of_very_long_numbers_are_exact(run: Run) -> None:
    """The longest numbers in an event are added up exactly, and shown rounded."""
    numbers = [10**17 + 1, 0.5, 10**17, 0.0000000000002]
    events = [numbered(n, properties={"n": v}) for n, v in enumerate(numbers)]
    shown = run(ndjson(*events)).stdout.replace(",", "")
    assert "n 200000000000000001.5000000000002\n" in shown

    longest = [numbered(n, properties={"n": int("9" * 4_299)}) for n in range(20)]
    listed = run(ndjson(*longest), "--json")

    usage = json.loads(listed.stdout.splitlines()[-1])["summary"]["usage"]
    total = usage[0]["totals"]["n"]
    assert (total[:4], total[-4:], len(total)) == ("1999", "9980", 4_301)
    assert "20 events  n 2E+4300\n" in run(ndjson(*longest)).stdout


def test_a_mapping_diff_of_very_many_customers_uses_the_same_groups(run: Run) -> None:
    """Customers beyond the limit are the same ones before and after the change."""
    rule = '[[rules]]\nevent = "Seats Added"\nrecord = {}\n'
    events = [
        numbered(n, userId=f"c-{n // 2}", event=("Seats Added", "B")[n % 2])
        for n in range(22_000)
    ]

    shown = run(ndjson(*events), "--against", "other.toml", other=rule, mapping=ALL)

    assert "11,000 unchanged" not in shown.stdout  # their records differ
    removed = [line for line in shown.stdout.splitlines() if line.startswith("-  B")]
    assert removed == []


def test_a_strict_preview_needs_events(run: Run) -> None:
    """An empty file doesn't show that the mapping works."""
    shown = run("", "--strict")

    assert (shown.returncode, shown.stderr) == (2, "Error: <stdin>: no events\n")


def test_usage_of_very_many_customers_is_complete(run: Run) -> None:
    """Customers beyond the limit are added up as one, which limits the memory."""
    events = [numbered(n, userId=f"c-{n}") for n in range(10_500)]

    shown = run(ndjson(*events), "--json")

    usage = json.loads(shown.stdout.splitlines()[-1])["summary"]["usage"]
    assert len(usage) == 10_001
    assert usage[-1]["customer_id"] == "(others)"
    assert sum(group["events"] for group in usage) == 10_500


WARNED = """
[tables.region]
DE = "EU"

[[rules]]
event = "Order Completed"
when = "properties.kind != properties.knd"

[rules.record]
pro = 'sum(properties.items[?sku == "pro-plan"].n)'
three = "length(properties.items[?n == '3'])"
seats = "properties.seats"

[[rules]]
event = "Message Sent"
record = { region = "lookup('region', properties.country)" }

[[rules]]
event = "Plan Chosen"
when = "properties.plan.name"
record = {}
"""
ORDERS = [
    numbered(
        number,
        event="Order Completed",
        properties={
            "kind": "order",
            "items": [{"sku": "pro-plan", "n": 3}, {"sku": "a", "n": 4}],
            "seats": seats,
        },
    )
    for number, seats in enumerate([3, "12", 5])
]
CHOSEN = numbered(9, event="Plan Chosen", properties={"plan.name": "pro"})
DOUBTS = {
    "rule 1 (Order Completed): when: properties.knd is always null; check the name": 3,
    'rule 1 (Order Completed): record.pro: "pro-plan" is always null; for the string'
    " write 'pro-plan'": 6,
    "rule 1 (Order Completed): record.three: n == '3' compares a number with a string,"
    " which are never equal and have no order": 6,
    "rule 3 (Plan Chosen): when: properties.plan.name is always null; there is"
    ' properties."plan.name": quote that name': 1,
    "record.seats of Order Completed is a string, and a number in 2 events; only"
    " numbers are in the totals": 1,
}


def test_what_cannot_be_meant_in_an_expression_is_a_warning(run: Run) -> None:
    """It bills 0 or too much, and no event is quarantined."""
    shown = run(ndjson(*ORDERS, CHOSEN), mapping=WARNED)
    program = run(ndjson(*ORDERS, CHOSEN), "--json", mapping=WARNED)

    assert shown.returncode == 0
    lines = [line.split(maxsplit=1) for line in shown.stdout.splitlines()]
    for doubt, number in DOUBTS.items():
        assert [str(number), doubt] in lines
    assert json.loads(program.stdout.splitlines()[-1])["summary"]["warnings"] == DOUBTS


@pytest.mark.parametrize("option", [None, "--json", "--markdown"])
def test_a_mapping_diff_has_the_warnings_in_every_format(
    run: Run, option: str | None
) -> None:
    """They are in every format, and don't fail the command."""
    options = ("--against", "other.toml", *filter(None, [option]))

    shown = run(ndjson(*ORDERS, CHOSEN), *options, mapping=WARNED, other=WARNED)

    assert shown.returncode == 0
    if option == "--json":
        assert json.loads(shown.stdout)["after"]["warnings"] == DOUBTS
    else:
        text = shown.stdout.replace("\\", "")
        assert all(f"{number}  {doubt}" in text for doubt, number in DOUBTS.items())


@pytest.mark.parametrize(
    "expression",
    [
        "length(properties.items[?sku == 'pro-plan'])",
        "not_null(properties.none, `1`)",
        "properties.none || `1`",
        "length(properties.items[?n == none.a || sku != 'a'])",
        'properties.items[0]."sku"',
        'properties."a-b" || `1`',
        "to_number(properties.kind) || `1`",
        "length(properties.items[?n > `0` && sku == kind]) || `1`",
        "length(type(properties.none))",
    ],
)
def test_a_usual_expression_has_no_warning(run: Run, expression: str) -> None:
    """A name that has a value in one event can be null in others."""
    item = {"sku": "a", "kind": "a", "none": {"a": 1}, "n": 1}
    other = numbered(4, event="Order Completed", properties={"items": [item]})
    mapping = f"[[rules]]\nrecord = {{ n = '''{expression}''' }}\n"

    shown = run(ndjson(ORDERS[0], other), mapping=mapping)

    assert shown.returncode == 0
    assert "WARNING" not in shown.stdout


def test_the_preview_shows_the_value_that_a_function_rejects(run: Run) -> None:
    """The owner needs it to complete the table; the deployed reason doesn't have it."""
    countries: list[Any] = ["XX", "YY", "XX", ["long"] * 50, None]
    events = [
        numbered(number, event="Message Sent", properties={"country": country})
        for number, country in enumerate(countries)
    ]

    shown = run(ndjson(*events), mapping=WARNED).stdout
    programs = run(ndjson(*events), "--json", mapping=WARNED).stdout.splitlines()

    where = "lookup(): argument 2 (properties.country)"
    assert f'{where} has no entry in the table region: "XX"\n' in shown
    assert f'{where} has no entry in the table region: "XX", "YY"\n' in shown
    assert f'{where} is an array, not a string: ["long", "long", ' in shown
    assert f"{where} is missing or null\n" in shown
    verdict, summary = json.loads(programs[0]), json.loads(programs[-1])["summary"]
    assert verdict["value"] == '"XX"'
    assert '"XX"' not in verdict["reason"]
    assert summary["values"][verdict["reason"]] == ['"XX"', '"YY"']


NAMED = """
[[rules]]
event = "Seats Added"
record = {}
[[rules]]
event = "Größe"
ignore = true
"""
ONLY = "only in case, space, punctuation or normalization"


def warnings(
    run: Run, *events: Any, mapping: str = ALL, **others: str
) -> dict[str, int]:
    """Return the warnings about *events* with their numbers."""
    options = ("--against", "other.toml") if others else ()
    shown = run(ndjson(*events), "--json", *options, mapping=mapping, **others)
    last = json.loads(shown.stdout.splitlines()[-1])
    found: dict[str, int] = last["after" if others else "summary"]["warnings"]
    return found


@pytest.mark.parametrize(
    ("mapping", "event", "reason"),
    [
        (NAMED, track(event="Report Sent"), "no rule matches"),
        (NAMED, track(event="Größe"), "rule 2 ignores it"),
        (ALL, {"type": "page", "name": "Home"}, "no rule matches"),
        (
            '[[rules]]\neach = "properties.items"\nrecord = {}\n',
            track(properties={"items": []}),
            "rule 1 has no element to bill",
        ),
    ],
)
def test_a_filtered_event_has_a_reason(
    run: Run, mapping: str, event: dict[str, Any], reason: str
) -> None:
    """The summary counts the reasons."""
    shown = run(ndjson(event), mapping=mapping).stdout
    data = run(ndjson(event), "--json", mapping=mapping).stdout.splitlines()[0]

    name = ": ".join(filter(None, (event["type"], event.get("event", "Home"))))
    assert f"filtered     {name}: {reason}\n" in shown
    assert f"\nfiltered, by reason:\n1  {reason}\n" in shown
    assert json.loads(data)["reason"] == reason


@pytest.mark.parametrize(
    "name",
    ["Seats added", "Seats Added ", "seats_added", "Seats\u00a0Added", "SeatsAdded"],
)
def test_a_name_that_differs_only_in_spelling_is_reported(run: Run, name: str) -> None:
    """It is filtered, and probably was meant to be billed."""
    (warning,) = warnings(
        run, track(event=name), track(event=name), mapping=NAMED
    ).items()

    text = (
        f'{json.dumps(name)} is filtered, but it differs from "Seats Added" of rule 1'
        f" {ONLY}"
    )
    assert warning == (text, 2)


def test_a_name_that_only_another_rule_bills_is_reported(run: Run) -> None:
    """Another normalization looks the same, so both names are escaped."""
    decomposed = "Gro\u0308ße"

    (warning,) = warnings(run, track(event=decomposed), mapping=NAMED + ALL)

    assert warning == (
        r'"Gro\u0308\u00dfe" is billed by rule 3, but it differs from'
        rf' "Gr\u00f6\u00dfe" of rule 2 {ONLY}'
    )


@pytest.mark.parametrize(
    "event",
    [
        track(),
        track(event="Seats Removed"),
        track(event="größe"),  # an ignored name in another spelling is filtered too
        track(event="!"),
        {"type": "page", "name": "seats added", "event": "seats added"},
    ],
)
def test_other_names_are_not_reported(run: Run, event: dict[str, Any]) -> None:
    """A warning that is usually harmless would not be read."""
    assert warnings(run, event, mapping=NAMED) == {}


def test_suspicious_values_are_reported(run: Run) -> None:
    """They are billed, so nobody else would notice them."""
    properties = {"plan": "[object Object]", "size": "12 ", "note": "a b", "n": 1}
    event = track(userId="undefined", event=" A", properties=properties)

    assert warnings(run, event, event | {"userId": "null"}) == {
        'customer_id is the string "undefined"': 1,
        'customer_id is the string "null"': 1,
        "event_type begins or ends with a space": 2,
        'record.plan is the string "[object Object]"': 2,
        "record.size begins or ends with a space": 2,
    }


PERIOD = '[[rules]]\nrecord = {}\ntimestamp = "properties.end"\n'
FUTURE = track(properties={"end": "2099-01-01T00:00:00Z"})


def test_a_time_without_a_limit_is_reported(run: Run) -> None:
    """The end of a period can be far away, or it can be a mistake."""
    reported = (
        "rule 1: properties.end is more than 1 day later than receivedAt"
        " (max_days_in_future), and billed because the rule sets no such limit"
    )

    assert warnings(run, FUTURE, track(), mapping=PERIOD) == {reported: 1}
    assert warnings(run, FUTURE, mapping=f"{PERIOD}max_days_in_past = 1") == {
        reported: 1
    }
    assert warnings(run, FUTURE, mapping=f"{PERIOD}max_days_in_future = false") == {}
    assert (
        warnings(run, FUTURE, mapping=f"{PERIOD}[limits]\nmax_days_in_future = 1") == {}
    )


def test_a_mapping_diff_shows_the_effect_of_a_limit(run: Run) -> None:
    """The change would quarantine what was billed."""
    limited = f"{PERIOD}max_days_in_future = 40"
    shown = run(
        ndjson(FUTURE), "--against", "other.toml", mapping=limited, other=PERIOD
    )

    reason = "more than 40 days later than receivedAt (max_days_in_future)"
    assert shown.returncode == 1
    assert (
        f"+  quarantined  1  rule 1 (track): timestamp: properties.end is {reason}"
        in (shown.stdout)
    )


def test_a_mapping_diff_has_the_warnings_of_the_new_mapping(run: Run) -> None:
    """They don't fail it, because they are not about the change."""
    events = ndjson(track(event="seats added"), track(event="Größe"))
    options = ("--against", "other.toml")

    text = run(events, *options, mapping=NAMED, other=NAMED)
    markdown = run(events, *options, "--markdown", mapping=NAMED, other=NAMED).stdout

    assert text.returncode == 0
    line = '1  "seats added" is filtered, but it differs from "Seats Added" of rule 1'
    assert f"check whether this is what you meant:\n{line}" in text.stdout
    assert line in markdown
    assert list(warnings(run, track(event="seats added"), mapping=NAMED, other=ALL))


def test_the_number_of_warnings_is_limited(run: Run) -> None:
    """A file of any size fits into memory."""
    events = [track(properties={f"p{n}": "null" for n in range(1_200)})] * 2

    found = warnings(run, *events)

    assert (len(found), set(found.values())) == (1_000, {2})
