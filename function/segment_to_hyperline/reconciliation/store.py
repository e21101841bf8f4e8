"""What was expected and found so far, in a SQLite file, to use little memory.

The file also makes it possible to continue after an interruption. It contains the
billable events, so it is deleted when it is no longer needed.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from segment_to_hyperline.reconciliation.reader import Window

UNREADABLE = "unreadable"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS expected (
    event_type TEXT, record_id TEXT, time INTEGER, customer TEXT, body BLOB,
    copies INTEGER DEFAULT 1, is_seen INTEGER DEFAULT 0, is_compared INTEGER DEFAULT 0,
    found_customer TEXT,
    PRIMARY KEY (event_type, record_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unseen ON expected (event_type)
    WHERE is_compared AND NOT is_seen;
CREATE TABLE IF NOT EXISTS unbilled (
    kind TEXT, reason TEXT, day TEXT, number INTEGER, PRIMARY KEY (kind, reason, day));
CREATE TABLE IF NOT EXISTS done (
    event_type TEXT, start INTEGER, end INTEGER, total INTEGER,
    PRIMARY KEY (event_type, start, end));
CREATE TABLE IF NOT EXISTS finding (
    kind TEXT, event_type TEXT, record_id TEXT, time INTEGER, customer TEXT,
    details TEXT, PRIMARY KEY (kind, event_type, record_id));
"""
_UPSERT = """
INSERT INTO expected (event_type, record_id, time, customer, body)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET copies = copies + 1, time = excluded.time,
    customer = excluded.customer, body = excluded.body
"""


class Expected(NamedTuple):
    """A billable event that Hyperline should have stored."""

    event_type: str
    record_id: str
    time: int
    """Its timestamp, in milliseconds since 1970."""
    customer: str
    """The customer's id as the mapping sends it."""
    body: bytes
    """The JSON of the billable event; empty if it was not expected."""


class Finding(NamedTuple):
    """A difference between the events and Hyperline."""

    kind: str
    """`missing`, `different`, `unexpected` or `unchecked`."""
    event_type: str
    record_id: str
    time: int
    """The timestamp of the event, in milliseconds since 1970."""
    customer: str
    """The customer's id as the mapping sends it, or Hyperline's if it is unexpected."""
    details: dict[str, Any] = {}  # noqa: RUF012 - never changed
    """The expected and the actual value of each field that differs."""


