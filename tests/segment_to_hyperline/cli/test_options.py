"""An option without an effect is an error, because its user expects one."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from segment_to_hyperline.cli.main import cli

ROOT = Path(__file__).parents[3]
SAMPLE = str(ROOT / "events/sample.ndjson")
MAPPING = str(ROOT / "function/mapping.toml")


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("simulate --plot plot.svg", "--plot has no effect without --rate"),
        ("simulate --fault hangs", "--fault has no effect without --rate"),
        ("simulate --hours 10", "--hours has no effect without --rate"),
        ("simulate --batch 100", "--batch has no effect without --rate"),
        ("simulate --limit 50", "--limit has no effect without --rate"),
        *(
            (
                f"simulate --rate 1 --unprocessable 1 {option}",
                f"{option.split()[0]} has no effect with --unprocessable",
            )
            for option in (
                *("--fault down", "--hours 10", "--limit 100", "--concurrency 1000"),
                *("--adaptive", "--plot plot.svg"),
            )
        ),
        (f"preview {SAMPLE} --accept", "--accept has no effect without --against"),
        (
            f"preview {SAMPLE} --against {MAPPING} --summary",
            "--summary has no effect with --against, which prints only totals",
        ),
        ("doctor --customer c", "--customer has no effect without --send or --probe"),
        ("doctor --limited-key test_1", "--limited-key has no effect without --probe"),
        (f"doctor {SAMPLE} --probe", "EVENTS has no effect with --probe"),
        (
            f"doctor --mapping {MAPPING} --show-segment-settings",
            "--mapping has no effect with --show-segment-settings",
        ),
        (
            f"reconcile {SAMPLE} --stack a --secret-id b",
            "--secret-id has no effect with --stack, which has a secret of its own",
        ),
        (
            f"ledger {SAMPLE} --received-until 2026-01-31",
            "--received-until has no effect without EVENTS in s3://",
        ),
        (
            f"close 2026-01 {SAMPLE} --output x --received-until 2026-01-31",
            "--received-until has no effect without EVENTS in s3://",
        ),
        (
            f"backfill {SAMPLE} --direct --queue-url https://queue",
            "--queue-url has no effect with --direct",
        ),
        (
            f"backfill {SAMPLE} --queue-url https://queue",
            "--queue-url has no effect without --yes or --plan",
        ),
        (
            f"quarantine redrive --mapping {MAPPING} --new-identity",
            "--new-identity has no effect without --from",
        ),
        *(
            (
                f"quarantine redrive --dry-run {option}",
                f"{option.split()[0]} has no effect with --dry-run",
            )
            for option in ("--yes", "--rate 200", "--timeout 120")
        ),
        (
            f"replay list --mapping {MAPPING}",
            "--mapping has no effect without --sample",
        ),
    ],
)
def test_an_option_without_an_effect_is_rejected(command: str, problem: str) -> None:
    """Also if its value is the default one, and before anything is read."""
    done = CliRunner().invoke(cli, command.split())

    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == f"Error: {problem}"


def test_a_key_in_the_environment_is_not_an_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It can be set for another command."""
    monkeypatch.setenv("HYPERLINE_LIMITED_KEY", "test_1")

    done = CliRunner().invoke(cli, ["doctor", "--send", "--json"])

    assert "use one of --json, --send" in done.stderr


@pytest.mark.parametrize(
    ("command", "suggestion"),
    [
        ("previe", "preview"),
        ("quarantine lst", "list"),
        ("preview --againt HEAD", "--against"),
        ("simulate --hour 1", "--hours"),
    ],
)
def test_a_typo_gets_a_suggestion(command: str, suggestion: str) -> None:
    """For a command, a subcommand and an option."""
    done = CliRunner().invoke(cli, command.split())

    assert done.exit_code == 2
    assert f"Did you mean '{suggestion}'?" in done.stderr.splitlines()[-1]
