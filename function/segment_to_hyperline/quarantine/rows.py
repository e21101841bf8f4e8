"""What Hyperline has under the keys of billable events."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.quarantine.edits import Edit
from segment_to_hyperline.quarantine.waiting import Place
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.lookup import look_up_types
from segment_to_hyperline.reconciliation.api.rows import (
    Row,
    encode_text,
    read_milliseconds,
)
from segment_to_hyperline.reconciliation.evaluation import find_differences
from segment_to_hyperline.reconciliation.expected.versions import Expected

# The rows by event type and encoded record.id.
type Rows = Mapping[tuple[str, str], Sequence[Row]]


def find_rows(events: Events, billable: Iterable[BillableEvent]) -> Rows:
    """Return the rows with the keys of *billable*; raises as `Client.get`."""
    times: dict[str, dict[str, int]] = defaultdict(dict)
    for each in billable:
        moment = read_milliseconds(each.fields()["timestamp"]) or 0
        times[each.key.event_type][encode_text(each.key.record_id)] = moment
    return look_up_types(events, times)


def is_stored(billable: BillableEvent, rows: Rows, customers: Customers) -> bool:
    """Return whether Hyperline has it, and not another version of it."""
    fields, key = billable.fields(), billable.key
    record_id = encode_text(key.record_id)
    time = read_milliseconds(fields["timestamp"]) or 0
    names = key.event_type, record_id, record_id
    expected = Expected(*names, time, fields["customer_id"], billable.json)
    return any(
        not find_differences(expected, row, customers)
        for row in _select(billable, rows)
    )


def find_replacing(
    edits: Iterable[Edit], events: Events, customers: Customers
) -> set[Place]:
    """Return the events that would replace another event, by their new identity.

    One that Hyperline has already as it was edited replaces nothing. Raises as
    `Client.get`.
    """
    changed = {e.waiting.place: e.verdict.billable for e in edits if e.new_identity}
    rows = find_rows(events, chain.from_iterable(changed.values()))
    return {
        place
        for place, billable in changed.items()
        for each in billable
        if _select(each, rows) and not is_stored(each, rows, customers)
    }


def _select(billable: BillableEvent, rows: Rows) -> Sequence[Row]:
    key = billable.key
    return rows.get((key.event_type, encode_text(key.record_id)), ())
