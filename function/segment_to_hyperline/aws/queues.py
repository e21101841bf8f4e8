"""Store events in the SQS queues, and delay messages that can't be finished yet."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from segment_to_hyperline.aws.clients import AwsError, send_request, sqs
from segment_to_hyperline.aws.messages import (
    ATTRIBUTE_TYPE,
    MAX_MESSAGE_BYTES,
    Message,
    StoredEvent,
    create_messages,
)
from segment_to_hyperline.batching import group_items
from segment_to_hyperline.deadline import Deadline

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_MAX_BATCH_MESSAGES = 10
_MAX_BATCH_BYTES = 1024 * 1024
_ATTEMPTS = 3


class Queue(NamedTuple):
    """A queue, and its name for error messages."""

    name: str
    url: str


def store_events(
    events: Iterable[StoredEvent], queue: Queue, deadline: Deadline
) -> dict[StoredEvent, str]:
    """Store *events* in *queue*; return those that were not stored, and why.

    Messages that SQS rejects are retried, at most twice and until the deadline.
    """
    messages = create_messages(events)
    unsent = send_messages(messages, queue, deadline)
    return {event: why for message, why in unsent.items() for event in message.events}


def send_messages(
    messages: Iterable[Message], queue: Queue, deadline: Deadline
) -> dict[Message, str]:
    """Send *messages* to *queue*; return those that were not stored, and why."""
    unsent = dict.fromkeys(messages, "")
    for _ in range(_ATTEMPTS):
        batches = group_items(
            unsent,
            Message.size,
            max_items=_MAX_BATCH_MESSAGES,
            max_bytes=_MAX_BATCH_BYTES,
        )
        unsent = {}
        for batch in batches:
            unsent |= _send_batch(batch, queue, deadline)
    return unsent


def delay_messages(
    delays: Mapping[str, int], queue_url: str, deadline: Deadline
) -> None:
    """Make received messages invisible for a number of seconds, by receipt handle.

    If this fails, the message becomes visible after the queue's own visibility timeout.
    """
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html
    for batch in group_items(
        delays.items(), len, max_items=_MAX_BATCH_MESSAGES, max_bytes=_MAX_BATCH_BYTES
    ):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for number, (handle, seconds) in enumerate(batch)
        ]
        try:
            send_request(
                sqs.change_message_visibility_batch,
                deadline,
                QueueUrl=queue_url,
                Entries=entries,
            )
        except AwsError:
            return


def _send_batch(
    batch: Sequence[Message], queue: Queue, deadline: Deadline
) -> dict[Message, str]:
    """Send *batch* in one request; return the messages not stored, and why."""
    too_large = [message for message in batch if message.size() > MAX_MESSAGE_BYTES]
    if too_large:
        fitting = [message for message in batch if message not in too_large]
        reason = f"the event is too large for the {queue.name} queue"
        unsent = _send_batch(fitting, queue, deadline) if fitting else {}
        return unsent | dict.fromkeys(too_large, reason)
    try:
        response = send_request(
            sqs.send_message_batch,
            deadline,
            QueueUrl=queue.url,
            Entries=[_entry(number, message) for number, message in enumerate(batch)],
        )
    except AwsError as error:
        return dict.fromkeys(batch, _explain(queue, str(error)))
    # Only a message that SQS lists as successful was stored.
    stored = {_field(entry, "Id") for entry in response.get("Successful") or []}
    codes = {_field(e, "Id"): _field(e, "Code") for e in response.get("Failed") or []}
    return {
        message: _explain(queue, codes.get(str(number)) or "not confirmed")
        for number, message in enumerate(batch)
        if str(number) not in stored
    }


def _entry(number: int, message: Message) -> "SendMessageBatchRequestEntryTypeDef":
    entry: SendMessageBatchRequestEntryTypeDef = {
        "Id": str(number),
        "MessageBody": message.body,
    }
    if attributes := message.attributes.by_name():
        entry["MessageAttributes"] = {
            name: {"DataType": ATTRIBUTE_TYPE, "StringValue": value}
            for name, value in attributes.items()
        }
    return entry


def _field(entry: Any, name: str) -> str | None:
    value = entry.get(name) if isinstance(entry, dict) else None
    return value if isinstance(value, str) else None


def _explain(queue: Queue, code: str) -> str:
    return f"the {queue.name} queue can't be written: {code}"
