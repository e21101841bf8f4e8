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
    """A queue."""

    name: str
    """Its name in the template, for error messages."""
    url: str


def store_events(
    events: Iterable[StoredEvent], queue: Queue, deadline: Deadline
) -> dict[int, str]:
    """Store *events* in *queue*; return the positions of the others, and why."""
    messages = list(create_messages(events))
    unsent = send_messages(messages, queue, deadline)
    return {
        position: why
        for number, why in unsent.items()
        for position in messages[number].positions
    }


def send_messages(
    messages: Iterable[Message], queue: Queue, deadline: Deadline
) -> dict[int, str]:
    """Send *messages* to *queue*; return the positions of those not stored, and why.

    Messages that SQS rejects are retried, at most twice and until the deadline.
    """
    numbered = dict(enumerate(messages))
    unsent = dict.fromkeys(numbered, "")
    for _ in range(_ATTEMPTS):
        batches = group_items(
            ((number, numbered[number]) for number in unsent),
            lambda item: item[1].size(),
            max_items=_MAX_BATCH_MESSAGES,
            max_bytes=_MAX_BATCH_BYTES,
        )
        unsent = {
            number: why
            for batch in batches
            for number, why in _send_batch(batch, queue, deadline).items()
        }
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
    batch: Sequence[tuple[int, Message]], queue: Queue, deadline: Deadline
) -> dict[int, str]:
    """Send *batch* in one request; return the numbers not stored, and why."""
    too_large = {n for n, message in batch if message.size() > MAX_MESSAGE_BYTES}
    if too_large:
        fitting = [(n, message) for n, message in batch if n not in too_large]
        reason = f"the event is too large for the {queue.name} queue"
        unsent = _send_batch(fitting, queue, deadline) if fitting else {}
        return unsent | dict.fromkeys(too_large, reason)
    try:
        response = send_request(
            sqs.send_message_batch,
            deadline,
            QueueUrl=queue.url,
            Entries=[_entry(number, message) for number, message in batch],
        )
    except AwsError as error:
        return dict.fromkeys(dict(batch), _explain(queue, str(error)))
    # Only a message that SQS lists as successful was stored.
    stored = {_field(entry, "Id") for entry in response.get("Successful") or []}
    codes = {_field(e, "Id"): _field(e, "Code") for e in response.get("Failed") or []}
    return {
        number: _explain(queue, codes.get(str(number)) or "not confirmed")
        for number, _ in batch
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
