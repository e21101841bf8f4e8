"""The Replayer: bill what was quarantined, once its cause is mended.

SQS delivers messages of the Quarantine queue that were moved to the Replay queue. One
that is not settled is delivered again, and after three times SQS moves it back.
"""

from functools import partial
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

import payload
import settings
from deadline import Deadline
from payload import Event
from report import NAMESPACE, count, describe, measure
from settlement import Outcome, Settlement, bill

SETTLED = {Outcome.DELIVERED, Outcome.FILTERED, Outcome.PREVIEWED}

logger = Logger(service="replayer")
metrics = Metrics(namespace=NAMESPACE, service="replayer")
processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)


class Unsettled(Exception):
    """Leave the message in the queue: an event of it can't be billed yet."""


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(
    batch: dict[str, Any], context: LambdaContext
) -> PartialItemFailureResponse:
    """Replay the messages of an SQS event; return those that are not settled."""
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    deadline = Deadline(settings.time_budget_seconds())
    return process_partial_response(
        event=batch,
        record_handler=partial(replay, deadline=deadline),
        processor=processor,
        context=context,
    )


def replay(record: SQSRecord, deadline: Deadline) -> None:
    """Bill all events of a message, or raise what keeps it in the queue.

    Events are mapped anew, so a mapping that was mended since applies; what Hyperline
    has already is overwritten with the same.
    """
    settlements: list[Settlement] = []
    try:
        events = read_events(record.body)
        settlements = bill(events, settings.read_secret(deadline), deadline)
        errors = describe(settlements)
    except (payload.Malformed, settings.Unreadable) as error:
        errors = [{"message_id": None, "reason": str(error)}]
    counts = count(settlements)
    measure(metrics, counts)
    settled = settlements and all(s.outcome in SETTLED for s in settlements)
    tell = logger.info if settled else logger.warning
    facts = {"sqs_message_id": record.message_id, **counts, "errors": errors}
    tell("message settled" if settled else "message not settled", extra=facts)
    if not settled:
        raise Unsettled


def read_events(body: str) -> list[Event]:
    """Return the events of a quarantine message; raises `Malformed` for another one."""
    match [item.data for item in payload.parse(body.encode("utf-8", "surrogatepass"))]:
        case [{"events": [*contents]}] if contents:
            return [Event(content, "") for content in contents]
        case _:
            raise payload.Malformed('not {"reason": str, "events": [event, ...]}')
