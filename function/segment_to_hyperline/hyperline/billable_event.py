"""Billable events: what the mapping returns and Hyperline accepts."""

import json
from typing import Any, NamedTuple, Self, TypedDict

# Hyperline documents no limit in bytes; this one is ours. Segment's own limit for an
# event is 32 KB.
MAX_EVENT_BYTES = 256 * 1024

_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
# What `_ENCODER.encode` would create for each event, which takes half as long as to
# encode it. ASCII only, so that even a lone surrogate arrives as Segment wrote it.
_encode = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None,  # no check for circular references, which decoded JSON can't have
    _ENCODER.default,
    json.encoder.encode_basestring_ascii,
    _ENCODER.indent,
    _ENCODER.key_separator,
    _ENCODER.item_separator,
    _ENCODER.sort_keys,
    _ENCODER.skipkeys,
    _ENCODER.allow_nan,
)
# Without the detection of an encoding in `json.loads`.
_decode = json.JSONDecoder().decode


class Fields(TypedDict):
    """The fields of a billable event, as `POST /v1/events` accepts them."""

    # https://docs.hyperline.co/api-reference/endpoints/billable-events/create-billable-event
    customer_id: str
    """The customer who is billed: Hyperline's id (`cus_…`), or an external id."""
    event_type: str
    """What was used, such as `Seats Added`; Hyperline's prices refer to it."""
    timestamp: str
    """The time of the usage in ISO 8601, which decides the invoice."""
    record: dict[str, Any]
    """The properties that prices are computed from, and the event's `id`."""


class Key(NamedTuple):
    """The identity of an event: if two events share a key, the later one wins."""

    # https://docs.hyperline.co/docs/usage/send-your-usage-data
    event_type: str
    record_id: str


class BillableEvent(NamedTuple):
    """A billable event, encoded once: its bytes are measured, posted and compared.

    The fields are not kept beside the bytes, because a request with a long array would
    then need up to 80% more memory. `fields` reads them from the bytes.
    """

    key: Key
    """By which the response is matched, and Hyperline overwrites."""
    json: bytes
    """The body of `POST /v1/events`, in ASCII and without spaces."""

    @classmethod
    def create(cls, fields: Fields) -> Self:
        """Return the billable event with *fields*, whose record has an `id`.

        Raises ValueError if the record contains a number that JSON can't represent.
        """
        key = Key(fields["event_type"], fields["record"]["id"])
        return cls(key, "".join(_encode(fields, 0)).encode())

    def fields(self) -> Fields:
        """Return the fields, read from the JSON."""
        return read_fields(self.json)


def read_fields(body: bytes) -> Fields:
    """Return the fields in the JSON *body* of a billable event."""
    fields: Fields = _decode(body.decode())
    return fields
