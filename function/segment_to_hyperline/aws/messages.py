"""The messages in the queues: `{"reason": str, "events": [event, ...]}`.

Events keep the JSON text that Segment wrote.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from segment_to_hyperline.attributes import NO_ATTRIBUTES, Attributes
from segment_to_hyperline.batching import group_items
from segment_to_hyperline.elements import (
    SPACE,
    MalformedBody,
    check_end,
    decode_element,
    iterate_array,
    skip_space,
)

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
    """An event for a queue: its JSON as Segment wrote it, and the reason."""

    text: str
    reason: str
    attributes: Attributes = NO_ATTRIBUTES


class Message(NamedTuple):
    """The body of a message, and the events in it."""

    events: tuple[StoredEvent, ...]
    body: str
    attributes: Attributes

    def size(self) -> int:
        """Return the bytes of the message, with its attributes."""
        return len(self.body.encode()) + _attributes_size(self.attributes)


def create_messages(events: Iterable[StoredEvent]) -> Iterator[Message]:
    """Yield messages with *events*; each has one reason, and as many events as fit.

    An isolated event, and one that is larger than `MAX_SHARED_BYTES`, gets a message of
    its own.
    """
    groups = defaultdict(list)
    for number, event in enumerate(events):
        alone = number if event.attributes.isolated_at else None
        groups[event.reason, event.attributes, alone].append(event)
    for (reason, attributes, _), same in groups.items():
        head = f'{{"reason": {json.dumps(reason)}, "events": ['
        for group in group_items(
            same,
            lambda event: event_size(event.text) + 1,
            max_items=sys.maxsize,
            max_bytes=MAX_SHARED_BYTES - len(head) - 1 - _attributes_size(attributes),
        ):
            texts = ",".join(_escape(event.text) for event in group)
            yield Message(tuple(group), f"{head}{texts}]}}", attributes)


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
