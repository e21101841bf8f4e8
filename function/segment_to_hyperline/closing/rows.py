"""The rows that Hyperline has, and which of them are on an invoice.

They are in a private temporary database, because there can be many.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Self

from segment_to_hyperline.reconciliation.api.rows import Row, encode_text

_SCHEMA = """
PRAGMA cache_size = -32000;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE row (
    id TEXT, event_type TEXT, record_id TEXT, time INTEGER, customer TEXT, record TEXT);
CREATE TABLE invoiced (id TEXT, invoice TEXT);
"""


class StoredRow(NamedTuple):
    """A row, as far as the report needs it."""

    event_type: str
    record_id: str
    time: int
    """In milliseconds since 1970; 0 if it can't be read."""
    customer: str
    """Hyperline's id, or empty."""
    record: dict[str, Any]
    invoice: str | None
    """The id of an invoice that it is on, if any."""


class StoredRows:
    """The rows of a month; the end of a `with` deletes them."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows, each of which was read once."""
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO row VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    *(row.id, row.event_type, row.record_id, row.time or 0),
                    *(row.customer or "", json.dumps(row.record)),
                )
                for row in rows
            ],
        )
        self._db.execute("COMMIT")

    def add_invoiced(self, invoice: str, ids: Iterable[str]) -> None:
        """Add which events (`evt_…`) are on an *invoice*."""
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO invoiced VALUES (?, ?)",
            ((encode_text(event_id), invoice) for event_id in ids),
        )
        self._db.execute("COMMIT")

    def __iter__(self) -> Iterator[StoredRow]:
        """Yield the rows."""
        self._db.execute("CREATE INDEX IF NOT EXISTS by_id ON invoiced (id)")
        for *fields, record, invoice in self._db.execute(
            "SELECT event_type, record_id, time, customer, record,"
            " (SELECT invoice FROM invoiced WHERE invoiced.id = row.id LIMIT 1)"
            " FROM row"
        ):
            yield StoredRow._make((*fields, json.loads(record), invoice))
