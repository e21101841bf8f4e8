"""Preview events with a mapping, or compare two mappings."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from forwarder.mapping.file import MappingFileError, load_rules, parse_rules
from forwarder.mapping.rules import Rules
from tools.preview.capture import CapturedEvent, UnreadableLine, read_events
from tools.preview.plan import Plan
from tools.preview.usage import format_event_count
from tools.preview.verdict import Summary, judge

# How often the progress is updated, in events.
_PROGRESS_STEP = 10_000


class InputError(Exception):
    """Raised when the events or a mapping can't be used; the message says why."""


class Options(NamedTuple):
    """The options of the command `preview`."""

    strict: bool = False
    accept: bool = False
    as_json: bool = False
    as_markdown: bool = False


def run(
    stream: BinaryIO, mapping: Path, against: str | None, options: Options
) -> str | None:
    """Print the preview, or the comparison with *against*; return what failed, if any.

    Raises `InputError`.
    """
    if options.as_markdown and (options.as_json or not against):
        raise InputError("--markdown needs --against, and excludes --json")
    try:
        current = load_rules(mapping)
        other = load_other_rules(against, mapping) if against else None
    except MappingFileError as error:
        raise InputError(str(error)) from error
    if other is None:
        summary = preview(stream, current, options)
        warnings = 0
    else:
        plan = compare(stream, other, current, options)
        summary, warnings = plan.after, len(plan.warnings())
    if not summary.outcomes.total():
        raise InputError(f"{stream.name}: no events")
    return find_problem(summary, 0 if options.accept else warnings, options)


def load_other_rules(against: str, mapping: Path) -> Rules:
    """Return the rules to compare with, from a file or a git revision."""
    if Path(against).is_file():
        return load_rules(Path(against))
    revision = f"{against}:./{mapping.name}"
    shown = subprocess.run(
        ["git", "show", "--end-of-options", revision],
        cwd=mapping.absolute().parent,
        capture_output=True,
        check=False,
    )
    if shown.returncode:
        raise InputError(
            f"{against} is neither a file nor a git revision that contains the mapping:"
            f" {shown.stderr.decode().strip()}"
        )
    return parse_rules(shown.stdout, revision)


def preview(stream: BinaryIO, rules: Rules, options: Options) -> Summary:
    """Print the verdict on each event and a summary, and return the summary."""
    summary = Summary()
    # On a terminal, the lines themselves show the progress.
    for item in read_with_progress(stream, visible=not sys.stdout.isatty()):
        verdict = judge(rules, item)
        summary.add(verdict)
        print(verdict.to_json() if options.as_json else verdict.to_text())
    if not summary.outcomes.total():
        return summary
    if options.as_json:
        print(json.dumps({"summary": summary.to_json()}))
    else:
        print(*summary.lines(), sep="\n")
    return summary


def compare(stream: BinaryIO, before: Rules, after: Rules, options: Options) -> Plan:
    """Print what *after* bills differently than *before*, and return it."""
    plan = Plan()
    for item in read_with_progress(stream, visible=True):
        if isinstance(item, UnreadableLine):
            print(f"line {item.line}: {item.reason}", file=sys.stderr)
        plan.add(judge(before, item), judge(after, item))
    if options.as_json:
        print(json.dumps(plan.to_json()))
    else:
        lines = plan.to_markdown() if options.as_markdown else plan.lines()
        print(*lines, sep="\n")
    return plan


def read_with_progress(
    stream: BinaryIO, *, visible: bool
) -> Iterator[CapturedEvent | UnreadableLine]:
    """Yield the captured events; show the progress if standard error is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.completed:,.0f} events"), TimeElapsedColumn())
    disable = not (visible and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=disable) as bar:
        task = bar.add_task("read", total=None)
        for number, item in enumerate(read_events(stream), start=1):
            yield item
            if number % _PROGRESS_STEP == 0:
                bar.update(task, completed=number)


def find_problem(summary: Summary, warnings: int, options: Options) -> str | None:
    """Return why the command fails, or None."""
    unreadable = summary.outcomes["unreadable"]
    quarantined = summary.outcomes["quarantined"]
    if unreadable:
        return f"{unreadable:,} line{'' if unreadable == 1 else 's'} can't be read"
    if quarantined and options.strict:
        return f"--strict: {format_event_count(quarantined)} would be quarantined"
    if warnings:
        return "there are warnings; use --accept if the changes are intended"
    return None
