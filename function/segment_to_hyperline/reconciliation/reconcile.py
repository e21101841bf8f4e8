"""Reconcile events with Hyperline: load them, and compare each day.

An interrupted reconciliation continues where it ended.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from segment_to_hyperline.archive.files import (
    STANDARD_INPUT,
    InputError,
    ReadFiles,
    find_files,
    read_files,
)
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.reconciliation.compare import (
    compare,
    compare_customers,
    confirm_missing,
)
from segment_to_hyperline.reconciliation.loading import load
from segment_to_hyperline.reconciliation.reader import (
    Reader,
    Window,
    format_milliseconds,
)
from segment_to_hyperline.reconciliation.store import Store
from segment_to_hyperline.segment.facts import WEBHOOKS_ACTIONS

DAY = 24 * 60 * 60 * 1_000


class Scope(NamedTuple):
    """What to reconcile."""

    start: int | None = None
    """The start in milliseconds since 1970, or None for that of the events."""
    end: int | None = None
    """The end in milliseconds since 1970, which is not part of the range, or None."""
    deep: bool = False
    """Whether the contents of all events are compared, instead of counts first."""
    event_types: tuple[str, ...] = ()
    """Event types to compare besides those of the events."""
    destination: str = WEBHOOKS_ACTIONS
    """The name of the destination in the events' field `integrations`."""


class Step(NamedTuple):
    """How far a reconciliation is."""

    window: Window
    """The window that is compared next."""
    number: int
    """The number of windows before it."""
    total: int
    """The number of all windows."""
    requests: int
    """The number of requests to Hyperline so far."""

    @property
    def label(self) -> str:
        """The type and the day of the window."""
        day = format_milliseconds(self.window.start)[: len("2026-01-31")]
        return f"{self.window.event_type} of {day}"


def _ignore(_step: Step) -> None:
    pass


@dataclass
class Reconciliation:
    """Loaded events that can be compared with Hyperline."""

    scope: Scope
    store: Store
    """What was expected, and what was found."""
    reader: Reader
    is_completed: bool = False
    """Whether everything was compared."""

    def compare(self, report: Callable[[Step], None] = _ignore) -> None:
        """Compare day by day, so that differences don't cancel each other out.

        *report* is called before each window. Raises `InputError`, `AccessError` or
        `HyperlineUnavailable`.
        """
        windows = list(_list_windows(self.scope, self.store))
        if not self.store.total() and not self.scope.event_types:
            raise InputError(
                "no billable event is in this time: check --from, --to and the mapping"
            )
        for number, window in enumerate(windows):
            report(Step(window, number, len(windows), self.reader.requests))
            compare(window, self.store, self.reader, deep=self.scope.deep)
        confirm_missing(self.store, self.reader)
        compare_customers(self.store)
        # What is found now is not what will be found next time.
        self.is_completed = True
        self.store.set_state("compared", "yes")


@contextmanager
def load_events(  # noqa: PLR0913 - where the events are, and how they are read
    names: Sequence[str],
    mapping: Path,
    scope: Scope,
    endpoint: Endpoint,
    directory: Path,
    *,
    read_files: ReadFiles = read_files,
) -> Iterator[Reconciliation]:
    """Yield the reconciliation of the events in the files *names*, to be compared.

    What is found is stored in *directory* until everything is compared. Raises
    `InputError`.
    """
    start, end = scope.start, scope.end
    if start is not None and end is not None and start >= end:
        raise InputError("--from must be before --to")
    files = find_files(names)
    try:
        rules = load_rules(mapping)
    except MappingFileError as error:
        raise InputError(str(error)) from error
    path = directory / f"{fingerprint(files, mapping, scope, endpoint)}.sqlite"
    reconciliation = Reconciliation(scope, _open(path), Reader(*endpoint))
    store = reconciliation.store
    try:
        if not store.get_state("loaded") or store.get_state("compared"):
            store.clear()
            if not load(read_files(files), rules, store, scope.destination):
                raise InputError(f"{', '.join(files)}: no events")
            _finish_loading(scope, store)
        yield reconciliation
    except sqlite3.Error as error:
        problem = f"{path}: {error}; free some space, or delete the file"
        raise InputError(problem) from error
    finally:
        # The standard input can't be read again.
        is_over = reconciliation.is_completed or STANDARD_INPUT in files
        store.close(delete=is_over)


def fingerprint(
    files: Sequence[str], mapping: Path, scope: Scope, endpoint: Endpoint
) -> str:
    """Return a name for a reconciliation; it is another one if a file was changed."""
    stats = [Path(file).stat() for file in files if file != STANDARD_INPUT]
    content = [
        *(str(Path(file).resolve()) for file in files),
        *((stat.st_size, stat.st_mtime_ns) for stat in stats),
        *(mapping.read_text("utf-8"), *scope, *endpoint),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _open(path: Path) -> Store:
    try:
        return Store(path)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise InputError("the same events are being compared already") from error
        raise InputError(f"{path}: {error}; use another --state") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; use another --state") from error


def _finish_loading(scope: Scope, store: Store) -> None:
    """Leave out the events outside of *scope*, once all are loaded."""
    store.index()
    # Of an event that came twice, the last version can be outside.
    types = sorted({*store.event_types(), *scope.event_types})
    outside = store.keep(scope.start, scope.end)
    if outside:
        store.add_unbilled("outside", "not between --from and --to", "", outside)
    store.set_state("event_types", json.dumps(types))
    store.set_state("loaded", "yes")


def _list_windows(scope: Scope, store: Store) -> Iterator[Window]:
    """Yield each day with events of a type, and the time between these days."""
    first, last = store.time_range() or (0, -DAY)
    start = first - first % DAY if scope.start is None else scope.start
    end = last - last % DAY + DAY if scope.end is None else scope.end
    for event_type in json.loads(store.get_state("event_types") or "[]"):
        begin = start
        for day in store.days(event_type, DAY):
            if begin < day:
                yield Window(event_type, begin, day)
            until = min(day + DAY, end)
            yield Window(event_type, max(begin, day), until)
            begin = until
        if begin < end:
            yield Window(event_type, begin, end)
