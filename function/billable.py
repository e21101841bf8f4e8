"""The billable event: what the mapping makes and Hyperline takes."""

import json
from typing import Any, NamedTuple, Self


class Key(NamedTuple):
    """What Hyperline knows an event by: of two with one key it keeps the later."""

    # https://docs.hyperline.co/docs/usage/send-your-usage-data
    event_type: str
    record_id: str


class BillableEvent(NamedTuple):
    """A billable event: its key, and its JSON as `POST /v1/events` takes it."""

    key: Key
    json: bytes

    @classmethod
    def of(
        cls, key: Key, *, customer_id: str, timestamp: str, record: dict[str, Any]
    ) -> Self:
        """Write the event; nothing in *record* can replace its `id`.

        Raises ValueError for a number that JSON has no way to write.
        """
        # https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
        billable = {
            "customer_id": customer_id,
            "event_type": key.event_type,
            "timestamp": timestamp,
            "record": record | {"id": key.record_id},
        }
        return cls(key, _write(billable).encode())


# ASCII, so that even a lone surrogate arrives as Segment wrote it.
_write = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
