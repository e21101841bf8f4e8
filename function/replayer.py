"""The Replayer: deliver parked events, and what the owner moved from Quarantine."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSEvent, SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from forwarder import config
from forwarder.aws.queues import STORED_AT
from forwarder.deadline import Deadline
from forwarder.mapping import file
from forwarder.replay import ReceivedMessage, Replay, replay_messages
from forwarder.report import (
    NAMESPACE,
    STALE_SECRET,
    add_metrics,
    create_report,
    log_fields,
    to_log_line,
)

# Read once, when the function starts. It doesn't start with an invalid file.
RULES = file.load_rules(Path(__file__).with_name("mapping.toml"))

# For how many seconds the events of an unfinished message have been stored, at most.
OLDEST_UNFINISHED = "OldestUnfinished"
# What remains of the time budget after a pause, to return the response.
_RESPONSE_SECONDS = 1

logger = Logger(service="replayer", json_serializer=to_log_line)
metrics = Metrics(namespace=NAMESPACE, service="replayer")


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(
    sqs_event: dict[str, Any], _context: LambdaContext
) -> dict[str, list[dict[str, str]]]:
    """Replay the messages of an SQS event; return those that stay in the queue."""
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    deadline = Deadline(config.time_budget_seconds())
    messages = [read_record(record) for record in SQSEvent(sqs_event).records]
    replay = replay_messages(messages, RULES, deadline)
    log_replay(len(messages), replay)
    if replay.unfinished:
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
    stored_at = (record.get("messageAttributes") or {}).get(STORED_AT) or {}
    return ReceivedMessage(
        id=record.message_id,
        receipt_handle=record.receipt_handle,
        body=record.body,
        sent_at=int(attributes.sent_timestamp) / 1_000,
        receives=int(attributes.approximate_receive_count),
        stored_at=stored_at.get("stringValue") or "",
    )


def log_replay(messages: int, replay: Replay) -> None:
    """Log the number of *messages* and what happened to their events."""
    report = create_report(replay.results, replay.stale_reason)
    log = logger.warning if replay.unfinished or report.warning else logger.info
    extra = {
        "messages": messages,
        "unfinished": len(replay.unfinished),
        **log_fields(report),
    }
    log("messages replayed", extra=extra)
    add_metrics(metrics, report, *[STALE_SECRET] * bool(replay.stale_reason))
    metrics.add_metric(
        OLDEST_UNFINISHED, MetricUnit.Seconds, oldest_age(replay.unfinished)
    )


def oldest_age(unfinished: Iterable[ReceivedMessage]) -> float:
    """Return for how many seconds the oldest *unfinished* message has been stored.

    SQS's own metric leaves out messages that are received repeatedly.
    """
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    now = time.time()
    return max((now - message.first_sent_at for message in unfinished), default=0)


def pause(deadline: Deadline) -> None:
    """Wait before the next messages are received, because they would fail as well.

    This also bounds the number of messages that are delayed at the same time. SQS
    delivers no more messages if 120,000 are.
    """
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
    left = deadline.left() - _RESPONSE_SECONDS
    time.sleep(max(0, min(config.backoff_seconds(), left)))
