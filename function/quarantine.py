"""Keep the events that can't be billed as they are, each with its reason."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from batching import fill

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

# What readers of the queue rely on; SQS itself takes more.
MAX_MESSAGE_BYTES = 256 * 1024
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_MAX_REQUEST_MESSAGES = 10
_MAX_REQUEST_BYTES = 1024 * 1024


class Refused(NamedTuple):
    """An event that can't be billed: the JSON Segment wrote, and what is wrong."""

    text: str
    reason: str


class _Message(NamedTuple):
    refused: list[Refused]
    body: str


def keep(events: Iterable[Refused], queue_url: str) -> dict[Refused, str]:
    """Put *events* into the queue; return those that are not there, and why.

    A message holds one reason and as many of its events as fit:
    `{"reason": str, "events": [event, ...]}`, at most `MAX_MESSAGE_BYTES` long.
    """
    lost: dict[Refused, str] = {}
    for request in fill(
        _messages(events),
        lambda message: len(message.body.encode()),
        most=_MAX_REQUEST_MESSAGES,
        limit=_MAX_REQUEST_BYTES,
    ):
        for index, why in _send(request, queue_url).items():
            lost |= dict.fromkeys(request[index].refused, why)
    return lost


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
            yield _Message(group, f"{head}{texts}]}}")


def _storable(text: str) -> str:
    # SQS takes no message with these two characters; JSON can spell them out.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    return text.replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")


def _send(messages: Sequence[_Message], queue_url: str) -> dict[int, str]:
    """Send *messages* in one call; return why not for each that is not in the queue."""
    lost = {
        index: "the event is too large for the Quarantine queue"
        for index, message in enumerate(messages)
        if len(message.body.encode()) > MAX_MESSAGE_BYTES
    }
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(index), "MessageBody": message.body}
        for index, message in enumerate(messages)
        if index not in lost
    ]
    if not entries:
        return lost
    try:
        reply = _sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return dict.fromkeys(range(len(messages)), _unwritable(code)) | lost
    except BotoCoreError as error:
        code = type(error).__name__
        return dict.fromkeys(range(len(messages)), _unwritable(code)) | lost
    failed = reply.get("Failed", [])
    return lost | {int(entry["Id"]): _unwritable(entry["Code"]) for entry in failed}


def _unwritable(code: str) -> str:
    return f"the Quarantine queue can't be written: {code}"


_sqs = boto3.client(
    "sqs",
    config=Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1}),
)
