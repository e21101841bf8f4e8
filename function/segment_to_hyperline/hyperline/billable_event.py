"""Billable events: what the mapping returns and Hyperline accepts."""

import json
from typing import Any, NamedTuple, Self

# Hyperline documents no limit in bytes; this one is ours. Segment's own limit for an
# event is 32 KB.
MAX_EVENT_BYTES = 256 * 1024

# ASCII only, so that even a lone surrogate arrives as Segment wrote it.
_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Key(NamedTuple):
    """The identity of an event: if two events share a key, the later one wins."""

    # https://docs.hyperline.co/docs/usage/send-your-usage-data
    event_type: str
    record_id: str


class BillableEvent(NamedTuple):
    """A billable event: its key, and its JSON for `POST /v1/events`."""

    key: Key
    json: bytes

    @classmethod
    def create(
        cls, key: Key, *, customer_id: str, timestamp: str, record: dict[str, Any]
    ) -> Self:
        """Return the billable event; an `id` in *record* doesn't replace the key's.

        *timestamp* is an ISO 8601 time. Raises ValueError if *record* contains a number
        that JSON can't represent.
        """
        # https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
        content = {
            "customer_id": customer_id,
            "event_type": key.event_type,
            "timestamp": timestamp,
            "record": record | {"id": key.record_id},
        }
        return cls(key, _to_json(content).encode())
