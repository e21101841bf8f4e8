"""The command `quarantine redrive`."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import click

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli.given import reject_given
from segment_to_hyperline.cli.inputs import find_now
from segment_to_hyperline.cli.moving import (
    carry_out,
    check_mapping,
    end_moves,
    record,
)
from segment_to_hyperline.cli.progress import show_progress
from segment_to_hyperline.cli.selections import (
    Options,
    look,
    open_hyperline,
    open_site,
    print_notes,
    takes_selection,
    takes_stack,
)
from segment_to_hyperline.cli.statuses import (
    CHECK_FAILED,
    INCOMPLETE,
    fail,
    format_epilog,
)
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.quarantine.audit import Action
from segment_to_hyperline.quarantine.edits import Edit
from segment_to_hyperline.quarantine.files import read_files
from segment_to_hyperline.quarantine.moves import plan_moves
from segment_to_hyperline.quarantine.outcomes import Follower, Outcomes, Sent
from segment_to_hyperline.quarantine.queue import HIDDEN_SECONDS
from segment_to_hyperline.quarantine.rows import find_replacing
from segment_to_hyperline.quarantine.selection import Selection
from segment_to_hyperline.quarantine.site import Contents, Site
from segment_to_hyperline.quarantine.terms import Terms
from segment_to_hyperline.quarantine.waiting import Waiting
from segment_to_hyperline.reconciliation.api.customers import (
    Customers,
    find_customers,
)
from segment_to_hyperline.reconciliation.api.failures import Forbidden
from segment_to_hyperline.reconciliation.target import Target
from segment_to_hyperline.text import align, format_count, list_counts, make_printable

# More differences and problems are only counted.
_MOST = 20
_REPLACES = (
    "Hyperline has another event with its new event_type and record.id, which it would"
    " replace: choose another messageId"
)
FAILURES = {
    CHECK_FAILED: "something could not be done, or is back in Quarantine",
    INCOMPLETE: "what became of some events isn't known yet",
}


@click.command(epilog=format_epilog("quarantine redrive --customer acme", FAILURES))
@takes_stack
@takes_selection
@click.option(
    "--from",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Send the files of `export` or `purge` in this folder, as they are now.",
)
@click.option(
    "--new-identity",
    is_flag=True,
    help="Also send an event whose messageId or event type was edited.",
)
@click.option(
    "--environment",
    default="",
    metavar="NAME",
    help="Also bill what was stored for the other environment, in this one.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would be sent.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True, max=1000),
    default=200,
    show_default=True,
    metavar="NUMBER",
    help="Events per second.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for what becomes of them.",
)
def redrive(  # noqa: PLR0913 - the options of the command
    options: Options,
    selection: Selection,
    *,
    folder: Path | None,
    new_identity: bool,
    environment: str,
    dry_run: bool,
    yes: bool,
    rate: float,
    timeout: float,
) -> None:
    """Send events to Replay, and report what became of them.

    Other events of the same messages stay in Quarantine. If the command is killed, run
    the same one again: nothing is lost, and nothing is billed twice.
    """
    if dry_run:
        reject_given(["--yes", "--rate", "--timeout"], "with --dry-run")
    if folder is None:
        reject_given(["--new-identity"], "without --from")
    site, rules, now = open_site(options), options.load_rules(), find_now()
    access, target = open_hyperline(options)
    own = access.endpoint.environment
    if environment not in {"", own}:
        raise InputError(f"--environment must be that of the stack's API key: {own}")
    terms = Terms(own, bool(environment), folder is not None, new_identity)
    with look(site, rules) as contents:
        edits, problems = find_edits(folder, contents, rules)
        selected = {e.place for e in selection.select([e.waiting for e in edits], now)}
        chosen = [edit for edit in edits if edit.waiting.place in selected]
        sent, refused = terms.split(chosen, contents.events)
        problems += refused
        if new_identity:
            sent, refused = protect_stored(sent, target)
            problems += refused
        print_plan(sent, problems)
        print_notes(contents.list_notes())
        if dry_run or not sent:
            end(Outcomes(), problems, {})
            return
        check_mapping(site, options.mapping)
        if len(sent) > rate * HIDDEN_SECONDS:
            raise InputError(
                f"this takes more than {HIDDEN_SECONDS // 60} minutes, for which SQS"
                " hides what was read: select fewer events, or use a higher --rate"
            )
        is_all = selection.is_empty() and folder is None
        if (is_all or any(edit.is_changed for edit in sent)) and not yes:
            question = f"Send {format_count(len(sent), 'event')}?"
            click.confirm(question, abort=True, err=True)
        before = [edit.waiting for edit in sent]
        action = Action("redrive", selection, before, [edit.text for edit in sent])
        record(site, action, now)
        everything = {e.place: e for e in (*contents.events, *before)}
        texts = {edit.waiting.place: edit.text for edit in sent}
        moves = plan_moves(everything.values(), texts, environment)
        failed = carry_out(site, moves, rate)
    moved = [e for e in sent if e.waiting.message.id not in failed]
    seen = {message.id for message in contents.messages}
    outcomes = wait_for(site, target, moved, Look(rules, seen), timeout)
    print_outcomes(outcomes)
    end(outcomes, problems, failed)


def find_edits(
    folder: Path | None, contents: Contents, rules: Rules
) -> tuple[list[Edit], list[str]]:
    """Return the events in *folder*, or in Quarantine, and why some can't be used."""
    if folder is None:
        return [Edit.unchanged(event) for event in contents.events], []
    return read_files(folder, contents.by_place(), rules)


