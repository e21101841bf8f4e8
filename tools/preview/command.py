"""Show what the mapping would bill for captured Segment events; bills nothing.

Reads one event a line (NDJSON) or JSON arrays. With --against it shows what a change
of the mapping would bill differently. Exits with 1 if a line can't be read, if --strict
is given and an event would be quarantined or there is none, and for a plan's warnings.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from forwarder.mapping import file as mapping_file
from forwarder.mapping.rules import Rules
from tools.preview.capture import Captured, Unreadable, read
from tools.preview.plan import Plan
from tools.preview.verdict import Summary, judge

ROOT = Path(__file__).parents[2]
# From here on a progress bar shows that something goes on.
MANY_EVENTS = 10_000


def main() -> None:
    """Preview, or compare, as the command line asks."""
    # End without a word when whoever reads the output has seen enough.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    arguments = parse_arguments()
    try:
        current = mapping_file.load_rules(arguments.mapping)
        other = load_other(arguments) if arguments.against else None
        stream = open_events(arguments.events)
    except (mapping_file.MappingFileError, OSError) as error:
        sys.exit(str(error))
    with stream:
        failed = (
            preview(stream, current, arguments)
            if other is None
            else compare(stream, other, current, arguments)
        )
    sys.exit(1 if failed else 0)


def parse_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", help="file with events, or - for standard input")
    parser.add_argument(
        "--mapping",
        type=Path,
        default=ROOT / "function/mapping.toml",
        metavar="FILE",
        help="mapping to use; without it, the one in function/",
    )
    parser.add_argument(
        "--against",
        metavar="FILE|REVISION",
        help="compare with the mapping in a file, or in a git revision, such as HEAD",
    )
    parser.add_argument(
        "--strict", action="store_true", help="fail if an event would be quarantined"
    )
    parser.add_argument(
        "--accept", action="store_true", help="do not fail for a plan's warnings"
    )
    parser.add_argument("--json", action="store_true", help="write JSON, one a line")
    return parser.parse_args()


def load_other(arguments: argparse.Namespace) -> Rules:
    """Return the rules to compare with: those of a file, or of a git revision."""
    path = Path(arguments.against)
    if path.is_file():
        return mapping_file.load_rules(path)
    revision = f"{arguments.against}:./{arguments.mapping.name}"
    shown = subprocess.run(
        ["git", "show", "--end-of-options", revision],
        cwd=arguments.mapping.absolute().parent,
        capture_output=True,
        check=False,
    )
    if shown.returncode:
        raise mapping_file.MappingFileError(
            f"{arguments.against} is neither a file nor a git revision with this"
            f" mapping: {shown.stderr.decode().strip()}"
        )
    return mapping_file.parse_rules(shown.stdout, revision)


def open_events(name: str) -> BinaryIO:
    """Return the stream of events."""
    return sys.stdin.buffer if name == "-" else Path(name).open("rb")


def follow(stream: BinaryIO, *, quiet: bool) -> Iterator[Captured | Unreadable]:
    """Yield what is captured; after many events show progress, unless *quiet*."""
    items = read(stream)
    yield from islice(items, MANY_EVENTS)
    # `None` shows it on a terminal only, and the delay only if there is more to come.
    yield from tqdm(
        items,
        initial=MANY_EVENTS,
        unit=" events",
        delay=0.2,
        disable=True if quiet else None,
    )


def preview(stream: BinaryIO, current: Rules, arguments: argparse.Namespace) -> bool:
    """Print what becomes of each event and a summary; return whether it failed."""
    summary = Summary()
    # On a terminal the lines themselves show how it goes.
    for item in follow(stream, quiet=sys.stdout.isatty()):
        verdict = judge(current, item)
        summary.add(verdict)
        print(verdict.to_json() if arguments.json else verdict.to_text())
    if arguments.json:
        print(json.dumps({"summary": summary.to_json()}))
    else:
        print(*summary.lines(), sep="\n")
    return has_failed(summary, arguments)


def compare(
    stream: BinaryIO,
    before: Rules,
    after: Rules,
    arguments: argparse.Namespace,
) -> bool:
    """Print what *after* bills other than *before*; return whether it failed."""
    plan = Plan()
    for item in follow(stream, quiet=False):
        if isinstance(item, Unreadable):
            print(f"line {item.line}: {item.reason}", file=sys.stderr)
        plan.add(judge(before, item), judge(after, item))
    if arguments.json:
        print(json.dumps(plan.to_json()))
    else:
        print(*plan.lines(), sep="\n")
    warned = bool(plan.warnings()) and not arguments.accept
    return warned or has_failed(plan.after, arguments)


def has_failed(summary: Summary, arguments: argparse.Namespace) -> bool:
    """Return whether an event could not be read; if strict, or billed; or none came."""
    outcomes = summary.outcomes
    is_doubtful = outcomes["quarantined"] > 0 or not outcomes
    return outcomes["unreadable"] > 0 or (arguments.strict and is_doubtful)


if __name__ == "__main__":
    main()
