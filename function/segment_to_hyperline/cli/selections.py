"""The options that the commands about Quarantine and Replay have in common."""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli.api_key import Access, find_access
from segment_to_hyperline.cli.inputs import DEFAULT_STACK
from segment_to_hyperline.cli.mappings import mapping_option
from segment_to_hyperline.cli.progress import show_progress
from segment_to_hyperline.cli.statuses import INCOMPLETE
from segment_to_hyperline.installed.stack import find_stack
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.quarantine.selection import Selection
from segment_to_hyperline.quarantine.site import Contents, Site
from segment_to_hyperline.reconciliation.api.failures import (
    AccessError,
    HyperlineUnavailable,
)
from segment_to_hyperline.reconciliation.target import Target, open_target

type Command = Callable[..., None]


class Options(NamedTuple):
    """Which stack, and which mapping."""

    stack: str
    region: str | None
    mapping: Path

    def load_rules(self) -> Rules:
        """Return the rules of the mapping; raises `MappingFileError`."""
        return load_rules(self.mapping)


_STACK = (
    click.option(
        "--stack",
        default=DEFAULT_STACK,
        show_default=True,
        metavar="NAME",
        help="Stack with the queues.",
    ),
    click.option("--region", help="AWS region; by default that of the AWS CLI."),
    mapping_option,
)
_SELECTION = (
    click.option("--code", "codes", multiple=True, help="Code of the reason."),
    click.option(
        "--rule", "rules", multiple=True, help="Number of the rule that matches."
    ),
    click.option("--event", "events", multiple=True, help="Name of the event."),
    click.option("--customer", "customers", multiple=True, help="Billed customer."),
    click.option(
        "--message-id", "message_ids", multiple=True, help="The event's messageId."
    ),
    click.option(
        "--hours",
        type=click.FloatRange(min=0),
        default=0,
        help="Stored for at least so many hours.",
    ),
    click.option(
        "--where",
        default="",
        metavar="JMESPATH",
        help="An expression that is true for the event.",
    ),
)
output_options = (
    click.option("--json", "output", flag_value="json", help="Print a JSON array."),
    click.option(
        "--ndjson", "output", flag_value="ndjson", help="Print a JSON object a line."
    ),
)


def takes_stack(command: Command) -> Command:
    """Add the options for a stack, and pass `Options` as the first argument.

    What is wrong with the input is one line.
    """

    @functools.wraps(command)
    def run(**values: Any) -> None:
        options = Options(*(values.pop(name) for name in Options._fields))
        try:
            command(options, **values)
        except (InputError, MappingFileError, AccessError) as error:
            raise click.UsageError(str(error)) from error
        except HyperlineUnavailable as error:
            click.echo(f"Incomplete: {error}.", err=True)
            sys.exit(INCOMPLETE)

    return add_options(*_STACK)(run)


def takes_selection(command: Command) -> Command:
    """Add the options that select events, and pass `Selection` as another argument."""

    @functools.wraps(command)
    def run(options: Options, **values: Any) -> None:
        selection = Selection(*(values.pop(name) for name in Selection._fields))
        command(options, selection, **values)

    return add_options(*_SELECTION)(run)


def add_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds *options* to a command, in this order."""

    def decorate(command: Command) -> Command:
        for add in reversed(options):
            command = add(command)
        return command

    return decorate


def print_rows(rows: Iterable[Mapping[str, Any]], output: str) -> None:
    """Print *rows* for programs: as `json`, or as `ndjson`."""
    if output == "json":
        click.echo(json.dumps(list(rows), indent=2))
        return
    for row in rows:
        click.echo(json.dumps(row))


def print_notes(notes: Iterable[str]) -> None:
    """Print what a person has to know besides the result."""
    for note in notes:
        click.echo(note, err=True)


@contextmanager
def look(site: Site, rules: Rules) -> Iterator[Contents]:
    """Yield what waits in Quarantine, and show how much of it was read."""
    with show_progress() as progress:

        def report(done: int, total: int) -> None:
            progress.report("reading Quarantine", done, total)

        with site.look(rules, report) as contents:
            yield contents


def open_site(options: Options) -> Site:
    """Return the queues and logs of the stack."""
    return Site.create(find_stack(options.stack, options.region))


def open_hyperline(options: Options) -> tuple[Access, Target]:
    """Return the key of the stack, and Hyperline."""
    access = find_access(DEFAULT_STACK, options.stack, options.region)
    return access, open_target(access.endpoint, access.core_url)
