"""The rows that Hyperline has, and which of them are on an invoice.

They are in a private temporary database, because there can be many.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, Self

from segment_to_hyperline.reconciliation.api.core.invoices import InvoicedEvent
from segment_to_hyperline.reconciliation.api.rows import Row

_SCHEMA = """
PRAGMA cache_size = -32000;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE row (
    id TEXT, event_type TEXT, record_id TEXT, time INTEGER, customer TEXT, record TEXT);
CREATE TABLE invoiced (
    id TEXT, invoice TEXT, event_type TEXT, product TEXT, time INTEGER,
    properties TEXT);
"""
# The columns of a row and of a line.
_ROW = "row.event_type, record_id, row.time, customer, record"
_WIDTH = 5
_LINE = "invoice, invoiced.id, invoiced.event_type, product, invoiced.time, properties"


class StoredRow(NamedTuple):
    """A row, as far as the report needs it."""

    event_type: str
    record_id: str
    time: int
    """In milliseconds since 1970; 0 if it can't be read."""
    customer: str
    """Hyperline's id, or empty."""
    record: dict[str, Any]


class InvoiceLine(NamedTuple):
    """An event on a line of an invoice."""

    invoice: str
    """The id of the invoice."""
    event: InvoicedEvent


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

    def replace(self, event_type: str, record_id: str, rows: Sequence[Row]) -> None:
        """Add what an event has become since it was read, instead of what it was."""
        self._db.execute(
            "CREATE INDEX IF NOT EXISTS by_key ON row (event_type, record_id)"
        )
        self._db.execute(
            "DELETE FROM row WHERE event_type = ? AND record_id = ?",
            (event_type, record_id),
        )
        self.add(rows)

    def add_invoiced(self, invoice: str, events: Iterable[InvoicedEvent]) -> None:
        """Add which *events* are on the lines of an *invoice*."""
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO invoiced VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    *(event.id, invoice, event.event_type, event.product, event.time),
                    json.dumps(event.properties),
                )
                for event in events
            ),
        )
        self._db.execute("COMMIT")

    def __iter__(self) -> Iterator[StoredRow]:
        """Yield the rows."""
        for values in self._db.execute(f"SELECT {_ROW} FROM row"):
            yield _read_row(values)

    def list_invoiced(self) -> Iterator[tuple[StoredRow, list[InvoiceLine]]]:
        """Yield the rows, each with the lines that it is on."""
        self._db.execute("CREATE INDEX IF NOT EXISTS by_id ON invoiced (id)")
        found = self._db.execute(
            f"SELECT row.rowid, {_ROW}, {_LINE} FROM row"
            " LEFT JOIN invoiced ON invoiced.id = row.id ORDER BY row.rowid"
        )
        for _, same in groupby(found, key=itemgetter(0)):
            every = [values[1:] for values in same]
            lines = [v[_WIDTH:] for v in every if v[_WIDTH] is not None]
            yield _read_row(every[0][:_WIDTH]), list(map(_read_line, lines))

    def list_others(self) -> Iterator[InvoiceLine]:
        """Yield events on invoices that are none of the rows, one line of each."""
        self._db.execute("CREATE INDEX IF NOT EXISTS by_row_id ON row (id)")
        for values in self._db.execute(
            f"SELECT {_LINE} FROM invoiced WHERE NOT EXISTS"
            " (SELECT 1 FROM row WHERE row.id = invoiced.id)"
            " GROUP BY invoice, invoiced.id"
        ):
            yield _read_line(values)

    def list_products(self) -> set[str]:
        """Return the products on the lines."""
        return {
            product
            for (product,) in self._db.execute("SELECT DISTINCT product FROM invoiced")
            if product is not None
        }


def _read_row(values: Sequence[Any]) -> StoredRow:
    *fields, record = values
    return StoredRow._make((*fields, json.loads(record)))


def _read_line(values: Sequence[Any]) -> InvoiceLine:
    invoice, *fields, properties = values
    return InvoiceLine(invoice, InvoicedEvent._make((*fields, json.loads(properties))))
