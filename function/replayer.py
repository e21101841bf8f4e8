"""The Replayer: deliver parked events, and what the owner moved from Quarantine."""

import time
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSEvent, SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from segment_to_hyperline import config
from segment_to_hyperline.attributes import Attributes
from segment_to_hyperline.aws.messages import ReceivedMessage
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.mapping import file
from segment_to_hyperline.replay import Replay, replay_messages
from segment_to_hyperline.telemetry import NAMESPACE, LogLine

# Read once, when the function starts. It doesn't start with an invalid file.
RULES = file.load_rules(Path(__file__).with_name("mapping.toml"))

# What remains of the time budget after a pause, to return the response.
_RESPONSE_SECONDS = 1

metrics = Metrics(namespace=NAMESPACE, service="replayer")


def lambda_handler(
    sqs_event: dict[str, Any], context: LambdaContext
) -> dict[str, list[dict[str, str]]]:
    """Replay the messages of an SQS event; return those that stay in the queue."""
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    deadline = Deadline(config.time_budget_seconds())
    with LogLine(metrics) as line:
        line.add_fields(request_id=context.aws_request_id)
        messages = [read_record(record) for record in SQSEvent(sqs_event).records]
        replay = replay_messages(messages, RULES, deadline)
        add_replay(line, len(messages), replay)
    if replay.is_stopped:
        pause(deadline)
    return {
        "batchItemFailures": [
            {"itemIdentifier": message.id} for message in replay.unfinished
        ]
    }


def read_record(record: SQSRecord) -> ReceivedMessage:
    """Return the message in *record*."""
    attributes = record.attributes
    # Not by Powertools' classes, which raise KeyError for an attribute of another type.
    values = record.get("messageAttributes") or {}
    return ReceivedMessage(
        id=record.message_id,
        receipt_handle=record.receipt_handle,
        body=record.body,
        sent_at=int(attributes.sent_timestamp) / 1_000,
        receives=int(attributes.approximate_receive_count),
        attributes=Attributes.read(
            lambda name: (values.get(name) or {}).get("stringValue") or ""
        ),
    )


def add_replay(line: LogLine, messages: int, replay: Replay) -> None:
    """Add the number of *messages* and what happened to their events to *line*."""
    line.add_fields(messages=messages, unfinished=len(replay.unfinished))
    if replay.unfinished:
        line.warn()
    line.received = replay.received
    line.add_results(replay.results)
    # SQS's own metric leaves out messages that are received repeatedly.
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    line.add_metric("OldestEvent", round(replay.oldest_age))
    if replay.stale_reason:
        line.add_stale_secret(replay.stale_reason)


def pause(deadline: Deadline) -> None:
    """Wait before the next messages are received, because they would fail as well.

    This also bounds the number of messages that are delayed at the same time. SQS
    delivers no more messages if 120,000 are.
    """
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
    left = deadline.left() - _RESPONSE_SECONDS
    time.sleep(max(0, min(config.backoff_seconds(), left)))
