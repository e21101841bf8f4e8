"""The command `segment-to-hyperline`."""

import json
import signal
import sys
from pathlib import Path
from typing import BinaryIO

import click

from segment_to_hyperline import defaults
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli import preview_command as command
from segment_to_hyperline.cli.exits import CHECK_FAILED, INTERRUPTED, fail
from segment_to_hyperline.cli.reconciliation import (
    backfill_command,
    ledger_command,
    reconcile_command,
)

MAPPING = defaults.find("mapping.toml")

_EPILOG = f"""
Exit statuses: 0 success; {CHECK_FAILED} the check failed, as the command describes; 2
the input or the command line is invalid; {INTERRUPTED} interrupted by Ctrl-C; 141 the
output was closed.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(package_name="segment-to-hyperline")
def cli() -> None:
    """Try segment-to-hyperline on this machine: no AWS account is needed."""


@cli.command(
    short_help="Show what the mapping bills for your events.",
    epilog=f"Example: segment-to-hyperline preview events.ndjson\n\n{_EPILOG}",
)
@click.argument("events", nargs=-1, required=True)
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=MAPPING,
    metavar="FILE",
    help="Mapping to use; by default function/mapping.toml.",
)
@click.option(
    "--against",
    metavar="FILE|REVISION",
    help="Mapping to compare with: a file, or a git revision such as HEAD.",
)
@click.option("--strict", is_flag=True, help="Fail if an event would be quarantined.")
@click.option("--accept", is_flag=True, help="Don't fail because of warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print lines of JSON.")
@click.option(
    "--markdown",
    "as_markdown",
    is_flag=True,
    help="Print the comparison as Markdown, for a pull request.",
)
@click.option("--summary", "only_summary", is_flag=True, help="Print only the totals.")
def preview(  # noqa: PLR0913 - the options of the command
    events: tuple[str, ...],
    mapping: Path,
    against: str | None,
    *,
    strict: bool,
    accept: bool,
    as_json: bool,
    as_markdown: bool,
    only_summary: bool,
) -> None:
    """Show what the mapping bills for the Segment events in the files EVENTS.

    A file has one event per line (NDJSON) or JSON arrays, and may be compressed with
    gzip, as in Segment's S3 archive. A folder stands for all its files, and - for the
    standard input. Messages of Quarantine and Replay are read too. Nothing is sent.

    With --against, it shows what a change to the mapping would change, and warns if
    invoices could become wrong.

    The check fails after a warning, if a part of a file can't be read, and, with
    --strict, if an event would be quarantined.
    """
    options = command.Options(strict, accept, as_json, as_markdown, only_summary)
    try:
        problem = command.run(events, mapping, against, options)
    except InputError as error:
        raise click.UsageError(str(error)) from error
    if problem:
        fail(problem)


@cli.command(
    short_help="Sign an event as Segment does, for sam local invoke.",
    epilog=f"Example: segment-to-hyperline request event.json\n\n{_EPILOG}",
)
@click.argument("events", type=click.File("rb"), default="-")
def request(events: BinaryIO) -> None:
    """Print the API Gateway request for the Segment event in the file EVENTS.

    EVENTS is one JSON object, or an array of several; by default the standard input.
    The request is signed with the secret of `local`, for `sam local invoke`.
    """
    from local_stack.segment_requests import create_request  # noqa: PLC0415 - only in a checkout

    try:
        content = create_request(events.read())
    except ValueError as error:
        raise click.UsageError(f"{events.name}: {error}") from error
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


@cli.command(
    short_help="Show what an outage of Hyperline does to your events.",
    epilog=f"Example: segment-to-hyperline simulate --rate 90 --hours 10\n\n{_EPILOG}",
)
@click.option("--rate", type=click.FloatRange(min=0.001), help="Events per second.")
@click.option(
    "--batch",
    type=click.IntRange(1, 4_000),
    help="Events in a request; by default 1, and 100 with --unprocessable.",
)
@click.option(
    "--fault",
    type=click.Choice(["down", "hangs", "none"]),
    default="down",
    show_default=True,
    help="What is wrong with Hyperline; none is an overload.",
)
@click.option(
    "--hours",
    type=click.FloatRange(0.1, 240),
    default=10,
    show_default=True,
    help="How long the fault lasts.",
)
@click.option(
    "--limit",
    type=click.FloatRange(min=0.001),
    default=100,
    show_default=True,
    help="Requests per second that Hyperline accepts.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=10),
    default=1_000,
    show_default=True,
    help="Concurrent executions of the AWS account; a new one can have 10.",
)
@click.option("--adaptive", is_flag=True, help="Segment slows down after errors.")
@click.option(
    "--unprocessable",
    type=click.FloatRange(0.001, 100),
    help="Percentage of the events that Hyperline fails to process, for a day.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a plot of the scenario, as SVG.",
)
def simulate(  # noqa: PLR0913 - the options of the command
    rate: float | None,
    batch: int | None,
    fault: str,
    hours: float,
    limit: float,
    *,
    concurrency: int,
    adaptive: bool,
    unprocessable: float | None,
    plot: Path | None,
) -> None:
    """Show how many events are lost, parked and billed during an outage.

    The settings are the defaults of template.yaml. Without --rate, it prints a table of
    outages for 10 to 10,000 events per second. With --unprocessable, it prints how many
    posts it takes to find such events during a day, by default at 1 event per second in
    requests of 100. docs/capacity.md lists the assumptions.
    """
    from segment_to_hyperline.simulation import command  # noqa: PLC0415 - slow to import
    from segment_to_hyperline.simulation.model import (  # noqa: PLC0415 - slow to import
        Fault,
        Scenario,
    )
    from segment_to_hyperline.simulation.model import simulate as run  # noqa: PLC0415 - as above

    deployment = command.read_deployment(concurrency)
    if unprocessable is not None:
        command.print_days(rate or 1, batch or 100, unprocessable / 100)
        return
    if rate is None:
        command.print_table(deployment, is_adaptive=adaptive)
        return
    scenario = Scenario(rate, batch or 1, Fault(fault), hours, limit, adaptive)
    command.print_scenario(deployment, scenario, f"{fault} for {hours:g} h")
    if plot:
        try:
            from segment_to_hyperline.simulation.plot import plot as write_plot  # noqa: PLC0415 - as above
        except ImportError as error:
            needed = "needs segment-to-hyperline[plot], which installs matplotlib"
            raise click.UsageError(f"--plot {needed}") from error
        write_plot(run(deployment, scenario), plot)


@cli.command(
    "demo",
    short_help="Show the application at work in a local AWS.",
    epilog=f"Example: segment-to-hyperline demo\n\n{_EPILOG}",
)
def demo_command() -> None:
    """Deploy into a local AWS, send events, and show what happens to them.

    The check fails if a result is not the expected one.
    """
    from local_stack import demo  # noqa: PLC0415 - boto3 would slow down other commands

    if not demo.run():
        fail("the demo failed, see above")


@cli.command(
    "local",
    short_help="Keep the application running in a local AWS.",
    epilog=f"Example: segment-to-hyperline local\n\n{_EPILOG}",
)
def local_command() -> None:
    """Keep the application running in a local AWS, until Ctrl-C.

    It prints the URL, an example request, and where to see the stored events.
    """
    from local_stack import local  # noqa: PLC0415 - boto3 would slow down other commands

    local.run()


cli.add_command(reconcile_command)
cli.add_command(backfill_command)
cli.add_command(ledger_command)


def main() -> None:
    """Run the command; every error is one line on the standard error."""
    # End quietly when the output is closed, as `head` does.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        sys.exit(error.exit_code if isinstance(error, click.FileError) else 2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        click.echo(f"Error: {error.filename or error}: {error.strerror}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
