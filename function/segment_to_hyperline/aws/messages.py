"""The messages in the queues: `{"code": str, "reason": str, "events": [event, ...]}`.

Events keep the JSON text that Segment wrote. Messages of version 0.1.0 have no code.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from segment_to_hyperline.attributes import (
    NO_ATTRIBUTES,
    Attributes,
    read_time,
    write_time,
)
from segment_to_hyperline.batching import group_items
from segment_to_hyperline.elements import (
    SPACE,
    MalformedBody,
    check_end,
    decode_element,
    iterate_array,
    skip_space,
)
from segment_to_hyperline.reasons import Code

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_MESSAGE_BYTES = 1024 * 1024
# Of a message with several events. A person can open such a message in any tool for
# SQS, and an invocation of the Replayer, with 6 MB, can combine many of them.
MAX_SHARED_BYTES = 256 * 1024
# The rest of a message is for the reason and the attributes, which can be longer when
# the event is moved to another message.
MAX_EVENT_BYTES = MAX_MESSAGE_BYTES - 16 * 1024

ATTRIBUTE_TYPE = "String"
_OBJECT_START = re.compile(rf"[{SPACE}]*\{{[{SPACE}]*+(?!\}})")
_COLON = re.compile(rf"[{SPACE}]*:[{SPACE}]*")
_COMMA = re.compile(rf"[{SPACE}]*,[{SPACE}]*")


class StoredEvent(NamedTuple):
    """An event for a queue."""

    text: str
    """Its JSON as Segment wrote it."""
    reason: str
    """Why it is stored; it can have values of the event."""
    attributes: Attributes = NO_ATTRIBUTES
    code: Code | None = None
    """The code of the reason."""


class Message(NamedTuple):
    """A message for a queue."""

    body: str
    attributes: Attributes
    positions: tuple[int, ...] = ()
    """The positions of its events among those that are stored."""

    def size(self) -> int:
        """Return the bytes of the message, with its attributes."""
        return len(self.body.encode()) + _attributes_size(self.attributes)


class ReceivedMessage(NamedTuple):
    """A message as SQS delivered it."""

    id: str
    receipt_handle: str
    body: str
    sent_at: float
    """When it was sent to the queue, as a Unix timestamp."""
    receives: int
    """How often it was received."""
    attributes: Attributes = NO_ATTRIBUTES

    @property
    def first_sent_at(self) -> float:
        """When its events were first stored, as a Unix timestamp."""
        return read_time(self.attributes.stored_at, self.sent_at)

    @property
    def event_attributes(self) -> Attributes:
        """The attributes of its events; those of version 0.1.0 had no time."""
        if self.attributes.stored_at:
            return self.attributes
        return self.attributes._replace(stored_at=write_time(self.sent_at))

    @property
    def isolated_at(self) -> float | None:
        """Since when its event is isolated, as a Unix timestamp; None if it isn't."""
        text = self.attributes.isolated_at
        return read_time(text, self.sent_at) if text else None


def create_messages(events: Iterable[StoredEvent]) -> Iterator[Message]:
    """Yield messages with *events*; each has one reason, and as many events as fit.

    An isolated event, and one that is larger than `MAX_SHARED_BYTES`, gets a message of
    its own.
    """
    groups = defaultdict(list)
    for number, event in enumerate(events):
        alone = number if event.attributes.isolated_at else None
        key = event.code, event.reason, event.attributes, alone
        groups[key].append((number, event.text))
    for (code, reason, attributes, _), same in groups.items():
        fields = json.dumps(({"code": code} if code else {}) | {"reason": reason})
        head = f'{fields[:-1]}, "events": ['
        for group in group_items(
            same,
            lambda event: event_size(event[1]) + 1,
            max_items=sys.maxsize,
            max_bytes=MAX_SHARED_BYTES - len(head) - 1 - _attributes_size(attributes),
        ):
            positions, texts = zip(*group, strict=True)
            body = f"{head}{','.join(map(_escape, texts))}]}}"
            yield Message(body, attributes, positions)


def event_size(text: str) -> int:
    """Return the bytes of the event *text* in a message."""
    return len(_escape(text).encode())


def parse_message(body: str) -> list[str]:
    """Return the JSON texts of the events in a message's *body*.

    Raises `MalformedBody` if it isn't a message as `create_messages` creates them.
    """
    try:
        start = _find_events(body)
        return [e.text for e, _ in iterate_array(body, decode_element, start)]
    except json.JSONDecodeError as error:
        raise MalformedBody(f"not JSON: {error.msg} (character {error.pos})") from error


def _find_events(body: str) -> int:
    """Return where the last value with the key `events` begins in the object *body*."""
    _, end = decode_element(body, skip_space(body))
    check_end(body, end)
    found = 0
    separator = _OBJECT_START.match(body)
    while separator:
        key, end = decode_element(body, separator.end())
        colon = _COLON.match(body, end)
        start = colon.end() if colon else end
        if key.data == "events":
            found = start
        separator = _COMMA.match(body, decode_element(body, start)[1])
    if not found:
        raise MalformedBody('not {"reason": str, "events": [event, ...]}')
    return found


def _attributes_size(attributes: Attributes) -> int:
    # The name, the type and the value of each count.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    return sum(
        len(name) + len(ATTRIBUTE_TYPE) + len(value.encode())
        for name, value in attributes.by_name().items()
    )


def _escape(text: str) -> str:
    # SQS rejects messages with these two characters; in JSON they can be escaped.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    return text.replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")
