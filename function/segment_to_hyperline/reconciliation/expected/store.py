"""What the input says that Hyperline should have, and the differences.

It is a private temporary SQLite database: SQLite keeps what doesn't fit into memory in
a file without a name, which disappears with the process.
https://www.sqlite.org/inmemorydb.html#temp_db
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Self

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.reconciliation.api.rows import Window, encode_text
from segment_to_hyperline.reconciliation.expected.schema import (
    ADD_ALTERNATIVE,
    ADD_EVENT,
    ADD_EXPECTED,
    BODY_TABLES,
    FINISH,
    INPUT_TABLES,
    SCHEMA,
)
from segment_to_hyperline.reconciliation.expected.versions import Expected
from segment_to_hyperline.reconciliation.findings import Finding

_FIELDS = "event_type, record_id, message_id, time, customer, body"
_COLUMNS = f"{_FIELDS}, number"
# A position after those of all events.
_LAST = (1 << 63) - 1
# Which of the columns of a version, or of a billable event, are texts of the input.
_VERSION_TEXTS, _BILLABLE_TEXTS = (0, 4, 5), (0, 1, 2, 6)
_ALTERNATIVE_TEXTS = (2, 3, 4, 8)


class Store:
    """The database of one reconciliation; the end of a `with` deletes it."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(SCHEMA)
        self._has_index_of_messages = False
        self._has_accepted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the database."""
        self._db.close()

    # The input

    def add(
        self,
        versions: Sequence[tuple[Any, ...]],
        billable: Sequence[tuple[Any, ...]],
        alternatives: Sequence[tuple[Any, ...]] = (),
    ) -> None:
        """Add versions of events, and the billable events that follow from them.

        Those are `Version`, `Billable`, or tuples with the same fields. *alternatives*
        are billed instead by a later mapping; before those fields, they have their
        number and the time of its deployment. Some thousands at a time are fast.
        """
        self._db.execute("BEGIN")
        self._db.executemany(ADD_EVENT, _encode(versions, _VERSION_TEXTS))
        self._db.executemany(ADD_EXPECTED, _encode(billable, _BILLABLE_TEXTS))
        self._db.executemany(ADD_ALTERNATIVE, _encode(alternatives, _ALTERNATIVE_TEXTS))
        self._db.execute("COMMIT")

    def add_unreadable(self, reason: str, sequence: int = _LAST) -> None:
        """Add a part of the input that can't be read, and its position."""
        row = sequence, encode_text(reason)
        self._db.execute("INSERT INTO unreadable VALUES (?, ?)", row)

    def finish_input(self) -> None:
        """Leave the last version of each event, once all were added."""
        self._db.executescript(FINISH)

    def unreadable(self) -> list[str]:
        """Return which parts of the input can't be read, in its order."""
        rows = self._db.execute(
            "SELECT reason FROM unreadable ORDER BY sequence, rowid"
        )
        return [row[0] for row in rows]

    def event_types(self) -> list[str]:
        """Return the types of the billable events, also of those that may replace them.

        These are what earlier versions of events, or later mappings, bill.
        """
        rows = self._db.execute(
            "SELECT event_type FROM expected UNION SELECT event_type FROM superseded"
            " UNION SELECT event_type FROM alternative ORDER BY 1"
        )
        return [row[0] for row in rows]

    def time_range(self) -> tuple[int, int] | None:
        """Return the first and the last time of the expected events."""
        first, last = self._db.execute(
            "SELECT min(time), max(time) FROM expected"
        ).fetchone()
        return None if first is None else (first, last)

    def count_outcomes(self) -> dict[str, int]:
        """Return the number of events by their outcome, of each the last version."""
        rows = self._db.execute("SELECT outcome, count(*) FROM event GROUP BY 1")
        return dict(rows.fetchall())

    def customers(self) -> list[str]:
        """Return the customers of the events that are or can be expected."""
        rows = self._db.execute(
            "SELECT customer FROM expected UNION SELECT customer FROM alternative"
        )
        return [row[0] for row in rows]

    def duplicates(self) -> Iterator[tuple[str, int]]:
        """Yield the messageId and the number of versions of repeated events."""
        yield from self._db.execute(
            "SELECT message_id, versions FROM repeated ORDER BY 1"
        )

    def find_outcome(self, message_id: str) -> str | None:
        """Return the outcome of the last version of an event, if it is in the input."""
        row = self._db.execute(
            "SELECT outcome FROM event WHERE message_id = ?", (message_id,)
        ).fetchone()
        return row[0] if row else None

    def unbilled(self, start: int, end: int) -> Iterator[tuple[str, str, str, int]]:
        """Yield the outcome, reason, day and number of events without anything to bill.

        Events without a time are included; others if they are in this time.
        """
        yield from self._db.execute(
            "SELECT outcome, reason, CASE time WHEN 0 THEN '' ELSE"
            " strftime('%Y-%m-%d', time / 1000, 'unixepoch') END AS day, count(*)"
            " FROM event WHERE outcome != 'billed' AND (time = 0 OR time >= ? AND"
            " time < ?) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            (start, end),
        )

    # What was loaded, to be loaded again

    def dump(self) -> Iterator[str]:
        """Yield the loaded input as JSON, one line for each row of a table."""
        for table in INPUT_TABLES:
            for row in self._db.execute(f"SELECT * FROM {table}"):
                values = [v.decode() if isinstance(v, bytes) else v for v in row]
                yield json.dumps([table, *values])

    def restore(self, lines: Iterable[str]) -> None:
        """Load what `dump` yielded, instead of an input.

        Raises `InputError` if the lines are something else.
        """
        self._db.execute("BEGIN")
        try:
            for table, *values in map(json.loads, lines):
                if table in BODY_TABLES:
                    values[-1] = values[-1].encode()
                marks = ", ".join("?" * len(values))
                self._db.execute(
                    f"INSERT INTO {INPUT_TABLES[table]} VALUES ({marks})", values
                )
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            RecursionError,
            sqlite3.Error,
        ) as error:
            raise InputError("the events are not as they were written") from error
        self._db.execute("COMMIT")
        self.finish_input()
        self._db.execute("INSERT INTO repeated SELECT * FROM restored")

    # The expected events

    def count(self, window: Window) -> int:
        """Return the number of expected events in *window*."""
        number: int = self._db.execute(
            "SELECT count(*) FROM expected"
            " WHERE event_type = ? AND time >= ? AND time < ?",
            window,
        ).fetchone()[0]
        return number

    def count_all(self) -> int:
        """Return the number of expected events."""
        number: int = self._db.execute("SELECT count(*) FROM expected").fetchone()[0]
        return number

    def count_in(self, start: int, end: int) -> int:
        """Return the number of expected events of all types from *start* to *end*."""
        number: int = self._db.execute(
            "SELECT count(*) FROM expected WHERE time >= ? AND time < ?", (start, end)
        ).fetchone()[0]
        return number

    def split(self, window: Window, number: int) -> Iterator[Window]:
        """Yield parts of *window* with at most *number* of its events each.

        A part of one millisecond can have more.
        """
        start = window.start
        while start < window.end:
            row = self._db.execute(
                "SELECT time FROM expected WHERE event_type = ? AND time >= ?"
                " AND time < ? ORDER BY time LIMIT 1 OFFSET ?",
                (window.event_type, start, window.end, number),
            ).fetchone()
            end = max(row[0], start + 1) if row else window.end
            yield window._replace(start=start, end=end)
            start = end

    def days(self, event_type: str, length: int) -> list[int]:
        """Return the starts of the days with events of a type.

        A day has *length* milliseconds.
        """
        rows = self._db.execute(
            "SELECT DISTINCT time - (time % :day + :day) % :day FROM expected"
            " WHERE event_type = :type ORDER BY 1",
            {"day": length, "type": event_type},
        )
        return [row[0] for row in rows]

    def find_received_at(self, event_type: str, record_id: str) -> int:
        """Return when Segment received an event, or 0 if it isn't known."""
        row = self._db.execute(
            "SELECT received_at FROM event WHERE message_id = (SELECT message_id"
            " FROM expected WHERE event_type = ? AND record_id = ?)",
            (event_type, record_id),
        ).fetchone()
        return row[0] if row else 0

    def find_since(self, event_type: str, record_id: str) -> int | None:
        """Return when the later mapping was deployed by which an event is expected."""
        if not self._has_accepted:
            return None
        row = self._db.execute(
            "SELECT since FROM accepted JOIN expected USING (message_id)"
            " WHERE event_type = ? AND record_id = ?",
            (event_type, record_id),
        ).fetchone()
        return row[0] if row else None

    def find(self, event_type: str, record_id: str) -> Expected | None:
        """Return an expected event."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM expected WHERE event_type = ? AND record_id = ?",
            (event_type, record_id),
        ).fetchone()
        return Expected(*row) if row else None

    def is_superseded(self, event_type: str, record_id: str) -> bool:
        """Return whether only an earlier version of an event has this to bill."""
        return self._exists(
            "SELECT 1 FROM superseded WHERE event_type = ? AND record_id = ?",
            event_type,
            record_id,
        )

    def superseded(self, event_type: str) -> dict[str, int]:
        """Return the ids and times of what only earlier versions have to bill."""
        rows = self._db.execute(
            "SELECT record_id, time FROM superseded WHERE event_type = ?", (event_type,)
        )
        return dict(rows.fetchall())

    def siblings(self, message_id: str) -> list[Expected]:
        """Return everything that is to be billed for one event."""
        if not self._has_index_of_messages:
            self._db.execute("CREATE INDEX by_message ON expected (message_id)")
            self._has_index_of_messages = True
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM expected WHERE message_id = ?"
            " ORDER BY event_type, record_id",
            (message_id,),
        )
        return list(map(Expected._make, rows))

    def disputed(self) -> list[str]:
        """Return the messageIds with a difference that a later mapping may explain."""
        rows = self._db.execute(
            "SELECT message_id FROM finding JOIN alternative"
            " USING (event_type, record_id)"
            " UNION SELECT message_id FROM finding JOIN expected"
            " USING (event_type, record_id)"
            " WHERE message_id IN (SELECT message_id FROM alternative) ORDER BY 1"
        )
        return [row[0] for row in rows]

    def alternatives(
        self, message_id: str, until: float
    ) -> list[tuple[int, list[Expected]]]:
        """Return what each later mapping bills instead for an event, and since when.

        Only mappings that were deployed *until* this time can have billed something.
        Both times are in milliseconds since 1970.
        """
        found: dict[tuple[int, int], list[Expected]] = defaultdict(list)
        for number, since, *fields in self._db.execute(
            f"SELECT number, since, {_FIELDS} FROM alternative WHERE message_id = ?"
            " AND since <= ? ORDER BY 1, 2, 3, 4",
            (message_id, until),
        ):
            found[number, since].append(Expected(*fields))
        return [(since, events) for (_, since), events in found.items()]

    def replace_expected(
        self, message_id: str, events: Sequence[Expected], since: int
    ) -> None:
        """Expect *events* for an event, which a mapping bills *since* this time."""
        self._has_accepted = True
        self._db.execute("BEGIN")
        self._db.execute(
            "INSERT OR REPLACE INTO accepted VALUES (?, ?)", (message_id, since)
        )
        for event in self.siblings(message_id):
            self._db.execute("DELETE FROM expected WHERE number = ?", (event.number,))
        self._db.executemany(
            f"INSERT INTO expected ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?)",
            [event[:-1] for event in events],
        )
        self._db.execute(
            "UPDATE event SET outcome = 'billed' WHERE message_id = ?", (message_id,)
        )
        self._db.execute("COMMIT")

    def sequences(self, message_ids: Iterable[str]) -> dict[str, int]:
        """Return where in the input the last versions of events are."""
        found: dict[str, int] = {}
        for message_id in message_ids:
            row = self._db.execute(
                "SELECT sequence FROM event WHERE message_id = ?", (message_id,)
            ).fetchone()
            if row:
                found[message_id] = row[0]
        return found

    def expected(self) -> Iterator[Expected]:
        """Yield the expected events, in the order in which they were added."""
        yield from map(
            Expected._make, self._db.execute(f"SELECT {_COLUMNS} FROM expected")
        )

    def groups(
        self, start: int, end: int, length: int
    ) -> Iterator[tuple[str, str, str, str, bytes]]:
        """Yield the events from *start* to *end*, sorted by the first three fields.

        These are the day or the month, as long as *length*, then the type and the
        customer. They are followed by the id and by the JSON.
        """
        yield from self._db.execute(
            "SELECT substr(strftime('%Y-%m-%d', time / 1000, 'unixepoch'), 1, ?)"
            " AS period, event_type, customer, record_id, body"
            " FROM expected WHERE time >= ? AND time < ? ORDER BY 1, 2, 3",
            (length, start, end),
        )

    def expected_in(self, window: Window) -> dict[str, Expected]:
        """Return the expected events in *window*, by their ids."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM expected"
            " WHERE event_type = ? AND time >= ? AND time < ?",
            window,
        )
        return {row[1]: Expected._make(row) for row in rows}

    # Under which customers Hyperline has them

    def add_found(self, found: Iterable[tuple[int, str]]) -> None:
        """Add Hyperline's id of the customer of expected events, by their numbers."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO found VALUES (?, ?)", found)
        self._db.execute("COMMIT")

    def found_customers(self) -> list[tuple[str, str, int]]:
        """Return the expected customer, Hyperline's id, and for how many events."""
        return self._db.execute(
            "SELECT expected.customer, found.customer, count(*)"
            " FROM found JOIN expected USING (number) GROUP BY 1, 2"
        ).fetchall()

    def events_under(self, pairs: Sequence[tuple[str, str]]) -> list[Expected]:
        """Return the events with these pairs of an expected and a found customer."""
        self._db.execute("CREATE TEMP TABLE pair (expected TEXT, found TEXT)")
        self._db.executemany("INSERT INTO pair VALUES (?, ?)", pairs)
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM (SELECT expected.*, found.customer AS found"
            " FROM expected JOIN found USING (number))"
            " WHERE (customer, found) IN (SELECT * FROM pair)"
        ).fetchall()
        self._db.execute("DROP TABLE pair")
        return list(map(Expected._make, rows))

    # The differences

    def add_finding(self, finding: Finding) -> None:
        """Add a difference, or replace it."""
        self._db.execute(
            "INSERT OR REPLACE INTO finding VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*finding[:-1], json.dumps(finding.details, sort_keys=True)),
        )

    def remove_findings(self, event_type: str, record_id: str) -> None:
        """Remove the differences of an event."""
        self._db.execute(
            "DELETE FROM finding WHERE event_type = ? AND record_id = ?",
            (event_type, record_id),
        )

    def findings_after(
        self, event_type: str, record_id: str, number: int
    ) -> list[Finding]:
        """Return the next differences by type and id: about *number*, or the rest."""
        last = self._db.execute(
            "SELECT event_type, record_id FROM finding WHERE (event_type, record_id)"
            " > (?, ?) ORDER BY 1, 2 LIMIT 1 OFFSET ?",
            (event_type, record_id, number),
        ).fetchone()
        limit, values = (
            ("AND (event_type, record_id) <= (?, ?)", last) if last else ("", ())
        )
        rows = self._db.execute(
            "SELECT * FROM finding WHERE (event_type, record_id) > (?, ?)"
            f" {limit} ORDER BY event_type, record_id",
            (event_type, record_id, *values),
        )
        return list(map(_read_finding, rows))

    def findings(self) -> Iterator[Finding]:
        """Yield the differences, sorted by kind, type and time."""
        yield from map(
            _read_finding,
            self._db.execute(
                "SELECT * FROM finding ORDER BY kind, event_type, time, record_id"
            ),
        )

    def count_findings(self) -> dict[str, int]:
        """Return the number of differences of each kind."""
        return dict(
            self._db.execute("SELECT kind, count(*) FROM finding GROUP BY 1").fetchall()
        )

    def _exists(self, query: str, *values: str) -> bool:
        return self._db.execute(query, values).fetchone() is not None


def _encode(
    rows: Sequence[tuple[Any, ...]], texts: Sequence[int]
) -> Iterable[tuple[Any, ...]]:
    """Return *rows* as SQLite can store them; see `encode_text`."""
    every = chain.from_iterable([[row[i] for i in texts] for row in rows])
    if "".join(every).isascii():
        return rows
    return [
        tuple(encode_text(v) if i in texts else v for i, v in enumerate(row))
        for row in rows
    ]


def _read_finding(row: tuple[Any, ...]) -> Finding:
    return Finding._make((*row[:-1], json.loads(row[-1])))
