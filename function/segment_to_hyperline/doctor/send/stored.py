"""Read the event back from Hyperline's sandbox, compare it, and delete it."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from segment_to_hyperline.doctor.findings import Result
from segment_to_hyperline.doctor.send.steps import Step
from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.billable_event import BillableEvent, Key
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.mapping.apply import MAX_ITEMS
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
_PREVIOUS_KEY = (
    "if the secret had another key in the last 5 minutes, the event can be in the"
    " environment of that key: delete it there"
)
_NOT_FOUND = f"look for record.id in Hyperline, first in the sandbox; {_PREVIOUS_KEY}"

_OTHER_MAPPING = (
    "deploy the mapping that this command has read, or pass the deployed one with"
    " --mapping"
)
# An event is only found by its event type, which the deployed mapping chooses.
_NOT_KNOWN = Step(
    Result.UNKNOWN,
    _READ,
    "nothing of the event was found in Hyperline, but the deployed mapping can bill it"
    " with an event type that this command doesn't know",
    f"delete it anyway, since a deletion needs no event type; {_PREVIOUS_KEY}",
)
_DELETED_UNSEEN = Step(
    Result.UNKNOWN,
    _DELETE,
    "Hyperline confirmed the deletion of all ids that the event can have, but without"
    " the event type it can't be checked",
    "look for the id in Hyperline",
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

    The mapping of this command bills it as *billable*, and the deployed one with the
    keys of *deployed*, if these are known. *sleep* waits for so many seconds. Raises
    `AccessError` if the key can't be sent.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        message_id: str,
        billable: Sequence[BillableEvent],
        sleep: Callable[[float], None],
        deployed: Collection[Key] | None = None,
    ) -> None:
        client = Client(endpoint.url, endpoint.api_key, Pace(), patience=_PATIENCE)
        self._events = Events(client)
        self._message_id = message_id
        self._billable = billable
        self._sleep = sleep
        own = [each.key for each in billable]
        self._expected = own if deployed is None else [*deployed]
        self._wanted = list(dict.fromkeys([*own, *self._expected]))
        # Whether the events have no other keys.
        self._is_known = deployed is not None
        # Hyperline's ids of the customers who have the events that were read.
        self.customers: set[str | None] = set()

    @property
    def record_ids(self) -> list[str]:
        """All ids that a mapping can give the events; no other event has one."""
        items = (f"{self._message_id}:{index}" for index in range(MAX_ITEMS))
        return [self._message_id, *items]

    def read(self, pauses: Sequence[float], *, is_delivered: bool) -> Found:
        """Return how what is stored compares with what was sent.

        After each of *pauses*, it is read again if something is missing.
        """
        rows: Rows = {}
        try:
            for seconds in (0, *pauses):
                self._sleep(seconds)
                rows = self._find()
                if all(key in rows for key in self._expected):
                    break
        except _FAILURES as error:
            return Found(_explain(_READ, error), is_stored=True)
        self.customers = {row.customer for found in rows.values() for row in found}
        if rows:
            self._is_known |= all(key in rows for key in self._expected)
            return Found(compare(self._billable, rows), is_stored=True)
        if not self._is_known:
            return Found(_NOT_KNOWN, is_stored=True)
        if is_delivered:
            missing = _describe_missing(self._expected, Result.UNKNOWN)
            return Found(missing, is_stored=True)
        step = Step(Result.OK, _READ, "Hyperline stored nothing of the event")
        return Found(step, is_stored=False)

    def delete(self, pauses: Sequence[float]) -> Step:
        """Delete the events, and return the step that says whether they are gone."""
        ids = self.record_ids
        try:
            for start in range(0, len(ids), MAX_DELETED):
                self._events.delete(ids[start : start + MAX_DELETED])
            for seconds in (0, *pauses):
                self._sleep(seconds)
                if not self._find():
                    return _DELETED if self._is_known else _DELETED_UNSEEN
        except _FAILURES as error:
            return _explain(_DELETE, error)
        return Step(
            Result.UNKNOWN,
            _DELETE,
            "Hyperline confirmed the deletion, and still returns the events",
            f"look again later for {describe_ids(self._message_id)}",
        )

    def _find(self) -> Rows:
        by_type = defaultdict(list)
        for event_type, record_id in self._wanted:
            by_type[event_type].append(record_id)
        found = defaultdict(list)
        for event_type, ids in by_type.items():
            for group in fit_queries(ids):
                for row in self._events.find(event_type, group):
                    found[Key(event_type, row.record_id)].append(row)
        return found


def compare(billable: Sequence[BillableEvent], rows: Rows) -> Step:
    """Return the step that compares *billable* events with the *rows* stored."""
    missing = [each.key for each in billable if not rows.get(each.key)]
    if others := rows.keys() - {each.key for each in billable}:
        return Step(
            Result.WRONG,
            _READ,
            f"Hyperline stored {_list_ids(sorted(others))} with another id or event"
            " type than the mapping of this command bills",
            _OTHER_MAPPING,
        )
    if missing:
        return _describe_missing(missing, Result.WRONG)
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
            _OTHER_MAPPING,
        )
    number = format_count(len(billable), "event")
    evidence = "with the event type, record and timestamp that the mapping bills"
    return Step(Result.OK, _READ, f"Hyperline stored {number}, {evidence}")


def describe_ids(message_id: str) -> str:
    """Return the ids that the events can have, for people."""
    return f"record.id {message_id}, or that with a colon and a number"


def _describe_missing(keys: Sequence[Key], result: Result) -> Step:
    evidence = f"Hyperline doesn't return {_list_ids(keys)}"
    return Step(result, _READ, evidence, _NOT_FOUND)


def _list_ids(keys: Sequence[Key]) -> str:
    """Return the first ids of *keys* as text."""
    ids = [key.record_id for key in keys]
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
