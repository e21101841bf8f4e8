"""The command `segment-to-hyperline`."""

import json
import signal
import sys
from pathlib import Path
from typing import BinaryIO, NoReturn

import click

from tools.preview import command
from tools.segment_requests import create_request

MAPPING = Path(__file__).parents[1] / "function/mapping.toml"

_CHECK_FAILED = 1
_INTERRUPTED = 128 + signal.SIGINT
_EPILOG = f"""
Exit statuses: 0 success; {_CHECK_FAILED} the check failed, as the command describes; 2
the input or the command line is invalid; {_INTERRUPTED} interrupted by Ctrl-C; 141 the
output was closed.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(package_name="segment-to-hyperline")
def cli() -> None:
    """Try segment-to-hyperline on this machine: no AWS account is needed."""


@cli.command(
    short_help="Show what the mapping bills for your events.",
    epilog="Example: segment-to-hyperline preview events/sample.ndjson",
)
@click.argument("events", type=click.File("rb"))
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
def preview(  # noqa: PLR0913 - the options of the command
    events: BinaryIO,
    mapping: Path,
    against: str | None,
    *,
    strict: bool,
    accept: bool,
    as_json: bool,
) -> None:
    """Show what the mapping bills for the Segment events in the file EVENTS.

    EVENTS has one event per line (NDJSON) or JSON arrays; - is the standard input.
    Nothing is sent. With --against, it shows what a change to the mapping would change,
    and warns if invoices could become wrong.

    The check fails after a warning, if a line can't be read, and, with --strict, if an
    event would be quarantined.
    """
    options = command.Options(strict=strict, accept=accept, as_json=as_json)
    try:
        problem = command.run(events, mapping, against, options)
    except command.InputError as error:
        raise click.UsageError(str(error)) from error
    if problem:
        _fail(problem)


@cli.command(
    short_help="Sign an event as Segment does, for sam local invoke.",
    epilog="Example: segment-to-hyperline request event.json > request.json",
)
@click.argument("events", type=click.File("rb"), default="-")
def request(events: BinaryIO) -> None:
    """Print the API Gateway request for the Segment event in the file EVENTS.

    EVENTS is one JSON object, or an array of several; by default the standard input.
    The request is signed with the secret of `local`, for `sam local invoke`.
    """
    try:
        content = create_request(events.read())
    except ValueError as error:
        raise click.UsageError(f"{events.name}: {error}") from error
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


@cli.command(
    "demo",
    short_help="Show the application at work in a local AWS.",
    epilog="Example: segment-to-hyperline demo",
)
def demo_command() -> None:
    """Deploy into a local AWS, send events, and show what happens to them.

    The check fails if a result is not the expected one.
    """
    from tools import demo  # noqa: PLC0415 - boto3 would slow down other commands

    if not demo.run():
        _fail("the demo failed, see above")


@cli.command(
    "local",
    short_help="Keep the application running in a local AWS.",
    epilog="Example: segment-to-hyperline local",
)
def local_command() -> None:
    """Keep the application running in a local AWS, until Ctrl-C.

    It prints the URL, an example request, and where to see the stored events.
    """
    from tools import local  # noqa: PLC0415 - boto3 would slow down other commands

    local.run()


def main() -> None:
    """Run the command; every error is one line on the standard error."""
    # End quietly when the output is closed, as `head` does.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        sys.exit(error.exit_code if isinstance(error, click.FileError) else 2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(_INTERRUPTED)
    except OSError as error:
        click.echo(f"Error: {error.filename or error}: {error.strerror}", err=True)
        sys.exit(2)


def _fail(problem: str) -> NoReturn:
    click.echo(f"Failed: {problem}.", err=True)
    sys.exit(_CHECK_FAILED)


if __name__ == "__main__":
    main()
