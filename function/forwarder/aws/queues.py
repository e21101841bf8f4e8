"""Store events in an SQS queue, each with the reason why it is there."""

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from forwarder.aws.clients import error_code, sqs
from forwarder.batching import group_items
from forwarder.deadline import Deadline, DeadlineExceeded

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

# Those who read the queue rely on this limit; every tool for SQS supports it.
MAX_MESSAGE_BYTES = 256 * 1024
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_MAX_BATCH_MESSAGES = 10
_ATTEMPTS = 3


class QueuedEvent(NamedTuple):
    """An event for the queue: its JSON as Segment wrote it, and the reason."""

    text: str
    reason: str


class _Message(NamedTuple):
    events: tuple[QueuedEvent, ...]
    body: str

    def size(self) -> int:
        """Return the bytes of the body."""
        return len(self.body.encode())


def store_events(
    events: Iterable[QueuedEvent], queue_url: str, deadline: Deadline
) -> dict[QueuedEvent, str]:
    """Store *events* in the queue; return those that were not stored, and why.

    A message contains one reason and as many of its events as fit:
    `{"reason": str, "events": [event, ...]}`, at most `MAX_MESSAGE_BYTES`. Messages
    that SQS rejects are retried, at most twice and until the deadline.
    """
    unsent = dict.fromkeys(_create_messages(events), "")
    for _ in range(_ATTEMPTS):
        unsent = _send_messages(unsent, queue_url, deadline)
    return {event: why for message, why in unsent.items() for event in message.events}


def _create_messages(events: Iterable[QueuedEvent]) -> Iterator[_Message]:
    by_reason = defaultdict(list)
    for event in events:
        by_reason[event.reason].append(event)
    for reason, with_reason in by_reason.items():
        head = f'{{"reason": {json.dumps(reason)}, "events": ['
        for group in group_items(
            with_reason,
            lambda event: len(_escape(event.text).encode()) + 1,
            max_items=sys.maxsize,
            max_bytes=MAX_MESSAGE_BYTES - len(head) - 1,
        ):
            texts = ",".join(_escape(event.text) for event in group)
            yield _Message(tuple(group), f"{head}{texts}]}}")


def _escape(text: str) -> str:
    # SQS rejects messages with these two characters; in JSON they can be escaped.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
    return text.replace("\ufffe", r"\ufffe").replace("\uffff", r"\uffff")


def _send_messages(
    messages: Iterable[_Message], queue_url: str, deadline: Deadline
) -> dict[_Message, str]:
    """Send *messages*; return those that were not stored, and why."""
    unsent: dict[_Message, str] = {}
    for batch in group_items(
        messages,
        _Message.size,
        max_items=_MAX_BATCH_MESSAGES,
        max_bytes=MAX_MESSAGE_BYTES,
    ):
        unsent |= _send_batch(batch, queue_url, deadline)
    return unsent


def _send_batch(
    batch: Sequence[_Message], queue_url: str, deadline: Deadline
) -> dict[_Message, str]:
    """Send *batch* in one request; return the messages not stored, and why."""
    if batch[0].size() > MAX_MESSAGE_BYTES:  # then it is alone in its batch
        return {batch[0]: "the event is too large for the Quarantine queue"}
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(number), "MessageBody": message.body}
        for number, message in enumerate(batch)
    ]
    send = partial(sqs.send_message_batch, QueueUrl=queue_url, Entries=entries)
    try:
        response = deadline.run(send)
    except (ClientError, BotoCoreError, DeadlineExceeded) as error:
        return dict.fromkeys(batch, _explain(error_code(error)))
    # Only a message that SQS lists as successful was stored.
    stored = {entry["Id"] for entry in response.get("Successful", [])}
    codes = {entry["Id"]: entry["Code"] for entry in response.get("Failed", [])}
    return {
        message: _explain(codes.get(str(number), "not confirmed"))
        for number, message in enumerate(batch)
        if str(number) not in stored
    }


def _explain(code: str) -> str:
    return f"the Quarantine queue can't be written: {code}"
