"""The command `ledger`."""

import json

import click

from segment_to_hyperline.archive.files import find_files, read_files
from segment_to_hyperline.cli.inputs import INCOMPLETE_READ, Inputs, takes_inputs
from segment_to_hyperline.cli.statuses import (
    CHECK_FAILED,
    INCOMPLETE,
    describe_unreadable,
    fail,
    format_epilog,
)
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.reconciliation.ledger import (
    DAY_LENGTH,
    MONTH_LENGTH,
    Ledger,
)
from segment_to_hyperline.reconciliation.loading import load_queued


@click.command(
    epilog=format_epilog(
        "ledger archive/ --from 2026-01-01 --to 2026-02-01 --by month",
        {
            CHECK_FAILED: (
                "what was sent and what was billed differ, or parts of the input can't"
                " be read"
            ),
            INCOMPLETE: INCOMPLETE_READ,
        },
    ),
)
@takes_inputs
@click.option(
    "--by", type=click.Choice(["day", "month"]), default="day", show_default=True
)
@click.option(
    "--queued",
    multiple=True,
    metavar="FILE",
    help="Messages exported from Replay or Quarantine, to explain what is missing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ledger(inputs: Inputs, *, by: str, queued: tuple[str, ...], as_json: bool) -> None:
    """Show what was sent, billed and missing of the Segment events in the files EVENTS.

    It compares as `reconcile --deep` does. For each period, event type and customer, it
    shows the number of events and the totals of their numeric properties, as they were
    sent and as they are in Hyperline; then the events that are not billed, by reason.
    The check fails if they differ.
    """
    length = DAY_LENGTH if by == "day" else MONTH_LENGTH
    endpoint = inputs.find_access().endpoint
    with inputs.reconcile(endpoint, deep=True) as reconciliation:
        store, rules = reconciliation.store, load_rules(inputs.mapping)
        files = load_queued(read_files(find_files(queued)), rules, store)
        found = Ledger(store, length, files)
        unreadable = len(store.unreadable())
        if as_json:
            click.echo(json.dumps(found.to_json(), indent=2))
        else:
            click.echo("\n".join(found.lines()))
    if unreadable:
        fail(describe_unreadable(unreadable))
    if not found.matches:
        fail("what was sent and what was billed differ")
