"""Tables fit a terminal of 80 columns, also with long names."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from local_stack.segment_requests import write
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.cli.quarantine import format_groups
from tests.samples import track

MAPPING = """
[[rules]]
event_type = "'{}'"
record = {{ "*" = "properties" }}
"""


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "--rate 0.5 --fault overload --hours 239.5",
        "--unprocessable 1 --rate 0.02",
    ],
)
def test_simulations_fit_a_terminal(arguments: str) -> None:
    """Every number is shown as a whole."""
    done = CliRunner().invoke(cli, ["simulate", *arguments.split()])

    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "…" not in done.stdout


def test_the_rate_of_a_scenario_is_not_rounded() -> None:
    """0.5 events per second are not 0."""
    done = CliRunner().invoke(cli, ["simulate", "--rate", "0.5"])

    assert "\n0.5 events per second, 1 in a request:\n" in done.stdout


def test_the_tables_of_preview_fit_a_terminal(tmp_path: Path) -> None:
    """All totals and messageIds are shown, however long the names are."""
    totals = {f"property_{number}": 1_000_000 + number for number in range(8)}
    customer, ids = "customer-" * 9, [f"message-{n}-" + "0" * 26 for n in range(4)]
    events = tmp_path / "events.ndjson"
    lines = [
        write(track(messageId=name, userId=customer, properties=totals)) for name in ids
    ]
    events.write_text("\n".join(lines))
    before, after = tmp_path / "before.toml", tmp_path / "after.toml"
    before.write_text(MAPPING.format("A long name of an event type"))
    after.write_text(MAPPING.format("Another long name of an event type"))
    options = [str(events), "--mapping", str(after)]

    shown = CliRunner().invoke(cli, ["preview", "--summary", *options])
    diff = CliRunner().invoke(cli, ["preview", *options, "--against", str(before)])

    for done in (shown, diff):
        assert max(map(len, done.stdout.splitlines())) <= 80
        words = " ".join(done.stdout.replace(",", "").split())
        assert all(f"{name} {4 * value}" in words for name, value in totals.items())
    assert all(name in diff.stdout for name in ids)


def test_what_waits_in_quarantine_fits_a_terminal() -> None:
    """The reason is shown as a whole."""
    reason = "Order Completed: record.amount: properties.amount is missing"
    row = {
        "events": 1_000_000,
        "code": "mapping_failed",
        "rule": "12",
        "event": "A long name of an event, as some products have them",
        "customer": "customer-" * 9,
        "first": "2026-01-16T09:31:00Z",
        "deleted_in_days": 13.5,
        "now": f"would fail again: {reason}",
        "oldest": "2026-01-16T09:30:59Z",
        "sums": {f"property {number}": 1_000_000 for number in range(8)},
        "closed_in_days": 6.9,
    }

    lines = "\n".join(format_groups([row])).splitlines()

    assert max(map(len, lines)) <= 80
    shown = " ".join(" ".join(lines).split())
    assert reason in shown
    assert "since 2026-01-16 09:31, deleted in 13.5 days" in shown
    assert all(f"property {number} 1,000,000" in shown for number in range(8))
