"""Read, fill and empty a queue of SQS by hand.

SQS has no way to look at a message: each look is a receive, which hides the message for
a while. What was only looked at is made visible again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from typing import Any, NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.attributes import Attributes
from segment_to_hyperline.aws.messages import (
    ATTRIBUTE_TYPE,
    MAX_MESSAGE_BYTES,
    Message,
    ReceivedMessage,
)
from segment_to_hyperline.batching import group_items
from segment_to_hyperline.quarantine.aws import Aws

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
BATCH = 10
# More can't be read at once: SQS hides at most about 120,000 messages of a queue.
MAX_MESSAGES = 100_000
# For how long a message is hidden if the command is killed.
HIDDEN_SECONDS = 15 * 60
# With this, SQS asks all of its servers, and a queue that seems empty is empty.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
_WAIT_SECONDS = 1


class State(NamedTuple):
    """What SQS says about a queue."""

    visible: int
    hidden: int
    """Messages that were received a short time ago."""
    retention: int
    """After how many seconds SQS deletes a message."""


class Queue:
    """A queue with this *name* in the template, and this *url*."""

    def __init__(
        self, aws: Aws, name: str, url: str, wait_seconds: int = _WAIT_SECONDS
    ) -> None:
        self.name = name
        self._aws = aws
        self._url = url
        self._wait_seconds = wait_seconds
        self._held: dict[str, ReceivedMessage] = {}

    def read_state(self) -> State:
        """Return the numbers of messages; raises `InputError`."""
        names = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "MessageRetentionPeriod",
        )
        found = self._call("GetQueueAttributes", AttributeNames=list(names))
        return State(*(int(found["Attributes"].get(name, 0)) for name in names))

    @contextmanager
    def look(
        self, report: Callable[[int], object] = bool, most: int = MAX_MESSAGES
    ) -> Iterator[list[ReceivedMessage]]:
        """Yield the messages, at most so many; give back those that aren't deleted.

        *report* is called with their number so far. Raises `InputError`.
        """
        try:
            known = -1
            # If it takes too long, the first messages are visible again.
            while known < len(self._held) < most:
                known = len(self._held)
                self._held |= {message.id: message for message in self._receive()}
                report(len(self._held))
            yield list(self._held.values())
        finally:
            held, self._held = list(self._held.values()), {}
            self._give_back(held)

    def claim(self, messages: Sequence[ReceivedMessage]) -> list[ReceivedMessage]:
        """Return those of *messages* that nobody else has received, and hide them."""
        return self._hide(messages, HIDDEN_SECONDS)

    def send(self, messages: Sequence[Message]) -> dict[int, str]:
        """Send *messages*; return the positions of those not stored, and why."""
        large = f"it is too large for a message of {self.name}"
        unsent = {
            number: large
            for number, message in enumerate(messages)
            if message.size() > MAX_MESSAGE_BYTES
        }
        batches = group_items(
            ((n, m) for n, m in enumerate(messages) if n not in unsent),
            lambda item: item[1].size(),
            max_items=BATCH,
            max_bytes=MAX_MESSAGE_BYTES,
        )
        for batch in batches:
            entries = [_create_entry(number, message) for number, message in batch]
            done = self._request("SendMessageBatch", entries)
            unsent |= {
                n: f"{self.name} has not stored it" for n, _ in batch if n not in done
            }
        return unsent

    def delete(self, messages: Sequence[ReceivedMessage]) -> list[ReceivedMessage]:
        """Delete *messages*; return those that SQS has deleted."""
        deleted = self._each("DeleteMessageBatch", messages)
        for message in deleted:
            self._held.pop(message.id, None)
        return deleted

    def _give_back(self, messages: Sequence[ReceivedMessage]) -> None:
        """Make *messages* visible; raises `InputError` when all were tried."""
        failed: InputError | None = None
        for batch in batched(messages, BATCH):
            try:
                self._hide(batch, 0)
            except InputError as error:
                failed = error
        if failed:
            raise failed

    def _hide(
        self, messages: Sequence[ReceivedMessage], seconds: int
    ) -> list[ReceivedMessage]:
        operation = "ChangeMessageVisibilityBatch"
        return self._each(operation, messages, VisibilityTimeout=seconds)

    def _each(
        self, operation: str, messages: Sequence[ReceivedMessage], **more: int
    ) -> list[ReceivedMessage]:
        """Send *operation* about *messages*; return those for which it succeeded."""
        succeeded: list[ReceivedMessage] = []
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt_handle, **more}
                for number, message in enumerate(batch)
            ]
            done = self._request(operation, entries)
            succeeded += [batch[number] for number in sorted(done)]
        return succeeded

    def _receive(self) -> list[ReceivedMessage]:
        found = self._call(
            "ReceiveMessage",
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=self._wait_seconds,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
        return [_read_message(content) for content in found.get("Messages", ())]

    def _request(self, operation: str, entries: list[dict[str, Any]]) -> set[int]:
        """Return the numbers of the *entries* that SQS lists as successful."""
        found = self._call(operation, Entries=entries)
        return {int(entry["Id"]) for entry in found.get("Successful", ())}

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return self._aws.call("sqs", operation, QueueUrl=self._url, **arguments)


def _read_message(content: dict[str, Any]) -> ReceivedMessage:
    values = content.get("MessageAttributes", {})
    return ReceivedMessage(
        content["MessageId"],
        content["ReceiptHandle"],
        content["Body"],
        int(content["Attributes"]["SentTimestamp"]) / 1_000,
        int(content["Attributes"]["ApproximateReceiveCount"]),
        Attributes.read(lambda name: values.get(name, {}).get("StringValue") or ""),
    )


def _create_entry(number: int, message: Message) -> dict[str, Any]:
    return {
        "Id": str(number),
        "MessageBody": message.body,
        "MessageAttributes": {
            name: {"DataType": ATTRIBUTE_TYPE, "StringValue": value}
            for name, value in message.attributes.by_name().items()
        },
    }
