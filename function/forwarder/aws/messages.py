"""The messages in the queues: `{"reason": str, "events": [event, ...]}`.

Events keep the JSON text that Segment wrote. Pure: no network, no clock.
"""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from forwarder.batching import group_items
from forwarder.elements import (
    SPACE,
    MalformedBody,
    decode_element,
    decode_text,
    decode_value,
    iterate_array,
)

# Those who read the queue rely on this limit; every tool for SQS supports it.
MAX_MESSAGE_BYTES = 256 * 1024

# The name, type and value of the attribute with the time, at most.
_ATTRIBUTE_BYTES = 64
_OBJECT_START = re.compile(rf"[{SPACE}]*\{{[{SPACE}]*")
_COLON = re.compile(rf"[{SPACE}]*:[{SPACE}]*")
_COMMA = re.compile(rf"[{SPACE}]*,[{SPACE}]*")


class StoredEvent(NamedTuple):
    """An event for a queue: its JSON as Segment wrote it, and the reason.

    *stored_at* is when it was first stored in a queue, as an ISO 8601 time.
    """

    text: str
    reason: str
    stored_at: str


class Message(NamedTuple):
    """The body of a message, and the events in it."""

    events: tuple[StoredEvent, ...]
    body: str
    stored_at: str

    def size(self) -> int:
        """Return the bytes of the body."""
        return len(self.body.encode())

    def total_size(self) -> int:
        """Return the bytes of the message, at most, with its attribute."""
        return self.size() + _ATTRIBUTE_BYTES


def create_messages(events: Iterable[StoredEvent]) -> Iterator[Message]:
    """Yield messages with *events*; each has one reason, and as many events as fit."""
    groups = defaultdict(list)
    for event in events:
        groups[event.reason, event.stored_at].append(event)
    for (reason, stored_at), same in groups.items():
        head = f'{{"reason": {json.dumps(reason)}, "events": ['
        for group in group_items(
            same,
            lambda event: len(_escape(event.text).encode()) + 1,
            max_items=sys.maxsize,
            max_bytes=MAX_MESSAGE_BYTES - len(head) - 1,
        ):
            texts = ",".join(_escape(event.text) for event in group)
            yield Message(tuple(group), f"{head}{texts}]}}", stored_at)


def parse_message(body: str) -> list[str]:
    """Return the JSON texts of the events in a message's *body*.

    Raises `MalformedBody` if it isn't a message as `create_messages` creates them.
    """
    try:
        match decode_text(body):
            case {"events": [_, *_]}:
                start = _find_events(body)
            case _:
                raise MalformedBody('not {"reason": str, "events": [event, ...]}')
        return [e.text for e, _ in iterate_array(body, decode_element, start)]
    except json.JSONDecodeError as error:
        raise MalformedBody(f"not JSON: {error.msg} (character {error.pos})") from error
    except RecursionError as error:
        raise MalformedBody("the message is nested too deeply") from error


def _find_events(body: str) -> int:
    """Return where the last value with the key `events` begins in the object *body*."""
    found = 0
    separator = _OBJECT_START.match(body)
    while separator:
        key, end = decode_value(body, separator.end())
        colon = _COLON.match(body, end)
        start = colon.end() if colon else end
        if key == "events":
            found = start
        separator = _COMMA.match(body, decode_value(body, start)[1])
    return found


def _escape(text: str) -> str:
    # SQS rejects messages with these two characters; in JSON they can be escaped.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    return text.replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")
