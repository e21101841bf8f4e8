"""Read and delete the events that the probe has written."""

from collections.abc import Sequence
from functools import partial
from itertools import batched
from typing import Any

from segment_to_hyperline.hyperline.facts import EVENT_PATH
from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.events import MAX_DELETED, Events
from segment_to_hyperline.reconciliation.api.failures import (
    NOT_DOCUMENTED,
    NOT_FILTERED,
    Failure,
)

_READ = Endpoint("GET", EVENT_PATH, "read billable events")

type Event = dict[str, Any]
type Row = dict[str, Any]


class StoredEvents:
    """The events in the sandbox, as Hyperline returns them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._events = Events(client)

    def read(
        self, events: Sequence[Event], take: int = 100, skip: int = 0
    ) -> list[Row]:
        """Return the rows of *events*, which have the same type, by time."""
        ids = [event["record"]["id"] for event in events]
        query = {
            "event_type": events[0]["event_type"],
            "record_id__in": ",".join(ids),
            "sort": "timestamp",
            "order": "asc",
            "take": str(take),
            "skip": str(skip),
        }
        return self._client.get(_READ, query, partial(_parse_rows, ids))

    def count(self, event_type: str) -> int:
        """Return the number of events of a type."""
        query = {"event_type": event_type, "take": "0"}
        return self._client.get(_READ, query, _parse_total)

    def delete(self, record_ids: Sequence[str]) -> None:
        """Delete the events with these ids."""
        for some in batched(record_ids, MAX_DELETED):
            self._events.delete(some)


def _parse_total(content: Any) -> int | Failure:
    match content:
        case {"meta": {"total": int(total)}}:
            return total
        case _:
            return NOT_DOCUMENTED


def _parse_rows(record_ids: Sequence[str], content: Any) -> list[Row] | Failure:
    """Return the rows in a response, if they are those of *record_ids*."""
    match content:
        case {"data": [*rows]} if all(isinstance(row, dict) for row in rows):
            is_right = all(row.get("record_id") in record_ids for row in rows)
            return rows if is_right else NOT_FILTERED
        case _:
            return NOT_DOCUMENTED
