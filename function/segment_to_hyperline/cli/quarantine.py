"""The commands `quarantine`."""

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli.inputs import find_now
from segment_to_hyperline.cli.moving import (
    FASTEST,
    carry_out,
    end_moves,
    record,
)
from segment_to_hyperline.cli.redrive import FAILURES, redrive
from segment_to_hyperline.cli.selections import (
    Options,
    add_options,
    look,
    open_hyperline,
    open_site,
    output_options,
    print_notes,
    print_rows,
    takes_selection,
    takes_stack,
)
from segment_to_hyperline.cli.statuses import CHECK_FAILED, format_epilog
from segment_to_hyperline.quarantine.audit import Action
from segment_to_hyperline.quarantine.check import Check
from segment_to_hyperline.quarantine.files import write_files
from segment_to_hyperline.quarantine.groups import Group, group_events
from segment_to_hyperline.quarantine.history import (
    Attempt,
    find_place,
    read_attempts,
)
from segment_to_hyperline.quarantine.moves import plan_moves
from segment_to_hyperline.quarantine.selection import Selection
from segment_to_hyperline.quarantine.trace import (
    Billed,
    find_billed,
    find_types,
    is_billed,
    list_keys,
)
from segment_to_hyperline.quarantine.waiting import Waiting
from segment_to_hyperline.text import LINE_LENGTH, align, format_count, make_printable

# More groups are only counted.
_MOST = 20
_DAY = 24 * 60 * 60
# By whether the event is billed.
_ANSWERS = {
    True: "billed",
    False: "not billed, by the event types known here",
    None: "not known, because Hyperline finds no such id; `reconcile` compares it",
}


@click.group(epilog=format_epilog("quarantine list", FAILURES))
def quarantine() -> None:
    """Find out why events wait in Quarantine, fix it, and bill them.

    SQS can't show a message without hiding it for a while. Each command makes what it
    has read visible again; if it is killed, that takes 15 minutes.
    """


@quarantine.command(
    "list",
    short_help="Group what waits by its cause.",
    epilog=format_epilog("quarantine list --check"),
)
@takes_stack
@takes_selection
@click.option(
    "--check",
    is_flag=True,
    help="Also ask Hyperline: is there the customer, and when is the invoice closed?",
)
@add_options(*output_options)
def list_groups(
    options: Options, selection: Selection, *, check: bool, output: str | None
) -> None:
    """List what waits, by reason, rule, event and customer.

    The last line of each group is what would become of it in Replay, by the mapping
    and, with --check, by Hyperline.
    """
    now = find_now()
    with look(open_site(options), options.load_rules()) as contents:
        chosen = selection.select(contents.events, now)
    groups = group_events(chosen)
    rows = [group.describe(now, contents.state.retention) for group in groups]
    if check and groups:
        asked = ask_hyperline(options, groups)
        rows = [r | asked.describe(g, now) for r, g in zip(rows, groups, strict=True)]
    if output:
        print_rows(rows, output)
    else:
        click.echo("\n".join(format_groups(rows)))
    print_notes(contents.list_notes())


def ask_hyperline(options: Options, groups: Sequence[Group]) -> Check:
    """Return what Hyperline knows about *groups*."""
    _, target = open_hyperline(options)
    if target.core is None:
        raise InputError(
            "--check needs the host of the core API: set HYPERLINE_CORE_URL"
        )
    return Check(target.core, groups)


