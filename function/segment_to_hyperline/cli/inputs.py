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
from segment_to_hyperline.archive.received_days import ReceivedDays
from segment_to_hyperline.archive.sources import SCHEME, Source, find_sources
from segment_to_hyperline.cli.api_key import Access, find_access
from segment_to_hyperline.cli.given import reject_given
from segment_to_hyperline.cli.mappings import mapping_option, read_mappings
from segment_to_hyperline.cli.progress import Progress, show_progress
from segment_to_hyperline.cli.statuses import INCOMPLETE
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.reconciliation.api.failures import (
    AccessError,
    HyperlineUnavailable,
)
from segment_to_hyperline.reconciliation.api.rows import read_milliseconds
from segment_to_hyperline.reconciliation.expected.disk import explain_full_disk
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.workers import Job, load
from segment_to_hyperline.reconciliation.header import MappingVersion
from segment_to_hyperline.reconciliation.reconcile import Scope, reconcile
from segment_to_hyperline.reconciliation.target import Compared, Target, open_target
from segment_to_hyperline.segment.facts import WEBHOOKS_ACTIONS

INCOMPLETE_READ = "Hyperline could not be read completely: run the command again later"
# The name of the stack in the documentation, which is also that of its secret.
DEFAULT_STACK = "segment-to-hyperline"
_MOST = Scope().most


def parse_time(text: str) -> int:
    """Return the beginning of a day, or a time, in milliseconds; raise ValueError."""
    if len(text) == len("2026-01-31"):
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return round(day.timestamp() * 1_000)
    milliseconds = read_milliseconds(text)
    if milliseconds is None:
        raise ValueError
    return milliseconds


def _read_time(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> int | None:
    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text} is neither a day (2026-01-31) nor a time (2026-01-31T12:00:00Z)"
        ) from error


def _read_dated(
    context: click.Context,
    option: click.Parameter,
    pairs: tuple[tuple[str, str], ...],
) -> tuple[tuple[int, str], ...]:
    return tuple((_read_time(context, option, time) or 0, name) for time, name in pairs)


def _require_names(
    _context: click.Context, _option: click.Parameter, names: tuple[str, ...]
) -> tuple[str, ...]:
    if not all(names):
        raise click.BadParameter("a name is empty")
    return names


class Inputs(NamedTuple):
    """What to reconcile, and with which mapping and key."""

    events: tuple[str, ...]
    """The names of files, folders, and of objects in S3."""
    start: int | None
    """The start of the time range, in milliseconds since 1970."""
    end: int | None
    """Its end, which is not part of it."""
    received_until: int | None
    """Until when the events in S3 were received, in milliseconds since 1970."""
    event_types: tuple[str, ...]
    """Event types to check, even if no event has them."""
    destination: str
    """The name of the destination in the events' field `integrations`."""
    mapping: Path
    later_mappings: tuple[tuple[int, str], ...]
    """Since when other mappings were deployed, in milliseconds since 1970."""
    secret_id: str
    """The secret with the API key, if HYPERLINE_API_KEY is not set."""
    stack: str | None
    """The stack whose secret, host and queue are used."""
    region: str | None
    """The AWS region, by default the one of the environment."""
    rate: float | None
    """How many requests are sent per second; None for a share of the limit."""
    most: int
    """After how many differences the comparison ends."""

    def find_sources(self) -> list[Source]:
        """Return what to read; raises `InputError`."""
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InputError("--from must be before --to")
        until = self.received_until
        return find_sources(self.events, ReceivedDays.create(self.start, until))

    def find_access(self) -> Access:
        """Return where to read and with which key; raises `InputError`."""
        return find_access(self.secret_id, self.stack, self.region)

    def open_target(self, access: Access, progress: Progress) -> Target:
        """Return Hyperline's two APIs; raises `AccessError`."""
        host, core = access.endpoint, access.core_url
        return open_target(host, core, self.rate, progress.report_wait)

    def create_job(
        self, sources: list[Source]
    ) -> tuple[Job, tuple[MappingVersion, ...]]:
        """Return what to map, and with which mappings.

        Raises `InputError` or `MappingFileError`.
        """
        files = read_mappings(self.mapping, self.later_mappings)
        job = Job([file.mapping for file in files], self.destination, sources)
        return job, tuple(file.version for file in files)

    @contextmanager
    def compare(
        self, sources: list[Source], access: Access, *, deep: bool
    ) -> Iterator[Compared]:
        """Yield the result of comparing *sources*, and show the progress before."""
        job, versions = self.create_job(sources)
        scope = Scope(self.start, self.end, deep, self.event_types, self.most)
        with Store() as store:
            with show_progress() as progress:
                target = self.open_target(access, progress)
                # A wrong key is reported before the events are read.
                target.events.check()
                loaded = load(job, store, progress.report)
                read_at = find_now()
                scope = scope._replace(now=read_at * 1_000)
                found = reconcile(
                    store, target.events, target.core, scope, progress.report
                )
            yield target.describe(found, versions, loaded, read_at)


def find_now() -> float:
    """Return the present time in seconds since 1970."""
    return datetime.now(UTC).timestamp()


_RANGE = (
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
)
_OPTIONS = (
    click.option(
        "--received-until",
        callback=_read_time,
        metavar="TIME",
        help="Last day of receipt to read from S3; by default today.",
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
        "--mapping-since",
        "later_mappings",
        nargs=2,
        multiple=True,
        callback=_read_dated,
        metavar="TIME MAPPING",
        help=(
            "Mapping that was deployed at this time, if it was changed: a file, or a"
            " git revision of --mapping, which is the one before. Can be repeated."
        ),
    ),
    click.option(
        "--secret-id",
        default=DEFAULT_STACK,
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
        "--rate",
        type=click.FloatRange(min=0, min_open=True, max=100),
        metavar="NUMBER",
        help=(
            "Requests per second; by default a quarter of Hyperline's limit, and less"
            " while others use it."
        ),
    ),
    click.option(
        "--max",
        "most",
        type=click.IntRange(min=1),
        default=_MOST,
        show_default=True,
        metavar="NUMBER",
        help="With more differences, only the totals are shown.",
    ),
)


def takes_inputs(
    *, are_required: bool = True, has_range: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options to a command, and pass it `Inputs` as the first argument.

    Without a range, the command finds it in another way.
    """
    options = (*_RANGE, *_OPTIONS) if has_range else _OPTIONS
    events = click.argument("events", nargs=-1, required=are_required)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: Any) -> None:
            inputs = Inputs(*(values.pop(name, None) for name in Inputs._fields))
            _check_options(inputs)
            try:
                with explain_full_disk():
                    command(inputs, **values)
            except (InputError, MappingFileError, AccessError) as error:
                raise click.UsageError(str(error)) from error
            except HyperlineUnavailable as error:
                click.echo(f"Incomplete: {error}.", err=True)
                sys.exit(INCOMPLETE)

        for add in (*reversed(options), events):
            run = add(run)
        return run

    return decorate


def _check_options(inputs: Inputs) -> None:
    """Raise `UsageError` for an option that has no effect on *inputs*."""
    if inputs.stack:
        reject_given(["--secret-id"], "with --stack, which has a secret of its own")
    if inputs.events and not any(name.startswith(SCHEME) for name in inputs.events):
        reject_given(["--received-until"], f"without EVENTS in {SCHEME}")