class Store:
    """The SQLite file at *path*, used by one process; committed after each step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, timeout=0)
        # Another reconciliation of these events fails: it would overwrite this one.
        self.db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # A lost commit after a power failure only repeats a step.
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript(_SCHEMA)

    def commit(self) -> None:
        """Complete a step."""
        self.db.commit()

    def close(self, *, delete: bool) -> None:
        """Close the file without what is not committed, and *delete* it."""
        self.db.rollback()
        self.db.close()
        if delete:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def get_state(self, name: str) -> str | None:
        """Return what was stored under *name*."""
        row = self.db.execute(
            "SELECT value FROM state WHERE name = ?", (name,)
        ).fetchone()
        return row[0] if row else None

    def set_state(self, name: str, value: str) -> None:
        """Store *value* under *name*."""
        self.db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))
        self.db.commit()

    def clear(self) -> None:
        """Forget everything that an earlier reconciliation has left."""
        for table in ("state", "expected", "unbilled", "done", "finding"):
            self.db.execute(f"DELETE FROM {table}")
        self.db.commit()

    def add_expected(self, events: Iterable[Expected]) -> None:
        """Add billable events; of two with the same key, the later one counts."""
        self.db.executemany(_UPSERT, events)

    def add_unbilled(self, kind: str, reason: str, day: str, number: int = 1) -> None:
        """Count events that are not billed."""
        self.db.execute(
            "INSERT INTO unbilled VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET number = number + excluded.number",
            (kind, reason, day, number),
        )

    def unreadable(self) -> list[str]:
        """Return which parts of the input can't be read."""
        return [reason for kind, reason, _ in self.unbilled() if kind == UNREADABLE]

    def index(self) -> None:
        """Prepare the queries, once all events were added."""
        self.db.execute(
            "CREATE INDEX IF NOT EXISTS by_time ON expected (event_type, time)"
        )
        self.db.commit()

    def event_types(self) -> list[str]:
        """Return the types of the expected events."""
        rows = self.db.execute("SELECT DISTINCT event_type FROM expected ORDER BY 1")
        return [row[0] for row in rows]

    def time_range(self) -> tuple[int, int] | None:
        """Return the first and the last time of the expected events."""
        first, last = self.db.execute(
            "SELECT min(time), max(time) FROM expected"
        ).fetchone()
        return None if first is None else (first, last)

    def total(self) -> int:
        """Return the number of expected events."""
        number: int = self.db.execute("SELECT count(*) FROM expected").fetchone()[0]
        return number

    def count(self, window: Window) -> int:
        """Return the number of expected events in *window*."""
        number: int = self.db.execute(
            "SELECT count(*) FROM expected"
            " WHERE event_type = ? AND time >= ? AND time < ?",
            window,
        ).fetchone()[0]
        return number

    def boundary(self, window: Window, number: int) -> int:
        """Return the end of a window with about *number* of the events of *window*."""
        row = self.db.execute(
            "SELECT time FROM expected WHERE event_type = ? AND time >= ? AND time < ?"
            " ORDER BY time LIMIT 1 OFFSET ?",
            (*window, number),
        ).fetchone()
        return window.end if row is None else max(row[0], window.start + 1)

    def find(self, event_type: str, record_id: str) -> Expected | None:
        """Return an expected event."""
        row = self.db.execute(
            "SELECT event_type, record_id, time, customer, body FROM expected"
            " WHERE event_type = ? AND record_id = ?",
            (event_type, record_id),
        ).fetchone()
        return Expected(*row) if row else None

    def mark_seen(self, event_type: str, record_id: str, customer: str | None) -> None:
        """Remember that Hyperline has an event, under its id of the *customer*."""
        self.db.execute(
            "UPDATE expected SET is_seen = 1, found_customer = ?"
            " WHERE event_type = ? AND record_id = ?",
            (customer, event_type, record_id),
        )

    def moved(self) -> Iterator[tuple[Expected, str, str]]:
        """Yield events that are under another customer than most of that customer.

        With each event come the usual id of the customer in Hyperline, and its own.
        """
        rows = self.db.execute(
            "SELECT customer, found_customer FROM expected WHERE customer IN (SELECT"
            " customer FROM expected WHERE found_customer NOT NULL GROUP BY customer"
            " HAVING count(DISTINCT found_customer) > 1) AND found_customer NOT NULL"
            " GROUP BY 1, 2 ORDER BY count(*)"
        )
        usual: dict[str, str] = dict(rows.fetchall())
        for customer, found in usual.items():
            for *row, other in self.db.execute(
                "SELECT event_type, record_id, time, customer, body, found_customer"
                " FROM expected WHERE customer = ? AND found_customer != ?",
                (customer, found),
            ):
                yield Expected(*row), found, other

    def keep(self, start: int | None, end: int | None) -> int:
        """Forget the expected events that are not in this time; return their number."""
        deleted = self.db.execute(
            "DELETE FROM expected WHERE time < ? OR time >= ?",
            (-(1 << 62) if start is None else start, 1 << 62 if end is None else end),
        )
        return deleted.rowcount

    def days(self, event_type: str, length: int) -> list[int]:
        """Return the starts of the days, *length* long, with events of a type."""
        rows = self.db.execute(
            "SELECT DISTINCT (time - ((time % ?1) + ?1) % ?1) FROM expected"
            " WHERE event_type = ?2 ORDER BY 1",
            (length, event_type),
        )
        return [row[0] for row in rows]

    def find_details(self, kind: str, event: Expected) -> dict[str, Any]:
        """Return the details of a difference that was already found."""
        row = self.db.execute(
            "SELECT details FROM finding"
            " WHERE kind = ? AND event_type = ? AND record_id = ?",
            (kind, event.event_type, event.record_id),
        ).fetchone()
        details: dict[str, Any] = json.loads(row[0]) if row else {}
        return details

    def mark_compared(self, window: Window) -> None:
        """Remember that the rows of *window* were compared."""
        self.db.execute(
            "UPDATE expected SET is_compared = 1"
            " WHERE event_type = ? AND time >= ? AND time < ?",
            window,
        )

    def unseen(self, limit: int) -> list[Expected]:
        """Return up to *limit* compared events of one type that were not seen."""
        rows = self.db.execute(
            "SELECT event_type, record_id, time, customer, body FROM expected"
            " WHERE is_compared AND NOT is_seen AND event_type = (SELECT event_type"
            " FROM expected WHERE is_compared AND NOT is_seen LIMIT 1) LIMIT ?",
            (limit,),
        )
        return [Expected(*row) for row in rows]

    def is_done(self, window: Window) -> bool:
        """Return whether *window* was completed before an interruption."""
        row = self.db.execute(
            "SELECT 1 FROM done WHERE event_type = ? AND start = ? AND end = ?", window
        ).fetchone()
        return row is not None

    def finish(self, window: Window, total: int) -> None:
        """Remember that *window* is completed, with its number of rows; commit."""
        self.db.execute(
            "INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?)", (*window, total)
        )
        self.db.commit()

    def add_finding(self, finding: Finding) -> None:
        """Add a difference, or replace it."""
        self.db.execute(
            "INSERT OR REPLACE INTO finding VALUES (?, ?, ?, ?, ?, ?)",
            (*finding[:5], json.dumps(finding.details, sort_keys=True)),
        )

    def findings(self) -> Iterator[Finding]:
        """Yield the differences, sorted."""
        for row in self.db.execute(
            "SELECT * FROM finding ORDER BY kind, time, record_id"
        ):
            kind, event_type, record_id, time, customer, details = row
            yield Finding(
                kind, event_type, record_id, time, customer, json.loads(details)
            )

    def duplicates(self) -> Iterator[tuple[str, str, int]]:
        """Yield the type, the record.id and the copies of repeated events."""
        yield from self.db.execute(
            "SELECT event_type, record_id, copies FROM expected WHERE copies > 1"
            " ORDER BY 1, 2"
        )

    def expected(self) -> Iterator[Expected]:
        """Yield the expected events, in the order of their type and id."""
        for row in self.db.execute(
            "SELECT event_type, record_id, time, customer, body FROM expected"
        ):
            yield Expected(*row)

    def unbilled_by_day(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield the kind, the reason, the day and the number of unbilled events."""
        yield from self.db.execute("SELECT kind, reason, day, number FROM unbilled")

    def unbilled(self) -> Iterator[tuple[str, str, int]]:
        """Yield the kind, the reason and the number of events that are not billed."""
        yield from self.db.execute(
            "SELECT kind, reason, sum(number) FROM unbilled GROUP BY 1, 2 ORDER BY 1, 2"
        )