def format_groups(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines for people."""
    if not rows:
        yield "nothing waits in Quarantine"
        return
    head = ("events", "code", "rule", "event", "customer")
    groups = [_format_group(row) for row in rows[:_MOST]]
    table = align([head, *groups], LINE_LENGTH)
    yield table[0]
    for line, row in zip(table[1:], rows, strict=False):
        yield line
        for text in _format_outlook(row):
            yield from _indent(text)
    if len(rows) > _MOST:
        yield f"and {len(rows) - _MOST:,} more groups: see --json"
    yield f"{format_count(sum(row['events'] for row in rows), 'event')} in all"


def _format_group(row: Mapping[str, Any]) -> tuple[str, ...]:
    names = (row[name] for name in ("code", "rule", "event", "customer"))
    return (f"{row['events']:>6,}", *map(make_printable, names))


def _indent(text: str) -> list[str]:
    """Return *text* below a row, in lines of at most `LINE_LENGTH` characters."""
    return textwrap.wrap(
        text,
        LINE_LENGTH,
        initial_indent=" " * 8,
        subsequent_indent=" " * 12,
        break_on_hyphens=False,
    )


def _format_outlook(row: Mapping[str, Any]) -> Iterator[str]:
    since = row["first"][:16].replace("T", " ")
    yield f"since {since}, deleted in {row['deleted_in_days']} days"
    yield f"now: {make_printable(row['now'])}"
    oldest = (row["oldest"] or "unknown")[:16].replace("T", " ")
    if "sums" in row:
        days = row["closed_in_days"]
        left = "unknown" if days is None else f"in {days} days" if days > 0 else "over"
        sums = (f"{name} {value:,}" for name, value in row["sums"].items())
        yield f"oldest event {oldest}, its invoice is closed: {left}"
        yield f"sum: {', '.join(sums) or 'none'}"


@quarantine.command(
    short_help="Print events, and why they wait.",
    epilog=format_epilog("quarantine show --code unmappable"),
)
@takes_stack
@takes_selection
@click.option("--values", is_flag=True, help="Also print the events and their values.")
@add_options(*output_options)
def show(
    options: Options, selection: Selection, *, values: bool, output: str | None
) -> None:
    """Print events, why they wait, and what the mapping makes of them now.

    Personal data of the events is only printed with --values.
    """
    with look(open_site(options), options.load_rules()) as contents:
        chosen = selection.select(contents.events, find_now())
    rows = [describe_event(event, values=values) for event in chosen]
    if output:
        print_rows(rows, output)
    else:
        click.echo("\n".join(line for row in rows for line in format_event(row)))
    print_notes(contents.list_notes())


def describe_event(event: Waiting, *, values: bool) -> dict[str, Any]:
    """Return *event* for programs, with its *values* or without."""
    message = event.message
    described: dict[str, Any] = {
        "messageId": event.message_id,
        "event": event.event,
        "customer": event.customer,
        "rule": event.rule,
        "code": event.code,
        "reason": event.reason,
        "stored_at": message.event_attributes.stored_at,
        "environment": message.attributes.environment,
        "message": message.id,
        "now": event.outlook,
    }
    if values:
        described["value"] = event.verdict.value
        described["billable"] = [b.fields() for b in event.verdict.billable]
        described["original"] = event.element.text
    return described


def format_event(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of an event for people."""
    names = (row[name] for name in ("messageId", "event", "customer"))
    yield f"{'  '.join(map(make_printable, names))}  since {row['stored_at']}"
    yield f"    {row['code']}: {make_printable(row['reason'])}"
    value = f": {row['value']}" if row.get("value") else ""
    yield f"    now: {make_printable(row['now'] + value)}"
    for billable in row.get("billable", ()):
        yield f"    {json.dumps(billable)}"
    if "original" in row:
        yield f"    {make_printable(row['original'])}"


@quarantine.command(
    short_help="Answer whether an event was billed.",
    epilog=format_epilog("quarantine trace MESSAGE_ID"),
)
@click.argument("message_ids", nargs=-1, required=True, metavar="MESSAGE_ID...")
@takes_stack
@click.option(
    "--event-type",
    "event_types",
    multiple=True,
    help="Also look for this event type in Hyperline.",
)
@click.option(
    "--days",
    type=click.IntRange(min=1),
    default=14,
    show_default=True,
    help="How far back the log is read.",
)
@add_options(*output_options)
def trace(
    options: Options,
    *,
    message_ids: tuple[str, ...],
    event_types: tuple[str, ...],
    days: int,
    output: str | None,
) -> None:
    """Answer whether events were billed: their log, where they wait, and their row."""
    site, rules = open_site(options), options.load_rules()
    _, target = open_hyperline(options)
    with look(site, rules) as contents:
        waiting = [e for e in contents.events if e.message_id in message_ids]
    types = find_types(rules, target.core, waiting) | set(event_types)
    start = find_now() - days * _DAY
    rows = []
    for message_id in message_ids:
        own = [event for event in waiting if event.message_id == message_id]
        attempts = read_attempts(site.aws, site.list_logs(), message_id, start)
        keys = list_keys(own)
        billed = find_billed(target.events, target.core, message_id, types, keys)
        rows.append(describe_trace(message_id, attempts, own, billed))
    if output:
        print_rows(rows, output)
    else:
        click.echo("\n".join(line for row in rows for line in format_trace(row)))


def describe_trace(
    message_id: str,
    attempts: Sequence[Attempt],
    waiting: Sequence[Waiting],
    billed: Sequence[Billed],
) -> dict[str, Any]:
    """Return what is known about an event, for programs."""
    return {
        "messageId": message_id,
        "billed": is_billed(message_id, waiting, billed),
        "place": find_place(attempts, is_quarantined=bool(waiting)),
        "log": [attempt._asdict() for attempt in attempts],
        "quarantine": [describe_event(event, values=False) for event in waiting],
        "hyperline": [
            {
                "id": each.row.id,
                "event_type": each.row.event_type,
                "record_id": each.row.record_id,
                "customer": each.row.customer,
                "invoice": each.invoice,
            }
            for each in billed
        ],
    }


def format_trace(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines about an event for people."""
    answer = _ANSWERS[row["billed"]]
    if row["hyperline"] and not row["billed"]:
        answer = "billed in part"
    yield f"{make_printable(row['messageId'])}: {answer}"
    yield f"  place      {row['place']}"
    for attempt in row["log"]:
        reason = ": ".join(filter(None, (attempt["code"], attempt["reason"])))
        what = f"{attempt['outcome']} by the {attempt['service']}"
        yield f"  log        {attempt['at']}  {what}  {reason}".rstrip()
    for event in row["quarantine"]:
        yield f"  Quarantine {event['code']}: {make_printable(event['reason'])}"
        yield f"             now: {event['now']}"
    for found in row["hyperline"]:
        names = (found["event_type"], found["record_id"], found["id"])
        yield f"  Hyperline  {'  '.join(map(make_printable, names))}"
        yield f"             invoice: {found['invoice']}"


@quarantine.command(
    short_help="Write events to files, to edit them.",
    epilog=format_epilog("quarantine export waiting/"),
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@takes_stack
@takes_selection
def export(options: Options, selection: Selection, *, folder: Path) -> None:
    """Write events to FOLDER, to edit them and redrive them from there.

    There is a file for each message. Edit only the values of `event`; the rest says
    what the event was. The files have personal data, and only you can read them.
    """
    site, now = open_site(options), find_now()
    with look(site, options.load_rules()) as contents:
        chosen = selection.select(contents.events, now)
        if not chosen:
            click.echo("nothing is selected")
            return
        record(site, Action("export", selection, chosen, ()), now)
        number = write_files(folder, chosen)
    click.echo(
        f"{format_count(len(chosen), 'event')} in {format_count(number, 'file')}"
    )
    print_notes(contents.list_notes())


@quarantine.command(
    short_help="Delete events that are never to be billed.",
    epilog=format_epilog(
        "quarantine purge --message-id m-1 --reason test",
        {CHECK_FAILED: "a message could not be deleted"},
    ),
)
@takes_stack
@takes_selection
@click.option("--reason", required=True, help="Why, for the audit log.")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder for the files; by default a new one.",
)
def purge(
    options: Options, selection: Selection, *, reason: str, folder: Path | None
) -> None:
    """Delete the selected events from Quarantine; they are never billed.

    First they are written to files, which `redrive --from` can send after all.
    """
    if selection.is_empty():
        raise InputError("purge needs a selection: use at least one filter")
    site, now = open_site(options), find_now()
    with look(site, options.load_rules()) as contents:
        chosen = selection.select(contents.events, now)
        if not chosen:
            click.echo("nothing is selected")
            return
        target = folder or create_name(now)
        write_files(target, chosen, is_purged=True)
        record(site, Action("purge", selection, chosen, (), reason), now)
        moves = plan_moves(contents.events, {event.place: None for event in chosen})
        failed = carry_out(site, moves, FASTEST)
    purged = [event for event in chosen if event.message.id not in failed]
    click.echo(f"purged: {format_count(len(purged), 'event')}, kept in {target}")
    end_moves(failed)


def create_name(now: float) -> Path:
    """Return the name of a folder that nobody chose."""
    return Path(f"purged-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%S}")


quarantine.add_command(redrive)
