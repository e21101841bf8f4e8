"""Find the differences between the expected events and Hyperline's rows.

By count first: if a window has as many rows as expected events, it is taken as equal.
Otherwise it is halved, until its rows are few enough to be compared one by one.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.reconciliation.reader import PAGE, Reader, Row, Window
from segment_to_hyperline.reconciliation.store import Expected, Finding, Store
from segment_to_hyperline.segment.times import parse_time

MISSING, DIFFERENT, UNEXPECTED = "missing", "different", "unexpected"
# An event that was not found by its time, and can't be looked up by its id.
UNCHECKED = "unchecked"
# The most bytes of ids in a query.
_MAX_QUERY = 4_000
# The event type and the id of an event, as they are stored.
type EncodedKey = tuple[str, str]

# A window with at most this many rows is compared instead of halved.
LEAF = 3 * PAGE
# With `deep`, how many rows are compared between two commits.
_DEEP_WINDOW = 20 * PAGE


def compare(window: Window, store: Store, reader: Reader, *, deep: bool) -> None:
    """Compare the events in *window*; what was completed before is not repeated."""
    if deep:
        for part in _split(window, store):
            if not store.is_done(part):
                _compare_rows(part, store, reader)
        return
    _compare_counts(window, store, reader, None)


def confirm_missing(store: Store, reader: Reader) -> None:
    """Look up the events that were not found, by their ids.

    They could have another time in Hyperline, or have been delivered meanwhile.
    """
    while events := _limit(store.unseen(PAGE)):
        rows = _find_rows(events, reader)
        for event in events:
            row = rows.get(event.record_id)
            if row is not None:
                _compare_row(event, row, store)
            else:
                kind = UNCHECKED if "," in event.record_id else MISSING
                store.add_finding(_create_finding(kind, event))
                store.mark_seen(event.event_type, event.record_id, None)
        store.commit()


def compare_customers(store: Store) -> None:
    """Find events under another customer than the others of that customer.

    Hyperline shows its own ids, so an event's customer is compared with that of others.
    """
    for event, usual, found in store.moved():
        details = store.find_details(DIFFERENT, event)
        details["customer_id"] = [usual, found]
        store.add_finding(_create_finding(DIFFERENT, event, details))
    store.commit()


def _limit(events: Sequence[Expected]) -> Sequence[Expected]:
    """Return the first *events*, as many as fit a query."""
    length = 0
    for number, event in enumerate(events):
        length += len(quote(event.record_id)) + 1
        if length > _MAX_QUERY:
            return events[: max(number, 1)]
    return events


def _find_rows(events: Sequence[Expected], reader: Reader) -> dict[str, Row]:
    """Return the rows of *events*, all of one type, by their ids."""
    ids = [event.record_id for event in events if "," not in event.record_id]
    rows = reader.find(events[0].event_type, ids) if ids else []
    for event in events:
        if "," in event.record_id:  # the ids in a query are separated by commas
            instant = Window(event.event_type, event.time, event.time + 1)
            rows += reader.rows(instant)
    return {encode_id(row["record_id"]): row for row in rows}


def encode_key(event: BillableEvent) -> EncodedKey:
    """Return the type and the id of *event*, as they are stored."""
    return encode_id(event.key.event_type), encode_id(event.key.record_id)


def encode_id(text: str) -> str:
    """Return *text* as it can be stored: lone surrogates are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def _split(window: Window, store: Store) -> Iterator[Window]:
    start = window.start
    while start < window.end:
        end = store.boundary(window._replace(start=start), _DEEP_WINDOW)
        yield window._replace(start=start, end=end)
        start = end


def _compare_counts(
    window: Window, store: Store, reader: Reader, total: int | None
) -> None:
    """Compare *window*, which has *total* rows if that is known."""
    if store.is_done(window):
        return
    expected = store.count(window)
    actual = reader.count(window) if total is None else total
    if actual == expected:
        store.finish(window, actual)
        return
    if max(actual, expected) <= LEAF or window.end - window.start <= 1:
        _compare_rows(window, store, reader)
        return
    middle = (window.start + window.end) // 2
    left, right = window._replace(end=middle), window._replace(start=middle)
    in_left = reader.count(left)
    _compare_counts(left, store, reader, in_left)
    _compare_counts(right, store, reader, actual - in_left)
    store.finish(window, actual)


def _compare_rows(window: Window, store: Store, reader: Reader) -> None:
    rows = reader.rows(window)
    copies = Counter(encode_id(row["record_id"]) for row in rows)
    for row in rows:
        record_id = encode_id(row["record_id"])
        event = store.find(window.event_type, record_id)
        if event is None:
            event = Expected(
                window.event_type,
                record_id,
                to_milliseconds(row["timestamp"]),
                str(row.get("customer_id")),
                b"",
            )
            store.add_finding(_create_finding(UNEXPECTED, event, _list_fields(row)))
            continue
        _compare_row(event, row, store)
        if copies[record_id] > 1:
            details = _list_fields(row) | {"copies": [1, copies[record_id]]}
            store.add_finding(_create_finding(UNEXPECTED, event, details))
    store.mark_compared(window)
    store.finish(window, len(rows))


def _list_fields(row: Row) -> dict[str, Any]:
    """Return the properties of a row that was not expected."""
    return {
        f"record.{name}": [None, value]
        for name, value in row["record"].items()
        if name != "id"
    }


def _compare_row(event: Expected, row: Row, store: Store) -> None:
    """Mark *event* as seen, and add a finding if the contents differ.

    Rows show customers as `cus_…`, see `compare_customers`.
    """
    details = find_differences(json.loads(event.body), row)
    customer = row.get("customer_id")
    if not isinstance(customer, str):
        details["customer_id"] = [event.customer, None]
        customer = None
    store.mark_seen(event.event_type, event.record_id, customer)
    if details:
        store.add_finding(_create_finding(DIFFERENT, event, details))


def find_differences(event: dict[str, Any], row: Row) -> dict[str, Any]:
    """Return the fields that differ, each with both values."""
    details: dict[str, Any] = {}
    times = to_milliseconds(event["timestamp"]), to_milliseconds(row["timestamp"])
    if times[0] != times[1]:
        details["timestamp"] = [event["timestamp"], row["timestamp"]]
    expected, actual = event["record"], row["record"]
    for name in dict.fromkeys((*expected, *actual)):
        values = [expected.get(name), actual.get(name)]
        is_present = name in expected and name in actual
        if not is_present or not _is_same(*values):
            details[f"record.{name}"] = values
    return details


def to_milliseconds(text: str) -> int:
    """Return the ISO 8601 time *text* in milliseconds since 1970."""
    return round(parse_time(text).timestamp() * 1_000)


def _is_same(left: Any, right: Any) -> bool:
    # For Python, True is 1.
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_is_same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _create_finding(
    kind: str, event: Expected, details: dict[str, Any] | None = None
) -> Finding:
    return Finding(
        kind,
        event.event_type,
        event.record_id,
        event.time,
        event.customer,
        details or {},
    )
