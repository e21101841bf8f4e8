"""The command `preview`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from segment_to_hyperline.archive.captured import UnreadableLine
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.archive.sources import (
    Source,
    find_sources,
    read_sources,
    show_name,
)
from segment_to_hyperline.cli.given import reject_given
from segment_to_hyperline.cli.mappings import load_other_mapping, mapping_option
from segment_to_hyperline.cli.progress import read_with_progress
from segment_to_hyperline.cli.statuses import (
    CHECK_FAILED,
    describe_unreadable,
    fail,
    format_epilog,
)
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.mapping_tests.check import find_tests, run_files
from segment_to_hyperline.mapping_tests.file import MappingTestsError
from segment_to_hyperline.mapping_tests.markdown import to_markdown
from segment_to_hyperline.mapping_tests.run import Report
from segment_to_hyperline.preview.mapping_diff import MappingDiff
from segment_to_hyperline.preview.verdict import Summary, judge
from segment_to_hyperline.text import format_count


class Form(NamedTuple):
    """How the result is printed."""

    as_json: bool
    as_markdown: bool
    only_summary: bool
    """Whether the single events are left out."""


@click.command(
    epilog=format_epilog(
        "preview events.ndjson",
        {
            CHECK_FAILED: (
                "there are warnings, parts of the input can't be read, or events would"
                " be quarantined and --strict is set, or a test of the mapping fails"
            )
        },
    ),
)
@click.argument("events", nargs=-1, required=True)
@mapping_option
@click.option(
    "--against",
    metavar="FILE|REVISION",
    help="Mapping to compare with: a file, or a git revision such as HEAD.",
)
@click.option("--strict", is_flag=True, help="Fail if an event would be quarantined.")
@click.option("--accept", is_flag=True, help="Don't fail because of warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print lines of JSON.")
@click.option(
    "--markdown",
    "as_markdown",
    is_flag=True,
    help="Print the diff of the mappings as Markdown, for a pull request.",
)
@click.option("--summary", "only_summary", is_flag=True, help="Print only the totals.")
def preview(  # noqa: PLR0913 - the options of the command
    events: tuple[str, ...],
    mapping: Path,
    against: str | None,
    *,
    strict: bool,
    accept: bool,
    as_json: bool,
    as_markdown: bool,
    only_summary: bool,
) -> None:
    """Show what the mapping bills for the Segment events in EVENTS.

    EVENTS are files, folders and s3://BUCKET/PREFIX. A file has one event per line
    (NDJSON) or JSON arrays, and may be compressed with gzip, as in Segment's S3
    archive. For a folder, all its files are read, and for - the standard input.
    Messages of Quarantine and Replay are read too, and what Lambda passes to the
    functions, as in the folder events. Nothing is sent.

    With --against, it shows what a change to the mapping would change, and warns if
    invoices could become wrong.

    The check fails after a warning of --against, if a part of a file can't be read,
    and, with --strict, if an event would be quarantined. With --markdown, the tests
    beside the mapping are run too, and the check fails if one of them does.
    """
    if as_markdown and (as_json or not against):
        raise click.UsageError("--markdown needs --against, and excludes --json")
    if against:
        reject_given(["--summary"], "with --against, which prints only totals")
    else:
        reject_given(["--accept"], "without --against")
    form = Form(as_json, as_markdown, only_summary)
    failed = 0
    try:
        sources = find_sources(events)
        rules = load_rules(mapping)
        if against:
            before = load_other_mapping(against, mapping)
            diff = print_diff(sources, before, rules, form)
            summary, warnings = diff.after, len(diff.risks())
            if as_markdown:
                failed = len(print_tests(mapping).failed)
        else:
            summary, warnings = print_preview(sources, rules, form), 0
    except (InputError, MappingFileError, MappingTestsError) as error:
        raise click.UsageError(str(error)) from error
    if not summary.outcomes.total():
        raise click.UsageError(f"{', '.join(map(show_name, events))}: no events")
    problem = find_problem(summary, 0 if accept else warnings, strict=strict)
    if problem or failed:
        tests = f"{format_count(failed, 'test')} of the mapping failed"
        fail(problem or tests)


def print_preview(sources: Sequence[Source], rules: Rules, form: Form) -> Summary:
    """Print the verdict on each event and a summary, and return the summary."""
    summary = Summary(rules)
    # On a terminal, the lines themselves show the progress.
    is_visible = form.only_summary or not sys.stdout.isatty()
    read = read_with_progress if is_visible else read_sources
    heading = ""
    for source, item, _ in read(sources):
        verdict = judge(summary.rules, item)
        summary.add(verdict, item)
        if form.as_json and not form.only_summary:
            print(verdict.to_json(show_name(source)))
        elif not form.only_summary:
            if source != heading and len(sources) > 1:
                print(f"{show_name(source)}:")
                heading = source
            print(verdict.to_text())
        elif isinstance(item, UnreadableLine):
            print(item.reason, file=sys.stderr)
    if summary.outcomes.total():
        print_summary(summary, form)
    return summary


def print_summary(summary: Summary, form: Form) -> None:
    """Print *summary* as JSON, or for people."""
    if form.as_json:
        print(json.dumps({"summary": summary.to_json()}))
    else:
        print(*summary.lines(), sep="\n")


def print_diff(
    sources: Sequence[Source], before: Rules, after: Rules, form: Form
) -> MappingDiff:
    """Print what *after* bills differently than *before*, and return it."""
    diff = MappingDiff(before, after)
    for _, item, _ in read_with_progress(sources):
        if isinstance(item, UnreadableLine):
            print(item.reason, file=sys.stderr)
        diff.add(item, judge(before, item), judge(diff.after.rules, item))
    if form.as_json:
        print(json.dumps(diff.to_json()))
    else:
        lines = diff.to_markdown() if form.as_markdown else diff.lines()
        print(*lines, sep="\n")
    return diff


def print_tests(mapping: Path) -> Report:
    """Print as Markdown what becomes of the tests beside *mapping*, and return it."""
    report = run_files(mapping, find_tests(mapping))
    print(*to_markdown(report), sep="\n")
    return report


def find_problem(summary: Summary, warnings: int, *, strict: bool) -> str | None:
    """Return why the command fails, or None."""
    unreadable = summary.outcomes["unreadable"]
    quarantined = summary.outcomes["quarantined"]
    if unreadable:
        return describe_unreadable(unreadable)
    if quarantined and strict:
        return f"--strict: {format_count(quarantined, 'event')} would be quarantined"
    if warnings:
        return "there are warnings; use --accept if the changes are intended"
    return None
