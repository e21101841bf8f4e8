"""The command `reconcile`."""

import json
import sys

import click

from segment_to_hyperline.cli.inputs import INCOMPLETE_READ, Inputs, takes_inputs
from segment_to_hyperline.cli.statuses import (
    CHECK_FAILED,
    INCOMPLETE,
    describe_too_many,
    describe_unreadable,
    fail,
    format_epilog,
)
from segment_to_hyperline.reconciliation.differences import Differences


@click.command(
    epilog=format_epilog(
        "reconcile archive/ --from 2026-01-01 --to 2026-02-01",
        {
            CHECK_FAILED: "there are differences, or parts of the input can't be read",
            INCOMPLETE: INCOMPLETE_READ,
        },
    ),
)
@takes_inputs()
@click.option("--deep", is_flag=True, help="Compare the contents of every event.")
@click.option("--no-values", is_flag=True, help="Show which fields differ, not how.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv", "markdown"]),
    default="text",
    show_default=True,
    help="How the result is printed.",
)
def reconcile(inputs: Inputs, *, deep: bool, no_values: bool, form: str) -> None:
    """Compare the Segment events in EVENTS with what Hyperline stored.

    EVENTS are files, folders and s3://BUCKET/PREFIX. They are mapped as the deployed
    function does. For each event type and day, the numbers are compared, and where they
    differ, the events. With --deep, all contents are compared. Nothing is written.

    The time range is about the timestamps of the billable events, not the day of
    receipt; by default it is that of the events. The API key is in HYPERLINE_API_KEY,
    else in the secret; HYPERLINE_URL and HYPERLINE_CORE_URL set the hosts.
    """
    sources = inputs.find_sources()
    access = inputs.find_access()
    with inputs.compare(sources, access, deep=deep) as compared:
        differences = Differences(
            compared.found,
            compared.header,
            compared.target.requests,
            show_values=not no_values,
        )
        print_differences(differences, form)
    if not differences.is_complete:
        fail(describe_too_many(inputs.most))
    if differences.unreadable:
        fail(describe_unreadable(differences.unreadable))
    if not differences.matches:
        fail("there are differences")


def print_differences(differences: Differences, form: str) -> None:
    """Print *differences* as text, json, csv or markdown."""
    match form:
        case "json":
            print(json.dumps(differences.to_json(), indent=2))
        case "csv":
            differences.write_csv(sys.stdout)
        case "markdown":
            print(*differences.markdown(), sep="\n")
        case _:
            print(*differences.text(), sep="\n")
