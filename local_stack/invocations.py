"""What Lambda passes to the functions besides an API Gateway request."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext


class Context(LambdaContext):
    """The fields of an invocation's context that are read.

    The function can run for so many *seconds*.
    """

    def __init__(self, seconds: float = 900) -> None:
        self._aws_request_id = str(uuid.uuid4())
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override] # Lambda's isn't static
        """Return how much time is left, as if none had passed."""
        return round(self._seconds * 1_000)


def create_sqs_event(messages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the event for *messages*, as `receive_message` returns them."""
    # https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
    return {"Records": [create_sqs_record(message) for message in messages]}


def create_sqs_record(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a *message*, as `receive_message` returns it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: {"stringValue": value["StringValue"], "dataType": "String"}
            for name, value in message.get("MessageAttributes", {}).items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:Replay",
        "awsRegion": "us-east-1",
    }
