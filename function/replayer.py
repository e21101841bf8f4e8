"""The Replayer: bill quarantined events, after the cause was fixed.

It receives the messages that were moved from the Quarantine queue to the Replay queue.
SQS delivers a message up to three times until its events are billed, and then moves it
back to Quarantine.
"""

from functools import partial
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from forwarder import config
from forwarder.deadline import Deadline
from forwarder.mapping import file
from forwarder.pipeline import bill_events
from forwarder.report import (
    NAMESPACE,
    Report,
    add_metrics,
    create_report,
    report_rejection,
)
from forwarder.secret import SecretError, read_secret
from forwarder.segment.elements import MalformedBody
from forwarder.segment.events import Event, parse_body

# Read once, when the function starts. It doesn't start with an invalid file.
RULES = file.load_rules(Path(__file__).with_name("mapping.toml"))

logger = Logger(service="replayer")
metrics = Metrics(namespace=NAMESPACE, service="replayer")
processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)


class UnfinishedMessage(Exception):
    """Raised when an event of a message can't be billed; SQS keeps the message."""


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(
    sqs_event: dict[str, Any], context: LambdaContext
) -> PartialItemFailureResponse:
    """Replay the messages of an SQS event; return those that are not finished."""
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    deadline = Deadline(config.time_budget_seconds())
    return process_partial_response(
        event=sqs_event,
        record_handler=partial(replay_message, deadline=deadline),
        processor=processor,
        context=context,
    )


def replay_message(record: SQSRecord, deadline: Deadline) -> None:
    """Bill the events of a message; raise `UnfinishedMessage` if one can't be."""
    # Powertools passes the message by keyword, as *record*.
    finished, report = bill_message(record.body, deadline)
    log = logger.info if finished else logger.warning
    log(
        "message finished" if finished else "message not finished",
        extra={
            "sqs_message_id": record.message_id,
            **report.counts,
            "errors": report.errors,
        },
    )
    add_metrics(metrics, report)
    if not finished:
        raise UnfinishedMessage


def bill_message(body: str, deadline: Deadline) -> tuple[bool, Report]:
    """Bill the events of a message; return whether it is finished, and the report.

    Events are mapped again, with the current mapping. Hyperline overwrites what it
    already has with the same data.
    """
    try:
        events = read_message(body)
        results = bill_events(events, RULES, read_secret(deadline), deadline)
    except (MalformedBody, SecretError) as error:
        return False, report_rejection(str(error))
    finished = all(result.outcome.value.final for result in results)
    return finished, create_report(results)


def read_message(body: str) -> list[Event]:
    """Return the events of a message; raises `MalformedBody` for a foreign message."""
    match [item.data for item in parse_body(body.encode("utf-8", "surrogatepass"))]:
        case [{"events": [*contents]}] if contents:
            return [Event(content, "") for content in contents]
        case _:
            raise MalformedBody('not {"reason": str, "events": [event, ...]}')
