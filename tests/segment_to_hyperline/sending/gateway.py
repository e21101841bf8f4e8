"""A deployed stack on this machine: the URL, the Receiver behind it, and its log."""

import json
import time
import uuid
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO

import boto3

import receiver
from local_stack.fake_api import KEY, FakeApi, FakeResponse, Request
from local_stack.invocations import Context
from local_stack.segment_requests import Webhook, to_api_gateway


class FakeGateway(FakeApi):
    """API Gateway on a loopback port, which invokes the Receiver of this process.

    What the Receiver logs is in the log group `log_group` of the fake AWS.
    """

    def __init__(self) -> None:
        super().__init__("127.0.0.1", KEY, rate_limit=0)
        self.log_group = f"receiver-{uuid.uuid4()}"
        self._log = LogGroup(self.log_group)

    def handle(self, request: Request) -> FakeResponse:
        """Return the Receiver's response; there is one route."""
        if request.path != "/segment":
            return FakeResponse(404, b'{"message":"Not Found"}')
        webhook = Webhook(request.body.decode(), request.headers)
        with redirect_stdout(StringIO()) as printed:
            response = receiver.lambda_handler(to_api_gateway(webhook), Context())
        self._log.write(*printed.getvalue().splitlines())
        return FakeResponse(
            response["statusCode"], response["body"].encode(), headers={}
        )


@dataclass
class LogGroup:
    """A log group of the fake AWS."""

    name: str
    stream: str = field(default="stream")

    def __post_init__(self) -> None:
        self._client = boto3.client("logs")
        self._client.create_log_group(logGroupName=self.name)
        self._client.create_log_stream(
            logGroupName=self.name, logStreamName=self.stream
        )

    def write(self, *lines: str) -> None:
        """Log these lines now."""
        now = round(time.time() * 1_000)
        self._client.put_log_events(
            logGroupName=self.name,
            logStreamName=self.stream,
            logEvents=[{"timestamp": now, "message": line} for line in lines],
        )


def write_line(message_id: str, outcome: str = "delivered") -> str:
    """Return a line of the log about one event, as the Receiver writes it."""
    group = {"outcome": outcome, "count": 1, "ids": message_id}
    return json.dumps({"status": 200, "posts": 1, "events": [group]})
