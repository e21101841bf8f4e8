"""The command `backfill`."""

import os
import shlex
import time
from collections import Counter
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
from botocore.exceptions import BotoCoreError

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import Source, require_rereadable
from segment_to_hyperline.cli.api_key import Access
from segment_to_hyperline.cli.given import find_given, reject_given
from segment_to_hyperline.cli.inputs import (
    DEFAULT_STACK,
    INCOMPLETE_READ,
    Inputs,
    takes_inputs,
)
from segment_to_hyperline.cli.progress import show_progress
from segment_to_hyperline.cli.statuses import (
    CHECK_FAILED,
    INCOMPLETE,
    describe_too_many,
    describe_unreadable,
    fail,
    format_epilog,
)
from segment_to_hyperline.installed.queue_addresses import find_replay
from segment_to_hyperline.installed.stack import create_queue_url
from segment_to_hyperline.reconciliation.backfill import Backfill, Result, Send, State
from segment_to_hyperline.reconciliation.plan import (
    Plan,
    read_plan,
    write_plan,
)
from segment_to_hyperline.reconciliation.plan_creation import create_plan
from segment_to_hyperline.reconciliation.planning import Wanted
from segment_to_hyperline.text import (
    LINE_LENGTH,
    align,
    cut,
    format_count,
    make_printable,
)

_MAX_LINES = 20
# What matters when a plan is carried out.
_EXECUTION = {
    *("--plan", "--secret-id", "--stack", "--region", "--rate", "--queue-url", "--yes"),
}


@click.command(
    epilog=format_epilog(
        "backfill archive/ --from 2026-01-01 --to 2026-02-01 --plan january.ndjson",
        {
            CHECK_FAILED: (
                "something could not be done, or parts of the input can't be read"
            ),
            INCOMPLETE: INCOMPLETE_READ,
        },
    ),
)
@takes_inputs(are_required=False)
@click.option(
    "--plan",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the plan to this file; without EVENTS, carry it out.",
)
@click.option(
    "--queue-url", metavar="URL|ARN", help="Queue Replay; --stack finds it too."
)
@click.option("--direct", is_flag=True, help="Post to Hyperline instead of the queue.")
@click.option("--different", is_flag=True, help="Also overwrite events that differ.")
@click.option(
    "--delete-unexpected",
    is_flag=True,
    help="Also delete what EVENTS don't bill, if its id is from one of them.",
)
@click.option(
    "--delete-ids",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also delete unexpected events with these ids, one in each line.",
)
@click.option("--old", is_flag=True, help="Also change events older than 3 days.")
@click.option("--yes", is_flag=True, help="Do it; otherwise only the plan is shown.")
def backfill(  # noqa: PLR0913 - the options of the command
    inputs: Inputs,
    *,
    file: Path | None,
    queue_url: str | None,
    direct: bool,
    different: bool,
    delete_unexpected: bool,
    delete_ids: Path | None,
    old: bool,
    yes: bool,
) -> None:
    """Bill those of the Segment events in EVENTS that Hyperline lacks.

    First it compares, as `reconcile --deep` does, and shows the plan, which has
    everything that is changed. With --yes, missing events are put into the queue
    Replay, from which the deployed application delivers them; with --direct, they are
    posted to Hyperline. If a part of the input can't be read, nothing is changed.

    A plan can be carried out again, for example after an interruption: each event is
    looked up before, and left alone if it is right, or was changed since.
    """
    if not inputs.events:
        plan, path = read_existing(file), file
        reject_given(
            {*find_given()} - _EXECUTION,
            "on a plan that exists: leave it out, or make another plan with EVENTS",
        )
        access = inputs.find_access()
        check_plan(plan, access)
        send = create_send(access, queue_url) if plan.texts and yes else None
    else:
        if yes and direct == bool(queue_url or inputs.stack):
            raise click.UsageError(
                "--yes needs either --stack, --queue-url or --direct"
            )
        if direct:
            reject_given(["--queue-url"], "with --direct")
        if not (yes or file):
            reject_given(["--queue-url"], "without --yes or --plan")
        if file and file.exists():
            raise click.UsageError(
                f"{file} exists: to carry it out, leave out EVENTS; to make another"
                " plan, choose another file"
            )
        sources = require_rereadable(inputs.find_sources())
        ids = read_ids(delete_ids) if delete_ids else frozenset()
        access = inputs.find_access()
        # What is wrong with the queue is reported before anything is compared.
        send = create_send(access, queue_url) if yes and not direct else None
        wanted = Wanted(different, delete_unexpected, ids, old)
        plan = make_plan(inputs, access, sources, wanted, is_queued=not direct)
        path = file or (create_name() if yes and plan.items else None)
        if path:
            write_plan(plan, path)
    click.echo("\n".join(plan.lines()))
    if path and yes:
        execute(inputs, access, plan, send, format_command(inputs, path, queue_url))
        if file is None:
            path.unlink()
    elif file:
        click.echo(f"\nto carry it out: {format_command(inputs, file, queue_url)}")


