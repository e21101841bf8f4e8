"""Read the events, compare them with Hyperline, and report; or continue that."""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from segment_to_hyperline.archive.captured import CapturedEvent, UnreadableLine
from segment_to_hyperline.archive.files import (
    STANDARD_INPUT,
    InputError,
    find_files,
    read_files,
)
from segment_to_hyperline.mapping.file import MappingFileError, load_rules
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.preview.verdict import Verdict, judge
from segment_to_hyperline.reconciliation.compare import (
    Key,
    compare,
    compare_customers,
    confirm_missing,
    encode_id,
    find_key,
    to_milliseconds,
)
from segment_to_hyperline.reconciliation.reader import (
    Reader,
    Window,
    find_access,
    format_milliseconds,
)
from segment_to_hyperline.reconciliation.report import Outcome
from segment_to_hyperline.reconciliation.store import UNREADABLE, Expected, Store

DAY = 24 * 60 * 60 * 1_000
_BATCH = 1_000

type Captured = CapturedEvent | UnreadableLine


class Options(NamedTuple):
    """What to compare: times in milliseconds, and event types besides those mapped."""

    start: int | None = None
    end: int | None = None
    deep: bool = False
    event_types: tuple[str, ...] = ()


@contextmanager
def reconcile(
    names: Sequence[str],
    mapping: Path,
    options: Options,
    secret: Mapping[str, Any],
    directory: Path,
) -> Iterator[tuple[Store, Reader]]:
    """Yield the completed comparison of the events in the files *names*.

    What was found is stored in *directory*, until the comparison is completed and used.
    Raises `InputError`, `AccessError` or `HyperlineUnavailable`.
    """
    start, end = options.start, options.end
    if start is not None and end is not None and start >= end:
        raise InputError("--from must be before --to")
    files = find_files(names)
    try:
        rules = load_rules(mapping)
    except MappingFileError as error:
        raise InputError(str(error)) from error
    access = find_access(secret)
    path = directory / f"{fingerprint(files, mapping, options, access)}.sqlite"
    store = _open(path)
    is_compared = False
    try:
        reader = Reader(*access)
        _load(files, rules, options, store)
        _compare_all(options, store, reader)
        # What is found now is not what will be found next time.
        is_compared = True
        store.set_fact("compared", "yes")
        yield store, reader
    except sqlite3.Error as error:
        problem = f"{path}: {error}; free some space, or delete the file"
        raise InputError(problem) from error
    finally:
        # The standard input can't be read again.
        store.close(delete=is_compared or STANDARD_INPUT in files)


