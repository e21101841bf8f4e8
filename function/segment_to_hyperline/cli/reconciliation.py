"""The commands `reconcile`, `backfill` and `ledger`."""

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from segment_to_hyperline import defaults
from segment_to_hyperline.archive.files import InputError, require_files
from segment_to_hyperline.cli.exits import (
    CHECK_FAILED,
    INCOMPLETE,
    INTERRUPTED,
    describe_unreadable,
    fail,
)

if TYPE_CHECKING:
    from segment_to_hyperline.reconciliation.reader import Reader
    from segment_to_hyperline.reconciliation.store import Store

MAPPING = defaults.find("mapping.toml")

_RECONCILE_EPILOG = f"""
Exit statuses: 0 success; {CHECK_FAILED} the check failed: there are differences, events
that could not be sent, or parts of the input that can't be read; 2 the input or the
command line is invalid; {INCOMPLETE} Hyperline could not be read completely: run the
command again to continue; {INTERRUPTED} interrupted by Ctrl-C, run it again too; 141
the output was closed.
"""


def _read_time(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> Any:
    from segment_to_hyperline.reconciliation.command import parse_day  # noqa: PLC0415 - slow to import

    try:
        return None if text is None else parse_day(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text} is neither a day (2026-01-31) nor a time (2026-01-31T12:00:00Z)"
        ) from error


