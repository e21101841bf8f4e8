"""Keep the events that can't be billed as they are, each with its reason."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

import aws
from batching import fill
from deadline import Deadline, TimeUp

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

# What readers of the queue rely on, and what SQS takes in one call everywhere.
MAX_MESSAGE_BYTES = 256 * 1024
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_MAX_REQUEST_MESSAGES = 10
_ATTEMPTS = 3


class Refused(NamedTuple):
    """An event that can't be billed: the JSON Segment wrote, and what is wrong."""

    text: str
    reason: str


class _Message(NamedTuple):
    refused: tuple[Refused, ...]
    body: str


def keep(
    events: Iterable[Refused], queue_url: str, deadline: Deadline
) -> dict[Refused, str]:
    """Put *events* into the queue; return those that are not there, and why.

    A message holds one reason and as many of its events as fit:
    `{"reason": str, "events": [event, ...]}`, at most `MAX_MESSAGE_BYTES` long.
    Messages that SQS did not take are sent again, a few times and while there is time.
    """
    unsent = dict.fromkeys(_messages(events), "")
    for _ in range(_ATTEMPTS):
        unsent = _send_all(unsent, queue_url, deadline)
    return {event: why for message, why in unsent.items() for event in message.refused}


def _send_all(
    messages: Iterable[_Message], queue_url: str, deadline: Deadline
) -> dict[_Message, str]:
    """Send *messages*; return why not for each that is not in the queue."""
    unsent: dict[_Message, str] = {}
    for request in fill(
        messages, _size, most=_MAX_REQUEST_MESSAGES, limit=MAX_MESSAGE_BYTES
    ):
        unsent |= _send(request, queue_url, deadline)
    return unsent


def _messages(events: Iterable[Refused]) -> Iterator[_Message]:
    by_reason = defaultdict(list)
    for event in events:
        by_reason[event.reason].append(event)
    for reason, refused in by_reason.items():
        head = f'{{"reason": {json.dumps(reason)}, "events": ['
        for group in fill(
            refused,
            lambda event: len(_storable(event.text).encode()) + 1,
            most=sys.maxsize,
            limit=MAX_MESSAGE_BYTES - len(head) - 1,
        ):
            texts = ",".join(_storable(event.text) for event in group)
            yield _Message(tuple(group), f"{head}{texts}]}}")


def _storable(text: str) -> str:
    # SQS takes no message with these two characters; JSON can spell them out.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    return text.replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")


def _send(
    messages: Sequence[_Message], queue_url: str, deadline: Deadline
) -> dict[_Message, str]:
    """Send *messages* in one call; return why not for each that is not in the queue."""
    if _size(messages[0]) > MAX_MESSAGE_BYTES:  # it is alone
        return {messages[0]: "the event is too large for the Quarantine queue"}
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(index), "MessageBody": message.body}
        for index, message in enumerate(messages)
    ]
    send = partial(aws.sqs.send_message_batch, QueueUrl=queue_url, Entries=entries)
    try:
        reply = deadline.run(send)
    except (ClientError, BotoCoreError, TimeUp) as error:
        return dict.fromkeys(messages, _unwritable(aws.code(error)))
    # Only what SQS names is there; a reply without names comes from somebody else.
    there = {entry["Id"] for entry in reply.get("Successful", [])}
    codes = {entry["Id"]: entry["Code"] for entry in reply.get("Failed", [])}
    return {
        message: _unwritable(codes.get(str(index), "no receipt"))
        for index, message in enumerate(messages)
        if str(index) not in there
    }


def _size(message: _Message) -> int:
    return len(message.body.encode())


def _unwritable(code: str) -> str:
    return f"the Quarantine queue can't be written: {code}"
