"""The command `doctor`."""

import json
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import click

from segment_to_hyperline.cli.inputs import DEFAULT_STACK, find_now
from segment_to_hyperline.cli.mappings import mapping_option
from segment_to_hyperline.cli.statuses import CHECK_FAILED, fail, format_epilog
from segment_to_hyperline.doctor.checklist import Line, run_checks
from segment_to_hyperline.doctor.findings import Result, Unread
from segment_to_hyperline.doctor.installation import (
    Installation,
    Request,
    start_reading,
)
from segment_to_hyperline.doctor.settings import describe_settings
from segment_to_hyperline.text import format_count, make_printable

PACKAGE = "segment-to-hyperline"
# With more lines of a check that have the same result, only their number is shown.
_MAX_LINES = 10
_COLOURS = {
    Result.OK: "green",
    Result.WARNING: "yellow",
    Result.WRONG: "red",
    Result.UNKNOWN: "cyan",
}


@click.command(
    epilog=format_epilog(
        "doctor --stack segment-to-hyperline events.ndjson",
        {CHECK_FAILED: "something is wrong"},
    ),
)
@click.argument("events", nargs=-1)
@click.option(
    "--stack",
    default=DEFAULT_STACK,
    show_default=True,
    metavar="NAME",
    help="Stack to check.",
)
@click.option("--region", help="AWS region; by default that of the AWS CLI.")
@mapping_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--show-segment-settings",
    is_flag=True,
    help="Print what to paste into Segment, with the secrets.",
)
def doctor(  # noqa: PLR0913 - the options of the command
    events: tuple[str, ...],
    stack: str,
    region: str | None,
    mapping: Path,
    *,
    as_json: bool,
    show_segment_settings: bool,
) -> None:
    """Check an installation: the stack, the secret, and Hyperline against the mapping.

    EVENTS are files, folders and s3://BUCKET/PREFIX with examples of Segment events.
    With them, also their records and customers are checked.

    Nothing is changed. Each line has a result (ok, warning, wrong or unknown), what was
    found, and what to do.
    """
    request = Request(stack, region, mapping, events, version(PACKAGE), find_now())
    found = start_reading(request)
    if show_segment_settings:
        print_settings(found)
        return
    lines = print_json(found) if as_json else print_lines(run_checks(found))
    wrong = sum(line.finding.result is Result.WRONG for line in lines)
    if wrong:
        fail(f"{format_count(wrong, 'line')} of the checklist {_be(wrong)} wrong")


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def print_settings(found: Installation) -> None:
    """Print what to paste into Segment."""
    try:
        click.echo("\n".join(describe_settings(found)))
    except Unread as error:
        _, evidence, remedy = error.finding
        raise click.UsageError(": ".join(filter(None, (evidence, remedy)))) from error


def print_json(found: Installation) -> Sequence[Line]:
    """Print all lines as JSON, and return them."""
    lines = list(run_checks(found))
    content = {
        "version": found.request.version,
        "results": {
            result: sum(line.finding.result is result for line in lines)
            for result in Result
        },
        "lines": [
            {"group": line.check.group, "check": line.check.name}
            | line.finding._asdict()
            for line in lines
        ],
    }
    click.echo(json.dumps(content, indent=2))
    return lines


def print_lines(lines: Iterable[Line]) -> Sequence[Line]:
    """Print *lines* for people, as soon as each is known, and return them."""
    printed: list[Line] = []
    for group, of_group in groupby(lines, lambda line: line.check.group):
        click.secho(f"\n{group}" if printed else group, bold=True)
        for _, of_check in groupby(of_group, lambda line: line.check):
            checked = list(of_check)
            click.echo("\n".join(format_check(checked)))
            printed += checked
    return printed


def format_check(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the lines of a check for people."""
    for result in Result:
        some = [line.finding for line in lines if line.finding.result is result]
        head = click.style(f"  {result:<8}", fg=_COLOURS[result])
        name = f"{lines[0].check.name:<18}"
        for finding in some[:_MAX_LINES]:
            yield f"{head}  {name}  {make_printable(finding.evidence)}"
            if finding.remedy:
                yield f"{'':<32}→ {make_printable(finding.remedy)}"
        if len(some) > _MAX_LINES:
            more = len(some) - _MAX_LINES
            yield f"{head}  {name}  {more:,} more like these: see --json"