def protect_stored(
    edits: Sequence[Edit], target: Target
) -> tuple[list[Edit], list[str]]:
    """Return those of *edits* that replace no event of Hyperline, and why others do."""
    customers = find_own_customers(edits, target)
    replacing = find_replacing(edits, target.events, customers)
    refused = [e for e in edits if e.waiting.place in replacing]
    sent = [e for e in edits if e.waiting.place not in replacing]
    return sent, [f"{e.waiting.message_id}: {_REPLACES}" for e in refused]


def find_own_customers(edits: Iterable[Edit], target: Target) -> Customers:
    """Return the customers of *edits*, as far as they can be read."""
    if target.core:
        billable = (each for edit in edits for each in edit.verdict.billable)
        with suppress(Forbidden):
            return find_customers(
                target.core, {each.fields()["customer_id"] for each in billable}
            )
    return Customers({})


def print_plan(sent: Sequence[Edit], problems: Sequence[str]) -> None:
    """Print what was edited, what isn't sent, and what would become of the rest."""
    changed = [edit for edit in sent if edit.is_changed]
    for edit in changed[:_MOST]:
        lines = map(make_printable, list(edit.diff())[2:])
        click.echo("\n".join((make_printable(edit.waiting.message_id), *lines)))
    if len(changed) > _MOST:
        click.echo(f"and {len(changed) - _MOST:,} more edited events")
    print_notes(f"not sent: {make_printable(each)}" for each in problems[:_MOST])
    if len(problems) > _MOST:
        print_notes([f"and {len(problems) - _MOST:,} more that are not sent"])
    click.echo(f"to send: {format_count(len(sent), 'event')}")
    if sent:
        click.echo("\n".join(list_counts(Counter(edit.outlook for edit in sent))))


class Look(NamedTuple):
    """How to see what is back in Quarantine."""

    rules: Rules
    seen: set[str]
    """The messages that were there before."""


def wait_for(
    site: Site, target: Target, moved: Sequence[Edit], look: Look, seconds: float
) -> Outcomes:
    """Return what became of the events that were *moved*."""
    sent = [
        Sent(edit.waiting.place, edit.text, edit.verdict.billable) for edit in moved
    ]
    customers = find_own_customers(moved, target)
    follower = Follower(sent, look.seen, customers)

    def find_waiting() -> list[Waiting]:
        with site.look(look.rules) as contents:
            return contents.events

    with show_progress() as progress:
        progress.report("waiting for what becomes of them", 0, 0)
        return follower.wait(target.events, site.replay, find_waiting, seconds)


def print_outcomes(outcomes: Outcomes) -> None:
    """Print what became of the events."""
    rows = {
        "billed": outcomes.billed,
        "back in Quarantine": sum(outcomes.returned.values()),
        "not known yet, probably in Replay": outcomes.unknown,
    }
    shown = [(f"{n:,}", name) for name, n in rows.items() if n or name == "billed"]
    click.echo("\n".join(align(shown)))
    returned = Counter(outcomes.returned)
    for line in list_counts(returned) if returned else ():
        click.echo(f"    {line}")


def end(outcomes: Outcomes, problems: Sequence[str], failed: Mapping[str, str]) -> None:
    """Exit if something has to be done."""
    end_moves(failed)
    if outcomes.returned or problems:
        fail("some events could not be billed, see above")
    if outcomes.unknown:
        click.echo(
            "Incomplete: see `quarantine list` and `replay list` in a minute.", err=True
        )
        sys.exit(INCOMPLETE)