def _require_names(
    _context: click.Context, _option: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    if not all(names):
        raise click.BadParameter("a name is empty")
    return names


class Comparison(NamedTuple):
    """The arguments and options that the commands have in common."""

    events: tuple[str, ...]
    start: int | None
    end: int | None
    event_types: tuple[str, ...]
    mapping: Path
    secret_id: str
    state: Path

    def run[Value](
        self,
        use: Callable[["Store", "Reader"], Value],
        secret: Mapping[str, Any],
        *,
        deep: bool,
    ) -> Value:
        """Compare, and return what *use* returns for what was found."""
        from segment_to_hyperline.reconciliation import command  # noqa: PLC0415 - slow to import

        options = command.Options(self.start, self.end, deep, self.event_types)
        with command.reconcile(
            self.events, self.mapping, options, secret, self.state
        ) as (store, reader):
            return use(store, reader)


def _compares(command: Callable[..., None]) -> Callable[..., None]:
    """Add what is in `Comparison` to a command, and pass it as the first argument."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        from segment_to_hyperline.reconciliation.reader import (  # noqa: PLC0415 - slow to import
            AccessError,
            HyperlineUnavailable,
        )

        comparison = Comparison(*(values.pop(name) for name in Comparison._fields))
        try:
            command(comparison, **values)
        except (InputError, AccessError) as error:
            raise click.UsageError(str(error)) from error
        except HyperlineUnavailable as error:
            click.echo(f"Incomplete: {error}.", err=True)
            sys.exit(INCOMPLETE)

    for decorate in (
        click.option(
            "--state",
            type=click.Path(file_okay=False, path_type=Path),
            default=Path(".reconcile"),
            metavar="FOLDER",
            show_default=True,
            help="Where to store what was found, to continue after an interruption.",
        ),
        click.option(
            "--secret-id",
            default="segment-to-hyperline",
            show_default=True,
            help="Secret with the API key, if HYPERLINE_API_KEY is not set.",
        ),
        click.option(
            "--mapping",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            default=MAPPING,
            metavar="FILE",
            help="Mapping to use; by default function/mapping.toml.",
        ),
        click.option(
            "--event-type",
            "event_types",
            multiple=True,
            callback=_require_names,
            help="Compare this type too, although no event has it. Repeatable.",
        ),
        click.option(
            "--to",
            "end",
            callback=_read_time,
            metavar="TIME",
            help="End of the time range, which is not part of it.",
        ),
        click.option(
            "--from",
            "start",
            callback=_read_time,
            metavar="TIME",
            help="Start of the time range: a day or a time in UTC.",
        ),
        click.argument("events", nargs=-1, required=True),
    ):
        run = decorate(run)
    return run


def _read_secret(secret_id: str) -> dict[str, Any]:
    """Return the fields of the secret, or only the key in the environment."""
    if key := os.environ.get("HYPERLINE_API_KEY"):
        return {"hyperline_api_key": key}
    import boto3  # noqa: PLC0415 - slow to import

    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=secret_id)
        fields = json.loads(text["SecretString"])
    except Exception as error:
        raise InputError(
            "no API key: set HYPERLINE_API_KEY; the secret can't be read either:"
            f" {type(error).__name__}"
        ) from error
    return fields if isinstance(fields, dict) else {}


def _fail_unless_complete(matches: bool, unreadable: int, problem: str) -> None:  # noqa: FBT001 - as it is returned
    """End with an error if parts of the input were *unreadable*, or with *problem*."""
    if unreadable:
        fail(describe_unreadable(unreadable))
    if not matches:
        fail(problem)


@click.command(
    "reconcile",
    short_help="Compare your events with what Hyperline stored.",
    epilog=(
        "Example: segment-to-hyperline reconcile archive/ --from 2026-01-01 --to"
        f" 2026-02-01\n\n{_RECONCILE_EPILOG}"
    ),
)
@_compares
@click.option("--deep", is_flag=True, help="Compare the contents of every event.")
@click.option("--no-values", is_flag=True, help="Show which fields differ, not how.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv", "markdown"]),
    default="text",
    show_default=True,
)
def reconcile_command(
    comparison: Comparison,
    *,
    deep: bool,
    no_values: bool,
    form: str,
) -> None:
    """Compare the Segment events in the files EVENTS with what Hyperline stored.

    The events are mapped as the deployed function does. For each event type and day,
    the numbers are compared, and where they differ, the events. With --deep, all
    contents are compared. Nothing is written.

    The time range is about the timestamps of the billable events, not the day of
    receipt; by default it is that of the events. The API key is in HYPERLINE_API_KEY,
    else in the secret; HYPERLINE_URL sets the host.
    """
    from segment_to_hyperline.reconciliation.command import print_outcome  # noqa: PLC0415 - slow to import
    from segment_to_hyperline.reconciliation.report import Outcome  # noqa: PLC0415 - as above

    def use(store: "Store", reader: "Reader") -> tuple[bool, int]:
        outcome = Outcome(store, reader, show_values=not no_values)
        print_outcome(outcome, form)
        return outcome.matches, outcome.unreadable

    secret = _read_secret(comparison.secret_id)
    matches, unreadable = comparison.run(use, secret, deep=deep)
    _fail_unless_complete(matches, unreadable, "there are differences")


@click.command(
    "backfill",
    short_help="Bill the events that Hyperline lacks.",
    epilog=(
        "Example: segment-to-hyperline backfill archive/ --queue-url URL --yes\n\n"
        f"{_RECONCILE_EPILOG}"
    ),
)
@_compares
@click.option(
    "--queue-url", metavar="URL", help="URL of the queue Replay of the stack."
)
@click.option("--direct", is_flag=True, help="Post to Hyperline, with a sandbox key.")
@click.option("--different", is_flag=True, help="Also overwrite events that differ.")
@click.option("--old", is_flag=True, help="Also bill events older than 3 days.")
@click.option("--yes", is_flag=True, help="Do it; otherwise only the plan is shown.")
def backfill_command(  # noqa: PLR0913 - the options of the command
    comparison: Comparison,
    *,
    queue_url: str | None,
    direct: bool,
    different: bool,
    old: bool,
    yes: bool,
) -> None:
    """Bill those of the Segment events in the files EVENTS that Hyperline lacks.

    First it compares, as `reconcile --deep` does, and shows what it would bill. With
    --yes, the events are put into the queue Replay, from which the deployed application
    delivers them. An event that Hyperline has is not sent, unless it is a line item of
    an event of which another one is missing. If a part of the input can't be read,
    nothing is sent. The command can be repeated.
    """
    from segment_to_hyperline.reconciliation import backfill  # noqa: PLC0415 - slow to import

    if yes and direct == bool(queue_url):
        raise click.UsageError("--yes needs either --queue-url or --direct")
    secret = _read_secret(comparison.secret_id)
    send = None
    if yes:  # what is wrong with it is reported before anything is compared
        require_files(comparison.events)
        send = (
            backfill.send_directly(secret)
            if direct
            else backfill.send_to_replay(str(queue_url), secret)
        )

    def use(store: "Store", _reader: "Reader") -> tuple[int, int]:
        now = round(time.time() * 1_000)
        plan = backfill.create_plan(store, now, different=different, old=old)
        click.echo("\n".join(plan.lines()))
        failed, unreadable = 0, store.unreadable()
        click.echo("".join(f"{reason}\n" for reason in unreadable), err=True, nl=False)
        # What can't be read can be the last version of an event, which is the one to
        # bill, or an event that nobody would look for after a backfill.
        if send and plan.billed and not unreadable:
            for finding, problem in backfill.execute(
                plan, comparison.events, comparison.mapping, send
            ):
                outcome = f"FAILED: {problem}" if problem else "sent"
                click.echo(f"{outcome}  {finding.event_type}  {finding.record_id}")
                failed += bool(problem)
        return failed, len(unreadable)

    failed, unreadable = comparison.run(use, secret, deep=True)
    if failed:
        fail(f"{failed:,} event{'' if failed == 1 else 's'} could not be sent")
    if unreadable:
        which = "this part" if unreadable == 1 else "these parts"
        remedy = f"; nothing was sent: repair or remove {which}" if yes else ""
        fail(f"{describe_unreadable(unreadable)}{remedy}")


@click.command(
    "ledger",
    short_help="Show what was sent, billed and missing, per day or month.",
    epilog=(
        "Example: segment-to-hyperline ledger archive/ --from 2026-01-01 --to"
        f" 2026-02-01 --by month\n\n{_RECONCILE_EPILOG}"
    ),
)
@_compares
@click.option(
    "--by", type=click.Choice(["day", "month"]), default="day", show_default=True
)
@click.option(
    "--queued",
    multiple=True,
    metavar="FILE",
    help="Messages exported from Replay or Quarantine, to explain what is missing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ledger_command(
    comparison: Comparison,
    *,
    by: str,
    queued: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show what was sent, billed and missing of the Segment events in the files EVENTS.

    It compares as `reconcile --deep` does. For each period, event type and customer, it
    shows the number of events and the totals of their numeric properties, as they were
    sent and as they are in Hyperline; then the events that are not billed, by reason.
    The check fails if they differ.
    """
    from segment_to_hyperline.mapping.file import load_rules  # noqa: PLC0415 - slow to import
    from segment_to_hyperline.reconciliation import command, ledger  # noqa: PLC0415 - as above

    length = ledger.DAY_LENGTH if by == "day" else ledger.MONTH_LENGTH

    def use(store: "Store", _reader: "Reader") -> tuple[bool, int]:
        rules = load_rules(comparison.mapping)
        explained = command.read_queued(queued, rules, store)
        statement = ledger.Statement(store, length, explained)
        if as_json:
            click.echo(json.dumps(statement.to_json(), indent=2))
        else:
            click.echo("\n".join(statement.lines()))
        return statement.matches, len(store.unreadable())

    secret = _read_secret(comparison.secret_id)
    matches, unreadable = comparison.run(use, secret, deep=True)
    problem = "what was sent and what was billed differ"
    _fail_unless_complete(matches, unreadable, problem)
