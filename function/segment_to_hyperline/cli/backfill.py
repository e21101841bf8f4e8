"""The command `backfill`."""

import os
import time
from importlib import import_module

import click
from botocore.exceptions import BotoCoreError

from segment_to_hyperline.archive.files import InputError, require_files
from segment_to_hyperline.cli.api_key import Access
from segment_to_hyperline.cli.inputs import INCOMPLETE_READ, Inputs, takes_inputs
from segment_to_hyperline.cli.progress import read_with_progress
from segment_to_hyperline.cli.queue_addresses import find_replay
from segment_to_hyperline.cli.stack import create_queue_url
from segment_to_hyperline.cli.statuses import (
    CHECK_FAILED,
    INCOMPLETE,
    describe_unreadable,
    fail,
    format_epilog,
)
from segment_to_hyperline.reconciliation.backfill import (
    BackfillPlan,
    Send,
    create_plan,
    execute,
    send_directly,
)
from segment_to_hyperline.text import format_count


@click.command(
    epilog=format_epilog(
        "backfill archive/ --from 2026-01-01 --to 2026-02-01",
        {
            CHECK_FAILED: (
                "events could not be sent, or parts of the input can't be read"
            ),
            INCOMPLETE: INCOMPLETE_READ,
        },
    ),
)
@takes_inputs
@click.option(
    "--queue-url", metavar="URL|ARN", help="Queue Replay; --stack finds it too."
)
@click.option("--direct", is_flag=True, help="Post to Hyperline, with a sandbox key.")
@click.option("--different", is_flag=True, help="Also overwrite events that differ.")
@click.option("--old", is_flag=True, help="Also bill events older than 3 days.")
@click.option("--yes", is_flag=True, help="Do it; otherwise only the plan is shown.")
def backfill(  # noqa: PLR0913 - the options of the command
    inputs: Inputs,
    *,
    queue_url: str | None,
    direct: bool,
    different: bool,
    old: bool,
    yes: bool,
) -> None:
    """Bill those of the Segment events in the files EVENTS that Hyperline lacks.

    First it compares, as `reconcile --deep` does, and shows what it would bill. With
    --yes, the events are put into the queue Replay, from which the deployed application
    delivers them. Events that Hyperline already has are not sent again, except line
    items: if one is missing, the whole order is sent again. If a part of the input
    can't be read, nothing is sent. The command can be repeated.
    """
    if yes and direct == bool(queue_url or inputs.stack):
        raise click.UsageError("--yes needs either --stack, --queue-url or --direct")
    access = inputs.find_access()
    send = None
    if yes:  # what is wrong with it is reported before anything is compared
        require_files(inputs.events)
        send = create_send(access, queue_url, direct=direct)
    failed = 0
    with inputs.reconcile(access.endpoint, deep=True) as reconciliation:
        store = reconciliation.store
        now = round(time.time() * 1_000)
        plan = create_plan(store, now, different=different, old=old)
        click.echo("\n".join(plan.lines()))
        unreadable = store.unreadable()
        click.echo("".join(f"{reason}\n" for reason in unreadable), err=True, nl=False)
        # What can't be read can be the last version of an event, which is the one to
        # bill, or an event that nobody would look for after a backfill.
        if send and plan.billed and not unreadable:
            failed = print_results(plan, inputs, send)
    if failed:
        fail(f"{format_count(failed, 'event')} could not be sent")
    if unreadable:
        which = "this part" if len(unreadable) == 1 else "these parts"
        remedy = f"; nothing was sent: repair or remove {which}" if yes else ""
        fail(f"{describe_unreadable(len(unreadable))}{remedy}")


def create_send(access: Access, queue: str | None, *, direct: bool) -> Send:
    """Return a function that sends events to Hyperline, or to the queue Replay.

    *queue* is its URL or ARN; by default it is that of the stack.
    """
    if direct:
        return send_directly(access.endpoint)
    stack = access.stack
    address = stack.find_replay(queue) if stack else find_replay(queue or "")
    if address.region:  # of the client of SQS that is created now
        os.environ["AWS_DEFAULT_REGION"] = address.region
    try:
        module = import_module("segment_to_hyperline.cli.replay_queue")
    except BotoCoreError as error:
        raise InputError(f"the queue can't be used: {error}") from error
    url = queue if queue and not queue.startswith("arn:") else create_queue_url(address)
    send: Send = module.send_to_replay(url, access.endpoint.environment)
    return send


def print_results(plan: BackfillPlan, inputs: Inputs, send: Send) -> int:
    """Send the events of *plan*, and print each; return how many failed."""
    failed = 0
    for finding, problem in execute(
        plan,
        inputs.events,
        inputs.mapping,
        send,
        destination=inputs.destination,
        read_files=read_with_progress,
    ):
        outcome = f"FAILED: {problem}" if problem else "sent"
        click.echo(f"{outcome}  {finding.event_type}  {finding.record_id}")
        failed += bool(problem)
    return failed
