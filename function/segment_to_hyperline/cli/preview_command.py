"""Preview events with a mapping, or compare two mappings."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segment_to_hyperline.archive.captured import UnreadableLine
from segment_to_hyperline.archive.files import InputError, find_files, read_files
from segment_to_hyperline.cli.exits import describe_unreadable
from segment_to_hyperline.mapping.file import MappingFileError, load_rules, parse_rules
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.preview.plan import Plan
from segment_to_hyperline.preview.usage import format_event_count
from segment_to_hyperline.preview.verdict import Summary, judge


class Options(NamedTuple):
    """The options of the command `preview`."""

    strict: bool = False
    accept: bool = False
    as_json: bool = False
    as_markdown: bool = False
    only_summary: bool = False


def run(
    names: Sequence[str], mapping: Path, against: str | None, options: Options
) -> str | None:
    """Print the preview, or the comparison with *against*; return what failed, if any.

    Raises `InputError`.
    """
    if options.as_markdown and (options.as_json or not against):
        raise InputError("--markdown needs --against, and excludes --json")
    files = find_files(names)
    try:
        current = load_rules(mapping)
        other = load_other_rules(against, mapping) if against else None
    except MappingFileError as error:
        raise InputError(str(error)) from error
    if other is None:
        summary = preview(files, current, options)
        warnings = 0
    else:
        plan = compare(files, other, current, options)
        summary, warnings = plan.after, len(plan.warnings())
    if not summary.outcomes.total():
        raise InputError(f"{', '.join(names)}: no events".replace("-:", "<stdin>:"))
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


def preview(names: Sequence[str], rules: Rules, options: Options) -> Summary:
    """Print the verdict on each event and a summary, and return the summary."""
    summary = Summary(rules)
    # On a terminal, the lines themselves show the progress.
    is_visible = options.only_summary or not sys.stdout.isatty()
    for _, item in read_files(names, visible=is_visible):
        verdict = judge(summary.rules, item)
        summary.add(verdict, item)
        if not options.only_summary:
            print(verdict.to_json() if options.as_json else verdict.to_text())
        elif isinstance(item, UnreadableLine):
            print(item.reason, file=sys.stderr)
    if not summary.outcomes.total():
        return summary
    if options.as_json:
        print(json.dumps({"summary": summary.to_json()}))
    else:
        print(*summary.lines(), sep="\n")
    return summary


def compare(
    names: Sequence[str], before: Rules, after: Rules, options: Options
) -> Plan:
    """Print what *after* bills differently than *before*, and return it."""
    plan = Plan(before, after)
    for _, item in read_files(names, visible=True):
        if isinstance(item, UnreadableLine):
            print(item.reason, file=sys.stderr)
        plan.add(item, judge(before, item), judge(plan.after.rules, item))
    if options.as_json:
        print(json.dumps(plan.to_json()))
    else:
        lines = plan.to_markdown() if options.as_markdown else plan.lines()
        print(*lines, sep="\n")
    return plan


def find_problem(summary: Summary, warnings: int, options: Options) -> str | None:
    """Return why the command fails, or None."""
    unreadable = summary.outcomes["unreadable"]
    quarantined = summary.outcomes["quarantined"]
    if unreadable:
        return describe_unreadable(unreadable)
    if quarantined and options.strict:
        return f"--strict: {format_event_count(quarantined)} would be quarantined"
    if warnings:
        return "there are warnings; use --accept if the changes are intended"
    return None
