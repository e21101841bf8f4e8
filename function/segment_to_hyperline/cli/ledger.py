"""The command `ledger`."""

import json

import click

from segment_to_hyperline.archive.sources import find_sources, read_sources
from segment_to_hyperline.cli.inputs import INCOMPLETE_READ, Inputs, takes_inputs
from segment_to_hyperline.cli.statuses import (
    CHECK_FAILED,
    INCOMPLETE,
    describe_too_many,
    describe_unreadable,
    fail,
    format_epilog,
)
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.reconciliation.expected.loading import load_queued
from segment_to_hyperline.reconciliation.ledger import (
    DAY_LENGTH,
    MONTH_LENGTH,
    Ledger,
)


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
@takes_inputs()
@click.option(
    "--by",
    type=click.Choice(["day", "month"]),
    default="day",
    show_default=True,
    help="Length of a period.",
)
@click.option(
    "--queued",
    multiple=True,
    metavar="FILE",
    help="Messages exported from Replay or Quarantine, to explain what is missing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ledger(inputs: Inputs, *, by: str, queued: tuple[str, ...], as_json: bool) -> None:
    """Show what was sent, billed and missing of the Segment events in EVENTS.

    It compares as `reconcile --deep` does. For each period, event type and customer, it
    shows the number of events and the totals of their numeric properties, as they were
    sent and as they are in Hyperline; then the events that are not billed, by reason.
    The check fails if they differ.
    """
    length = DAY_LENGTH if by == "day" else MONTH_LENGTH
    sources, exported = inputs.find_sources(), find_sources(queued)
    access = inputs.find_access()
    with inputs.compare(sources, access, deep=True) as compared:
        if not compared.found.is_complete:
            fail(describe_too_many(inputs.most))
        store = compared.found.store
        files = load_queued(read_sources(exported), load_rules(inputs.mapping), store)
        unreadable = len(store.unreadable())
        found = Ledger(compared.found, compared.header, length, files)
        if as_json:
            click.echo(json.dumps(found.to_json(), indent=2))
        else:
            for line in found.lines():
                click.echo(line)
    if unreadable:
        fail(describe_unreadable(unreadable))
    if not found.matches:
        fail("what was sent and what was billed differ")
