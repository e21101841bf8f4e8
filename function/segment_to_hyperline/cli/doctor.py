"""The command `doctor`."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import click

from segment_to_hyperline import __version__
from segment_to_hyperline.cli.doctor_probe import probe as probe_endpoint
from segment_to_hyperline.cli.doctor_send import Installed, send_event
from segment_to_hyperline.cli.given import reject_given
from segment_to_hyperline.cli.inputs import DEFAULT_STACK, find_now
from segment_to_hyperline.cli.mappings import mapping_option
from segment_to_hyperline.cli.statuses import CHECK_FAILED, fail, format_epilog
from segment_to_hyperline.doctor.checklist import Line, run_checks
from segment_to_hyperline.doctor.findings import Result, Unread
from segment_to_hyperline.doctor.hyperline import CoreReader, find_core_url
from segment_to_hyperline.doctor.installation import (
    Installation,
    Request,
    read_example_events,
    start_reading,
)
from segment_to_hyperline.doctor.settings import describe_settings
from segment_to_hyperline.doctor.stack import find_resource
from segment_to_hyperline.secret import Secret
from segment_to_hyperline.text import format_count, make_printable

# With more lines of a check that have the same result, only their number is shown.
_MAX_LINES = 10
# The width of the columns before what was found.
_INDENT = 32
_LEAST_WIDTH = 20
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
@click.option("--send", is_flag=True, help="Send one event to the stack, after asking.")
@click.option(
    "--probe",
    is_flag=True,
    help="Try in Hyperline's sandbox what isn't documented, after asking.",
)
@click.option(
    "--customer",
    metavar="ID",
    help="Customer in Hyperline for the events of --send and --probe.",
)
@click.option(
    "--limited-key",
    envvar="HYPERLINE_LIMITED_KEY",
    metavar="KEY",
    help="Key without the scope to write events, for --probe.",
)
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
    send: bool,
    probe: bool,
    customer: str | None,
    limited_key: str | None,
    show_segment_settings: bool,
) -> None:
    """Check an installation: the stack, the secret, and Hyperline against the mapping.

    EVENTS are files, folders and s3://BUCKET/PREFIX with examples of Segment events.
    With them, also their records and customers are checked.

    Each line has a result (ok, warning, wrong or unknown), what was found, and what to
    do. Nothing is changed, except by --send and --probe, which ask before each write.
    """
    if (as_json, send, probe, show_segment_settings).count(True) > 1:
        raise click.UsageError(
            "use one of --json, --send, --probe and --show-segment-settings"
        )
    if not (send or probe):
        reject_given(["--customer"], "without --send or --probe")
    if not probe:
        reject_given(["--limited-key"], "without --probe")
    if probe or show_segment_settings:
        mode = "--probe" if probe else "--show-segment-settings"
        reject_given(["EVENTS", "--mapping"], f"with {mode}")
    request = Request(stack, region, mapping, events, __version__, find_now())
    found = start_reading(request)
    try:
        if show_segment_settings:
            click.echo("\n".join(describe_settings(found)))
        elif send:
            send_one(found, customer)
        elif probe:
            probe_sandbox(found, customer, limited_key)
        else:
            check(found, as_json=as_json)
    except Unread as error:
        _, evidence, remedy = error.finding
        raise click.UsageError(": ".join(filter(None, (evidence, remedy)))) from error


def check(found: Installation, *, as_json: bool) -> None:
    """Print the checklist; the command fails if something is wrong."""
    lines = print_json(found) if as_json else print_lines(run_checks(found))
    wrong = sum(line.finding.result is Result.WRONG for line in lines)
    if wrong:
        fail(f"{format_count(wrong, 'line')} of the checklist {_be(wrong)} wrong")


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def send_one(found: Installation, customer: str | None) -> None:
    """Send one event to the stack; raises `Unread`."""
    fields, endpoint = found.aws.secret.get().fields, found.hyperline.access.get()[0]
    installed = Installed(
        found.aws.stack.get().outputs.get("WebhookUrl", ""),
        find_resource(found.aws.resources.get(), "ReceiverLog").id,
        found.aws.identity.get().region,
        Secret(dict(fields), found.request.now, endpoint.url),
        CoreReader(found.hyperline.core.get).read_customers,
    )
    events = read_example_events(found.request.events)
    if not send_event(installed, found.mapping.rules.get(), events, customer):
        fail("a step of the test isn't ok")


def probe_sandbox(
    found: Installation, customer: str | None, limited_key: str | None
) -> None:
    """Try what Hyperline doesn't document; raises `Unread`."""
    endpoint = found.hyperline.access.get().endpoint
    core_url = find_core_url(endpoint)
    if not probe_endpoint(
        endpoint, core_url, customer=customer, limited_key=limited_key
    ):
        fail("Hyperline doesn't behave as this version assumes, or that isn't known")


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
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for group, of_group in groupby(lines, lambda line: line.check.group):
        click.secho(f"\n{group}" if printed else group, bold=True)
        for _, of_check in groupby(of_group, lambda line: line.check):
            checked = list(of_check)
            click.echo("\n".join(format_check(checked, width)))
            printed += checked
    return printed


def format_check(lines: Sequence[Line], width: int | None = None) -> Iterator[str]:
    """Yield the lines of a check for people, wrapped to the *width* of a terminal."""
    for result in Result:
        some = [line.finding for line in lines if line.finding.result is result]
        head = click.style(f"  {result:<8}", fg=_COLOURS[result])
        name = f"{lines[0].check.name:<18}"
        for finding in some[:_MAX_LINES]:
            yield f"{head}  {name}  {_wrap(finding.evidence, width, '')}"
            if finding.remedy:
                yield f"{'':<{_INDENT}}→ {_wrap(finding.remedy, width, '  ')}"
        if len(some) > _MAX_LINES:
            more = len(some) - _MAX_LINES
            yield f"{head}  {name}  {more:,} more like these: see --json"


def _wrap(text: str, width: int | None, indent: str) -> str:
    """Return *text*, whose next lines begin below its first one, after *indent*."""
    shown = make_printable(text)
    if width is None:
        return shown
    indent = " " * _INDENT + indent
    # A path or an ARN stays in one piece, so that it can be copied.
    lines = textwrap.wrap(
        shown,
        max(width - len(indent), _LEAST_WIDTH),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"\n{indent}".join(lines)
