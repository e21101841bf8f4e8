"""Queues at a fake AWS that can stop working, and the messages in them."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.sqs.models import sqs_backends

from local_stack.segment_requests import write
from segment_to_hyperline.attributes import Attributes
from segment_to_hyperline.aws.messages import StoredEvent, create_messages
from segment_to_hyperline.quarantine.aws import Aws
from segment_to_hyperline.quarantine.queue import Queue
from segment_to_hyperline.quarantine.site import Site
from segment_to_hyperline.reasons import Code
from tests.aws_proxy import DENIED, AwsProxy
from tests.conftest import Queue as OwnQueue
from tests.samples import read_rules, track

RULES = read_rules('type = "track"\nrecord = { seats = "properties.seats" }')
STORED_AT = "2026-11-20T08:00:00+00:00"
ATTRIBUTES = Attributes(STORED_AT, "sandbox")


class Cut(AwsProxy):
    """A proxy that passes on some requests, and nothing afterwards: a killed command.

    The last one arrives, also if its response is lost.
    """

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.left: int | None = None
        self.loses_response = False

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Return the response, or an error after the last request."""
        if self.left is None:
            return super().answer(method, path, headers, body)
        self.left -= 1
        if self.left < 0:
            self.faults["*"] = DENIED
        answered = super().answer(method, path, headers, body)
        if self.left == 0 and self.loses_response:
            self.faults["*"] = DENIED
            return super().answer(method, path, headers, body)
        return answered

    def restore(self) -> None:
        """Pass on all requests again."""
        self.left = None
        self.faults.clear()


def create_site(quarantine: OwnQueue, replay: OwnQueue) -> Site:
    """Return the queues, which are read without waiting for more messages."""
    aws = Aws("us-east-1")
    return Site(
        aws,
        {},
        Queue(aws, "Quarantine", quarantine.url, 0),
        Queue(aws, "Replay", replay.url, 0),
    )


def event(number: int, **changes: Any) -> dict[str, Any]:
    """Return the event with this number."""
    return track(messageId=f"m-{number}", **changes)


def put(queue: OwnQueue, *groups: Sequence[Any], reason: str = "no customer") -> None:
    """Store a message for each of *groups* of events."""
    for group in groups:
        stored = [
            StoredEvent(write(each), reason, ATTRIBUTES, Code.EVENT_REJECTED)
            for each in group
        ]
        for message in create_messages(stored):
            attributes = {
                name: {"DataType": "String", "StringValue": value}
                for name, value in message.attributes.by_name().items()
            }
            queue.put(message.body, attributes)


def read_ids(messages: Iterable[dict[str, Any]]) -> Counter[str]:
    """Return the messageIds of the events in *messages*, and how often they are there.

    Each has its reason and its attributes.
    """
    ids = Counter[str]()
    for message in messages:
        content = json.loads(message["Body"])
        assert content["reason"] == "no customer"
        assert content["code"] == "event_rejected"
        values = message["MessageAttributes"]
        assert values["StoredAt"]["StringValue"] == STORED_AT
        assert values["Environment"]["StringValue"] == "sandbox"
        ids.update(each["messageId"] for each in content["events"])
    return ids


def make_visible(queue: OwnQueue) -> None:
    """Let 15 minutes pass, after which SQS shows what was received."""
    (backend,) = [each["us-east-1"] for each in sqs_backends.values()]
    for message in backend.queues[queue.url.rpartition("/")[2]]._messages:  # noqa: SLF001
        message.visible_at = 0.0
