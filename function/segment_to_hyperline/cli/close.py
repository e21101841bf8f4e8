"""The command `close`."""

import sys
from math import floor
from pathlib import Path

import click

from segment_to_hyperline import __version__
from segment_to_hyperline.archive.sources import Source
from segment_to_hyperline.cli.api_key import Access
from segment_to_hyperline.cli.inputs import (
    INCOMPLETE_READ,
    Inputs,
    find_now,
    takes_inputs,
)
from segment_to_hyperline.cli.progress import Progress, show_progress
from segment_to_hyperline.cli.statuses import (
    CHECK_FAILED,
    INCOMPLETE,
    describe_too_many,
    describe_unreadable,
    fail,
    format_epilog,
)
from segment_to_hyperline.closing.close import Request, close_month
from segment_to_hyperline.closing.files import REPORT, write_report
from segment_to_hyperline.closing.folder import (
    EVENTS,
    RESPONSES,
    Manifest,
    create_folder,
    require_new,
    write_lines,
)
from segment_to_hyperline.closing.months import MAX_GRACE_DAYS, create_month
from segment_to_hyperline.closing.reading import Zone
from segment_to_hyperline.closing.report import create_report
from segment_to_hyperline.closing.statements import MonthReport
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.pace import CORE_LIMIT, CORE_SHARE, Pace
from segment_to_hyperline.reconciliation.api.recording import (
    Recording,
    RecordingClient,
)
from segment_to_hyperline.reconciliation.compare import TooManyDifferences
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.workers import load
from segment_to_hyperline.reconciliation.target import Target
from segment_to_hyperline.text import make_printable

# The month begins earlier in the east of UTC.
_MAX_OFFSET = 14 * 60 * 60 * 1_000
# How many reasons are printed; the report has all.
_MAX_REASONS = 10


@click.command(
    epilog=format_epilog(
        "close 2026-01 archive/ --output january",
        {
            CHECK_FAILED: "there are differences, or parts of the input can't be read",
            INCOMPLETE: f"something was not checked, or {INCOMPLETE_READ}",
        },
    ),
)
@click.argument("month", metavar="MONTH")
@takes_inputs(has_range=False)
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="New folder for the report.",
)
@click.option(
    "--time-zone",
    metavar="NAME",
    help="Time zone of the month, instead of those of the invoicing entities.",
)
@click.option(
    "--grace-days",
    type=click.IntRange(min=0, max=MAX_GRACE_DAYS),
    metavar="DAYS",
    help="Grace period of the invoices, instead of those of the invoicing entities.",
)
def close(
    inputs: Inputs,
    *,
    month: str,
    output: Path,
    time_zone: str | None,
    grace_days: int | None,
) -> None:
    """Make the report of a month: what was sent, stored, counted and invoiced.

    MONTH is a month such as 2026-01, in the time zone of each customer's invoicing
    entity. EVENTS are files, folders and s3://BUCKET/PREFIX with the Segment events.

    The folder gets a page for a browser, CSV files for a spreadsheet program, and what
    the report was made of, so that `verify` can make it again without a network.
    """
    zone = Zone(time_zone, grace_days)
    start = create_month(month, time_zone or "UTC", 0).start - _MAX_OFFSET
    require_new(output)
    sources = inputs._replace(start=start).find_sources()
    access = inputs.find_access()
    request = Request(month, zone, inputs.event_types, inputs.most)
    try:
        with create_folder(output) as folder, Store() as store:
            report = make_report(inputs, request, sources, access, store, folder)
    except TooManyDifferences:
        fail(describe_too_many(inputs.most, "--mapping, MONTH"))
    click.echo(f"{report.summary}\n{report.closing}")
    not_checked = report.list_not_checked()
    for reason in not_checked[:_MAX_REASONS]:
        click.echo(f"Not checked: {make_printable(reason)}")
    if len(not_checked) > _MAX_REASONS:
        click.echo(f"Not checked: {len(not_checked) - _MAX_REASONS:,} more")
    click.echo(f"Report: {output / REPORT}")
    if report.has_differences:
        fail("there are differences")
    if not_checked:
        click.echo("Incomplete: not everything could be checked.", err=True)
        sys.exit(INCOMPLETE)


def make_report(  # noqa: PLR0913, PLR0917 - everything that the command has found
    inputs: Inputs,
    request: Request,
    sources: list[Source],
    access: Access,
    store: Store,
    folder: Path,
) -> MonthReport:
    """Write the files of the report into *folder*, and return the report."""
    job, versions = inputs.create_job(sources)
    with Recording(folder / RESPONSES) as recording, show_progress() as progress:
        target = open_recorded(recording, access, inputs.rate, progress)
        # A wrong key is reported before the events are read.
        target.events.check()
        loaded = load(job, store, progress.report)
        if unreadable := store.unreadable():
            click.echo("\n".join(unreadable), err=True)
            fail(describe_unreadable(len(unreadable)))
        write_lines(folder / EVENTS, store.dump())
        read_at = find_now()
        request = request._replace(now=floor(read_at) * 1_000)
        closed = close_month(
            store, target.events, target.core, request, progress.report
        )
    header = target.describe(closed.found, versions, loaded, read_at).header
    report = create_report(closed, header)
    made_of = header, access.core_url, loaded.digests
    manifest = Manifest(__version__, request, *made_of)
    write_report(folder, report, closed.found.customers, manifest)
    return report


def open_recorded(
    recording: Recording, access: Access, rate: float | None, progress: Progress
) -> Target:
    """Return Hyperline's two APIs, whose responses are recorded.

    Raises `AccessError`.
    """
    host, wait = access.endpoint, progress.report_wait
    events = Events(RecordingClient(recording, *host, Pace(rate), wait))
    if access.core_url is None:
        return Target(host, events, None)
    pace = Pace(limit=CORE_LIMIT, share=CORE_SHARE)
    core = RecordingClient(recording, access.core_url, host.api_key, pace, wait)
    return Target(host, events, core)
