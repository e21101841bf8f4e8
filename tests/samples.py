"""Sample events, as Segment's SDKs write them, and what they are billed as."""

import time
from datetime import timedelta
from typing import Any

from local_stack.invocations import create_sqs_record
from segment_to_hyperline.attributes import NO_ATTRIBUTES, Attributes
from segment_to_hyperline.mapping import file
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.segment.times import format_time
from tests.clock import NOW

# So recent that the events are not parked.
RECENTLY = format_time(NOW)
# A month earlier, so that a test can also let Segment receive the event days ago.
TIMESTAMP = format_time(NOW - timedelta(days=30))


def track(**changes: Any) -> dict[str, Any]:
    """Return a track event that the mapping bills, with *changes*."""
    event = {
        "anonymousId": None,
        "channel": "server",
        "context": {"groupId": "account-7"},
        "event": "Seats Added",
        "integrations": {},
        "messageId": "node-next-1768555859208-e1640791",
        "originalTimestamp": TIMESTAMP,
        "properties": {"seats": 3, "plan": "team"},
        "receivedAt": RECENTLY,
        "sentAt": "2026-01-16T09:31:06.181Z",
        "timestamp": TIMESTAMP,
        "type": "track",
        "userId": "customer-42",
    }
    return event | changes


def without(*names: str) -> dict[str, Any]:
    """Return `track()` without the fields *names*."""
    return {name: value for name, value in track().items() if name not in names}


# The billable event for `track()`.
BILLABLE: dict[str, Any] = {
    "customer_id": "customer-42",
    "event_type": "Seats Added",
    "timestamp": TIMESTAMP,
    "record": {
        "seats": 3,
        "plan": "team",
        "id": "node-next-1768555859208-e1640791",
    },
}


def read_rules(*tables: str) -> Rules:
    """Return the rules of a mapping file with *tables*, each the TOML of one rule."""
    text = "".join(f"[[rules]]\n{table}\n" for table in tables)
    return file.parse_rules(text.encode(), "mapping.toml")


def sqs_batch(
    *bodies: str,
    receives: int = 1,
    sent: int | None = None,
    stored_at: str = "",
    environment: str = "",
    isolated_at: str = "",
) -> dict[str, Any]:
    """Return the event that Lambda passes to the Replayer for messages in Replay.

    *sent* is in milliseconds since 1970, by default now.
    """
    attributes = Attributes(stored_at, environment, isolated_at)
    return {
        "Records": [
            sqs_record(body, receives, sent, attributes, number)
            for number, body in enumerate(bodies)
        ]
    }


def sqs_record(
    body: str,
    receives: int = 1,
    sent: int | None = None,
    attributes: Attributes = NO_ATTRIBUTES,
    number: int = 0,
) -> dict[str, Any]:
    """Return message *number* of Replay as Lambda passes it."""
    now = int(time.time() * 1_000)
    message = {
        "MessageId": str(number),
        "ReceiptHandle": f"handle-{number}",
        "Body": body,
        "Attributes": {
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": str(now if sent is None else sent),
        },
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in attributes.by_name().items()
        },
    }
    return create_sqs_record(message)
