"""Fixtures: the function as Lambda runs it, between a fake AWS and a fake Hyperline."""

import io
import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings

from fake_aws import FakeAws
from fake_hyperline import KEY, FakeHyperline
from segment_webhook import SHARED_SECRET, Webhook, single, to_api_gateway, write

logging.getLogger("werkzeug").setLevel(logging.ERROR)
# The same examples each time, so that a failure can be repeated; `make soak` looks for
# new ones.
settings.register_profile(
    "test", max_examples=100, deadline=None, derandomize=True, stateful_step_count=12
)
settings.register_profile(
    "soak", max_examples=1_000, deadline=None, stateful_step_count=20
)
settings.load_profile("test")
_AWS = FakeAws()
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": _AWS.url,
}

import boto3  # noqa: E402
from aws_lambda_powertools.utilities.typing import LambdaContext  # noqa: E402

import app  # noqa: E402 - makes its AWS clients when it is imported


@dataclass(frozen=True)
class Answer:
    """What the function answered: its status, and its body as an object."""

    status: int
    body: dict[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        """The counts that are not zero."""
        lists = ("errors", "preview")
        return {k: v for k, v in self.body.items() if k not in lists and v}

    @property
    def reasons(self) -> list[str]:
        """The reasons among the errors."""
        return [error["reason"] for error in self.body["errors"]]


type Call = Callable[[Any], Answer]
type Log = Callable[[], list[dict[str, Any]]]


class Context(LambdaContext):
    """The context of an invocation, as far as anybody reads it."""

    def __init__(self) -> None:
        self._function_name = "receiver"
        self._function_version = "1"
        self._memory_limit_in_mb = 512
        self._invoked_function_arn = "arn:aws:lambda:us-east-1:1:function:receiver"
        self._aws_request_id = str(uuid.uuid4())


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """The AWS that the function uses, with no faults."""
    _AWS.calls.clear()
    yield _AWS
    _AWS.faults.clear()


@pytest.fixture
def hyperline(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHyperline]:
    """The Hyperline that the function posts to."""
    with FakeHyperline() as hyperline:
        monkeypatch.setenv("HYPERLINE_URL", hyperline.url)
        yield hyperline


class Secret:
    """The secret that the function reads; a test may change it."""

    def __init__(self) -> None:
        self.name = f"secret-{uuid.uuid4()}"
        self._client = boto3.client("secretsmanager")
        self.content: dict[str, Any] = {
            "hyperline_api_key": KEY,
            "segment_shared_secret": SHARED_SECRET,
        }
        self._client.create_secret(
            Name=self.name, SecretString=json.dumps(self.content)
        )

    def put(self, **content: Any) -> None:
        """Change fields of the secret; None takes a field out."""
        self.content |= content
        present = {k: v for k, v in self.content.items() if v is not None}
        self.write(json.dumps(present))

    def write(self, text: str) -> None:
        """Replace the secret with *text*."""
        self._client.put_secret_value(SecretId=self.name, SecretString=text)


@pytest.fixture
def secret(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Secret:
    """A secret of this test alone, so that nobody's cached copy is met."""
    secret = Secret()
    monkeypatch.setenv("SECRET_ID", secret.name)
    aws.calls.clear()
    return secret


class Queue:
    """The Quarantine queue, as its operator sees it."""

    def __init__(self) -> None:
        self._client = boto3.client("sqs")
        queue = self._client.create_queue(QueueName=str(uuid.uuid4()))
        self.url = queue["QueueUrl"]

    def put(self, body: str) -> None:
        """Put a message into the queue."""
        self._client.send_message(QueueUrl=self.url, MessageBody=body)

    def bodies(self) -> list[str]:
        """Take all messages out of the queue and return their bodies."""
        bodies = []
        while messages := self._client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10
        ).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self._client.delete_message(
                    QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"]
                )
        return bodies

    def messages(self) -> list[dict[str, Any]]:
        """Take all messages out of the queue and return what they say."""
        return [json.loads(body) for body in self.bodies()]


@pytest.fixture
def quarantine(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A Quarantine queue of this test alone."""
    queue = Queue()
    monkeypatch.setenv("QUARANTINE_QUEUE_URL", queue.url)
    aws.calls.clear()
    return queue


@pytest.fixture
def call(secret: Secret, quarantine: Queue, hyperline: FakeHyperline) -> Call:
    """Call the function with an event, a `Webhook`, or what API Gateway passes it."""
    assert secret
    assert quarantine
    assert hyperline

    def call(content: Any) -> Answer:
        if not isinstance(content, Webhook) and "requestContext" not in content:
            content = single(write(content))
        if isinstance(content, Webhook):
            content = to_api_gateway(content)
        response = app.lambda_handler(content, Context())
        return Answer(response["statusCode"], json.loads(response["body"]))

    return call


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Log:
    """Return the JSON lines written since the last look: the log, then the metrics."""
    # The logger took hold of the standard output before pytest did.
    stream = io.StringIO()
    monkeypatch.setattr(app.logger.registered_handler, "stream", stream)

    def log() -> list[dict[str, Any]]:
        lines = [*stream.getvalue().splitlines(), *capsys.readouterr().out.splitlines()]
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in lines]

    return log
