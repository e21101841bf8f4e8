"""Read the event back from Hyperline's sandbox, compare it, and delete it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from segment_to_hyperline.doctor.findings import Result
from segment_to_hyperline.doctor.send.steps import Step
from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.billable_event import BillableEvent, Key
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.reconciliation.api.client import Client, Patience
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import (
    MAX_DELETED,
    Events,
    TooManyRows,
    fit_queries,
)
from segment_to_hyperline.reconciliation.api.failures import (
    AccessError,
    HyperlineUnavailable,
)
from segment_to_hyperline.reconciliation.api.pace import Pace
from segment_to_hyperline.reconciliation.api.rows import Row, read_milliseconds
from segment_to_hyperline.reconciliation.evaluation import find_differences
from segment_to_hyperline.reconciliation.expected.versions import Expected
from segment_to_hyperline.text import cut, format_count, make_printable

_READ, _DELETE = "read back", "delete"
# The seconds before each look but the first: what is accepted is stored soon.
PAUSES = (1, 2, 3, 4, 5, 5)
_PATIENCE = Patience(success=20, connection=5, response=10)
_FAILURES: tuple[type[Error], ...] = (AccessError, HyperlineUnavailable, TooManyRows)
_MOST_SHOWN = 5
_MOST_CHARACTERS = 300
# Only what this run has sent is compared, so no customer is known by another id.
_UNKNOWN_CUSTOMERS = Customers({})
_NOT_FOUND = (
    "look for record.id in Hyperline, first in the sandbox; if the secret had another"
    " key in the last 5 minutes, the event can be in the environment of that key:"
    " delete it there"
)

_NOT_BILLED_HERE = Step(
    Result.UNKNOWN,
    _READ,
    "the mapping that this command has read doesn't bill the event, so that it isn't"
    " known what to read",
    "pass the deployed mapping with --mapping",
)
_DELETED = Step(
    Result.OK,
    _DELETE,
    "Hyperline confirmed the deletion, and returns none of the events",
)

type Rows = Mapping[Key, Sequence[Row]]


class Found(NamedTuple):
    """What was read back."""

    step: Step
    is_stored: bool
    """Whether something is stored, as far as it is known."""


class Stored:
    """What Hyperline has stored of the event *message_id* at *endpoint*.

    The mapping bills it as *billable*. *sleep* waits for so many seconds. Raises
    `AccessError` if the key can't be sent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        message_id: str,
        billable: Sequence[BillableEvent],
        sleep: Callable[[float], None],
    ) -> None:
        client = Client(endpoint.url, endpoint.api_key, Pace(), patience=_PATIENCE)
        self._events = Events(client)
        self._message_id = message_id
        self._billable = billable
        self._sleep = sleep

    @property
    def record_ids(self) -> list[str]:
        """The ids that the events can have, of which no other event has one."""
        ids = [each.key.record_id for each in self._billable]
        return list(dict.fromkeys([*ids, self._message_id]))

    def read(self, pauses: Sequence[float], *, is_delivered: bool) -> Found:
        """Return how what is stored compares with what was sent.

        After each of *pauses*, it is read again if something is missing.
        """
        if not self._billable:
            return Found(_NOT_BILLED_HERE, is_stored=is_delivered)
        rows: Rows = {}
        try:
            for seconds in (0, *pauses):
                self._sleep(seconds)
                rows = self._find()
                if all(each.key in rows for each in self._billable):
                    break
        except _FAILURES as error:
            return Found(_explain(_READ, error), is_stored=True)
        if not rows and not is_delivered:
            step = Step(Result.OK, _READ, "Hyperline stored nothing of the event")
            return Found(step, is_stored=False)
        step = compare(self._billable, rows)
        # The deployed mapping can have another event type, so that it isn't found.
        return Found(step, is_stored=bool(rows) or is_delivered)

    def delete(self, pauses: Sequence[float]) -> Step:
        """Delete the events, and return the step that says whether they are gone."""
        ids = self.record_ids
        try:
            for start in range(0, len(ids), MAX_DELETED):
                self._events.delete(ids[start : start + MAX_DELETED])
            for seconds in (0, *pauses):
                self._sleep(seconds)
                if not self._find():
                    return _DELETED
        except _FAILURES as error:
            return _explain(_DELETE, error)
        return Step(
            Result.UNKNOWN,
            _DELETE,
            "Hyperline confirmed the deletion, and still returns the events",
            f"look again later for {describe_ids(ids)}",
        )

    def _find(self) -> Rows:
        by_type = defaultdict(list)
        for each in self._billable:
            by_type[each.key.event_type].append(each.key.record_id)
        found = defaultdict(list)
        for event_type, ids in by_type.items():
            for group in fit_queries(ids):
                for row in self._events.find(event_type, group):
                    found[Key(event_type, row.record_id)].append(row)
        return found


def compare(billable: Sequence[BillableEvent], rows: Rows) -> Step:
    """Return the step that compares *billable* events with the *rows* stored."""
    missing = [each.key.record_id for each in billable if not rows.get(each.key)]
    if missing:
        return Step(
            Result.WRONG if len(missing) < len(billable) else Result.UNKNOWN,
            _READ,
            f"Hyperline doesn't return {describe_ids(missing)}",
            _NOT_FOUND,
        )
    different = {
        field
        for each in billable
        for row in rows[each.key]
        for field in _find_differences(each, row)
    }
    if different:
        shown = cut(", ".join(map(make_printable, sorted(different))), _MOST_CHARACTERS)
        return Step(
            Result.WRONG,
            _READ,
            f"Hyperline stored something else than the mapping bills: {shown}",
            "deploy the mapping that this command has read, or pass the deployed one",
        )
    number = format_count(len(billable), "event")
    evidence = "with the event type, record and timestamp that the mapping bills"
    return Step(Result.OK, _READ, f"Hyperline stored {number}, {evidence}")


def describe_ids(ids: Sequence[str]) -> str:
    """Return the first of *ids* as text."""
    more = f" and {len(ids) - _MOST_SHOWN:,} more" if len(ids) > _MOST_SHOWN else ""
    return f"record.id {', '.join(ids[:_MOST_SHOWN])}{more}"


def _find_differences(billable: BillableEvent, row: Row) -> Iterable[str]:
    """Return the names of the fields in which *row* differs."""
    fields = billable.fields()
    expected = Expected(
        *billable.key,
        message_id="",
        time=read_milliseconds(fields["timestamp"]) or 0,
        customer=fields["customer_id"],
        body=billable.json,
    )
    return find_differences(expected, row, _UNKNOWN_CUSTOMERS)


def _explain(name: str, error: Error) -> Step:
    return Step(Result.UNKNOWN, name, "Hyperline can't be used", str(error))