def read_existing(file: Path | None) -> Plan:
    """Return the plan in a file; raises `InputError`."""
    if file is None:
        raise click.UsageError("Missing argument 'EVENTS...', or --plan with a plan")
    if not file.exists():
        raise click.UsageError(f"{file} doesn't exist: make it with EVENTS")
    return read_plan(file)


def create_name() -> Path:
    """Return the name of a plan that nobody chose a file for."""
    return Path(f"backfill-{datetime.now(UTC):%Y%m%dT%H%M%S}.ndjson")


def check_plan(plan: Plan, access: Access) -> None:
    """Raise `InputError` if *plan* was made for another environment or host."""
    made = plan.header.host, plan.header.environment
    own = access.endpoint.url, access.endpoint.environment
    if made != own:
        raise InputError(
            f"the plan was made for {made[0]} ({made[1]}), and the API key and the host"
            f" are those of {own[0]} ({own[1]}): use the same"
        )


def read_ids(file: Path) -> frozenset[str]:
    """Return the ids in a file, one in each line; raises `InputError`."""
    try:
        lines = file.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{file}' can't be read as a text in UTF-8") from error
    return frozenset(line.removesuffix("\r") for line in lines if line.strip())


def make_plan(
    inputs: Inputs,
    access: Access,
    sources: list[Source],
    wanted: Wanted,
    *,
    is_queued: bool,
) -> Plan:
    """Compare, and return the plan; exit if the input isn't complete."""
    with inputs.compare(sources, access, deep=True) as compared:
        found, store = compared.found, compared.found.store
        if not found.is_complete:
            fail(describe_too_many(inputs.most))
        if unreadable := store.unreadable():
            click.echo("\n".join(unreadable), err=True)
            parts = "this part" if len(unreadable) == 1 else "these parts"
            problem = describe_unreadable(len(unreadable))
            # It can be the last version of an event, which is the one to bill.
            fail(f"{problem}; nothing was planned: repair or remove {parts}")
        now = round(time.time() * 1_000)
        return create_plan(compared, sources, wanted, now, is_queued=is_queued)


def create_send(access: Access, queue: str | None) -> Send:
    """Return a function that puts events into the queue Replay.

    *queue* is its URL or ARN; by default it is that of the stack.
    """
    stack = access.stack
    if stack is None and queue is None:
        raise click.UsageError("--yes needs --stack or --queue-url")
    address = stack.find_replay(queue) if stack else find_replay(queue or "")
    if address.region:  # of the client of SQS that is created now
        os.environ["AWS_DEFAULT_REGION"] = address.region
    try:
        module = import_module("segment_to_hyperline.replay_queue")
    except BotoCoreError as error:
        raise InputError(f"the queue can't be used: {error}") from error
    url = queue if queue and not queue.startswith("arn:") else create_queue_url(address)
    send: Send = module.send_to_replay(url, access.endpoint.environment)
    return send


def execute(
    inputs: Inputs, access: Access, plan: Plan, send: Send | None, command: str
) -> None:
    """Carry out *plan*, and print what became of it; exit if something failed."""
    again = f"to continue: {command}"
    failed: list[Result] = []
    counts = Counter[tuple[str, str]]()
    try:
        with show_progress() as progress:
            events = inputs.open_target(access, progress).events
            now = round(time.time() * 1_000)
            results = Backfill(plan, events, send, now).execute()
            for number, result in enumerate(results, 1):
                progress.report("carrying out the plan", number, len(plan.items))
                counts[describe_result(result), result.item.action] += 1
                if result.is_failed:
                    failed.append(result)
    except BaseException:
        click.echo(f"The plan is not finished; {again}", err=True)
        raise
    rows = [(what, action, f"{n:,}") for (what, action), n in sorted(counts.items())]
    click.echo("\n" + "\n".join(align(rows, LINE_LENGTH)))
    for result in failed[:_MAX_LINES]:
        names = map(make_printable, (result.item.event_type, result.item.record_id))
        line = f"{describe_result(result)}: {result.item.action}  {'  '.join(names)}"
        click.echo(cut(line, LINE_LENGTH))
        if result.problem:
            click.echo(f"    {result.problem}")
    if failed[_MAX_LINES:]:
        click.echo(f"and {len(failed) - _MAX_LINES:,} more")
    if failed:
        items = format_count(len(failed), "item")
        fail(f"{items} of the plan could not be done, see above; {again}")


def format_command(inputs: Inputs, plan: Path, queue_url: str | None) -> str:
    """Return the command that carries out a plan."""
    options = {
        "--stack": inputs.stack,
        "--queue-url": queue_url,
        "--region": inputs.region,
        "--secret-id": inputs.secret_id,
    }
    if inputs.stack or inputs.secret_id == DEFAULT_STACK:
        del options["--secret-id"]
    words = ["segment-to-hyperline", "backfill", "--plan", str(plan), "--yes"]
    for option, value in options.items():
        words += [option, value] if value else []
    return shlex.join(words)


def describe_result(result: Result) -> str:
    """Return in a word or two what became of an item."""
    if result.problem:
        return "FAILED"
    return "done" if result.state == State.TO_DO else result.state
