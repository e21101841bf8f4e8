"""The options that `reconcile`, `backfill` and `ledger` have in common."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli.api_key import Access, find_access
from segment_to_hyperline.cli.mappings import mapping_option
from segment_to_hyperline.cli.progress import read_with_progress, show_steps
from segment_to_hyperline.cli.statuses import INCOMPLETE
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.reconciliation.compare import to_milliseconds
from segment_to_hyperline.reconciliation.reader import (
    AccessError,
    HyperlineUnavailable,
)
from segment_to_hyperline.reconciliation.reconcile import (
    Reconciliation,
    Scope,
    load_events,
)
from segment_to_hyperline.segment.facts import WEBHOOKS_ACTIONS

INCOMPLETE_READ = (
    "Hyperline could not be read completely: run the command again to continue"
)


def parse_time(text: str) -> int:
    """Return the beginning of a day, or a time, in milliseconds; raise ValueError."""
    if len(text) == len("2026-01-31"):
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return round(day.timestamp() * 1_000)
    return to_milliseconds(text)


def _read_time(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> int | None:
    try:
        return None if text is None else parse_time(text)
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


class Inputs(NamedTuple):
    """What to reconcile, and with which mapping and key."""

    events: tuple[str, ...]
    """The names of files and folders."""
    start: int | None
    """The start of the time range, in milliseconds since 1970."""
    end: int | None
    """Its end, which is not part of it."""
    event_types: tuple[str, ...]
    """Event types to check, even if no event has them."""
    destination: str
    """The name of the destination in the events' field `integrations`."""
    mapping: Path
    secret_id: str
    """The secret with the API key, if HYPERLINE_API_KEY is not set."""
    stack: str | None
    """The stack whose secret, host and queue are used."""
    region: str | None
    """The AWS region, by default the one of the environment."""
    state: Path
    """The folder that stores what was found."""

    def find_access(self) -> Access:
        """Return where to read and with which key; raises `InputError`."""
        return find_access(self.secret_id, self.stack, self.region)

    @contextmanager
    def reconcile(self, endpoint: Endpoint, *, deep: bool) -> Iterator[Reconciliation]:
        """Yield the completed reconciliation, and show the progress before."""
        scope = Scope(self.start, self.end, deep, self.event_types, self.destination)
        with load_events(
            self.events,
            self.mapping,
            scope,
            endpoint,
            self.state,
            read_files=read_with_progress,
        ) as reconciliation:
            with show_steps() as report:
                reconciliation.compare(report)
            yield reconciliation


_OPTIONS = (
    click.argument("events", nargs=-1, required=True),
    click.option(
        "--from",
        "start",
        callback=_read_time,
        metavar="TIME",
        help="Start of the time range: a day or a time in UTC.",
    ),
    click.option(
        "--to",
        "end",
        callback=_read_time,
        metavar="TIME",
        help="End of the time range, which is not part of it.",
    ),
    click.option(
        "--event-type",
        "event_types",
        multiple=True,
        callback=_require_names,
        help=(
            "Also check this event type, even if no event in EVENTS has it. Can be"
            " repeated."
        ),
    ),
    click.option(
        "--destination",
        default=WEBHOOKS_ACTIONS,
        show_default=True,
        help="Its name in the events' field integrations, which can exclude it.",
    ),
    mapping_option,
    click.option(
        "--secret-id",
        default="segment-to-hyperline",
        show_default=True,
        help="Secret with the API key, if HYPERLINE_API_KEY is not set.",
    ),
    click.option(
        "--stack",
        metavar="NAME",
        help="Stack whose secret, host and queue are used.",
    ),
    click.option("--region", help="AWS region; by default that of the AWS CLI."),
    click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(".reconcile"),
        metavar="FOLDER",
        show_default=True,
        help="Where to store what was found, to continue after an interruption.",
    ),
)


def takes_inputs(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a command, and pass it `Inputs` as the first argument."""

    @functools.wraps(command)
    def run(**values: Any) -> None:
        inputs = Inputs(*(values.pop(name) for name in Inputs._fields))
        try:
            command(inputs, **values)
        except (InputError, AccessError) as error:
            raise click.UsageError(str(error)) from error
        except HyperlineUnavailable as error:
            click.echo(f"Incomplete: {error}.", err=True)
            sys.exit(INCOMPLETE)

    for add in reversed(_OPTIONS):
        run = add(run)
    return run