def fingerprint(
    files: Sequence[str], mapping: Path, options: Options, access: tuple[str, str]
) -> str:
    """Return a name for a comparison; it is another one if a file was changed."""
    stats = [Path(file).stat() for file in files if file != STANDARD_INPUT]
    content = [
        *(str(Path(file).resolve()) for file in files),
        *((stat.st_size, stat.st_mtime_ns) for stat in stats),
        *(mapping.read_text("utf-8"), *options, *access),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def parse_day(text: str) -> int:
    """Return the beginning of a day, or a time, in milliseconds; raise ValueError."""
    if len(text) == len("2026-01-31"):
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return round(day.timestamp() * 1_000)
    return to_milliseconds(text)


def print_outcome(outcome: Outcome, form: str) -> None:
    """Print *outcome* as text, json, csv or markdown."""
    match form:
        case "json":
            print(json.dumps(outcome.to_json(), indent=2))
        case "csv":
            outcome.write_csv(sys.stdout)
        case "markdown":
            print(*outcome.markdown(), sep="\n")
        case _:
            print(*outcome.text(), sep="\n")


def _open(path: Path) -> Store:
    try:
        return Store(path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise InputError("the same events are being compared already") from error
        raise InputError(f"{path}: {error}; use another --state") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; use another --state") from error


def _load(files: Sequence[str], rules: Rules, options: Options, store: Store) -> None:
    """Store what the mapping makes of the events, unless that was completed before."""
    if store.get_fact("loaded") and not store.get_fact("compared"):
        return
    store.clear()
    batch: list[Expected] = []
    number = 0
    for _, captured in read_files(files, visible=True):
        number += 1
        verdict = judge(rules, captured)
        batch += [create_expected(billable.json) for billable in verdict.billable]
        if not verdict.billable:
            reason = explain(captured, verdict)
            store.add_unbilled(verdict.outcome, reason, find_day(captured))
        if len(batch) >= _BATCH:
            store.add_expected(batch)
            batch.clear()
    if not number:
        raise InputError(f"{', '.join(files)}: no events")
    store.add_expected(batch)
    store.index()
    # Of an event that came twice, the last version can be outside.
    types = sorted({*store.event_types(), *options.event_types})
    outside = store.keep(options.start, options.end)
    if outside:
        store.add_unbilled("outside", "not between --from and --to", "", outside)
    store.set_fact("event_types", json.dumps(types))
    store.set_fact("loaded", "yes")


def explain(captured: Captured, verdict: Verdict) -> str:
    """Return why an event is not billed, with the rule or the line."""
    if isinstance(captured, UnreadableLine):
        return captured.reason
    return verdict.reason


def find_day(captured: Captured) -> str:
    """Return the day of an event's timestamp, or nothing if it has none."""
    data = captured.event.data if isinstance(captured, CapturedEvent) else None
    text = data.get("timestamp") if isinstance(data, dict) else None
    with suppress(ValueError, TypeError):
        return format_milliseconds(to_milliseconds(text))[: len("2026-01-31")]  # type: ignore[arg-type] # TypeError
    return ""


def read_queued(names: Sequence[str], rules: Rules, store: Store) -> dict[Key, str]:
    """Return the file of each event in exported messages of the queues.

    What can't be read is added to what *store* has as not billed.
    """
    queued: dict[Key, str] = {}
    for source, captured in read_files(find_files(names), visible=False):
        if isinstance(captured, UnreadableLine):
            store.add_unbilled(UNREADABLE, captured.reason, "")
        for billable in judge(rules, captured).billable:
            queued[find_key(billable)] = source
    return queued


def create_expected(body: bytes) -> Expected:
    """Return the expected event for the JSON of a billable event."""
    content = json.loads(body)
    return Expected(
        encode_id(content["event_type"]),
        encode_id(content["record"]["id"]),
        to_milliseconds(content["timestamp"]),
        encode_id(content["customer_id"]),
        body,
    )


def _compare_all(options: Options, store: Store, reader: Reader) -> None:
    """Compare day by day, so that differences don't cancel each other out."""
    windows = list(_list_windows(options, store))
    if not store.total() and not options.event_types:
        raise InputError(
            "no billable event is in this time: check --from, --to and the mapping"
        )
    console = Console(stderr=True)
    columns = (
        TextColumn("comparing {task.fields[what]}, {task.fields[requests]:,} requests"),
        *(BarColumn(), TimeElapsedColumn()),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=len(windows), what="", requests=0)
        for window in windows:
            what = f"{window.event_type} of {format_milliseconds(window.start)[:10]}"
            bar.update(task, what=what, requests=reader.requests)
            compare(window, store, reader, deep=options.deep)
            bar.advance(task)
    confirm_missing(store, reader)
    compare_customers(store)


def _list_windows(options: Options, store: Store) -> Iterator[Window]:
    """Yield each day with events of a type, and the time between these days."""
    first, last = store.time_range() or (0, -DAY)
    start = first - first % DAY if options.start is None else options.start
    end = last - last % DAY + DAY if options.end is None else options.end
    for event_type in json.loads(store.get_fact("event_types") or "[]"):
        begin = start
        for day in store.days(event_type, DAY):
            if begin < day:
                yield Window(event_type, begin, day)
            until = min(day + DAY, end)
            yield Window(event_type, max(begin, day), until)
            begin = until
        if begin < end:
            yield Window(event_type, begin, end)
