"""Fixtures: the Receiver as Lambda runs it, with a fake AWS and a fake Hyperline."""

import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings

from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from local_stack.segment_requests import (
    SHARED_SECRET,
    Webhook,
    single,
    to_api_gateway,
    write,
)
from tests.clock import Clock
from tests.fake_aws import FakeAws

logging.getLogger("werkzeug").setLevel(logging.ERROR)
# `make test` uses the same examples each time, so that a failure can be reproduced;
# `make soak` generates new ones.
settings.register_profile(
    "test", max_examples=100, deadline=None, derandomize=True, stateful_step_count=12
)
settings.register_profile(
    "soak", max_examples=1_000, deadline=None, stateful_step_count=20
)
settings.load_profile("test")
_AWS = FakeAws()
os.environ.pop("SEGMENT_TO_HYPERLINE_MAPPING", None)  # tests use that of the repository
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": _AWS.url,
    # As in template.yaml; fixtures set the rest.
    "STACK_NAME": "local",
    "HYPERLINE_URL": "",
    "INGESTION_VERSION": "v1",
    "TIME_BUDGET_SECONDS": "3",
    "PARK_AFTER_SECONDS": "900",
    "BACKOFF_SECONDS": "60",
}

import boto3  # noqa: E402

import receiver  # noqa: E402 - creates its AWS clients when it is imported


@dataclass(frozen=True)
class Response:
    """The function's response: its status, and its body as an object."""

    status: int
    body: dict[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        """The counts that are not zero."""
        lists = ("errors", "preview")
        return {k: v for k, v in self.body.items() if k not in lists and v}

    @property
    def reasons(self) -> list[str]:
        """The reasons of the errors."""
        return [error["reason"] for error in self.body["errors"]]


type Send = Callable[[Any], Response]
type Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """The AWS that the function uses, without faults."""
    _AWS.requests.clear()
    yield _AWS
    _AWS.faults.clear()


@pytest.fixture
def hyperline(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHyperline]:
    """The Hyperline that the function posts to.

    Its rate limit is higher than the real one, so that no test depends on the speed of
    the machine. `hyperline.limiter.limit` sets another one.
    """
    with FakeHyperline(rate_limit=1_000_000) as hyperline:
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
        self.arn = self._client.create_secret(
            Name=self.name, SecretString=json.dumps(self.content)
        )["ARN"]

    def put(self, **content: Any) -> None:
        """Change fields of the secret; None removes a field."""
        self.content |= content
        present = {k: v for k, v in self.content.items() if v is not None}
        self.write(json.dumps(present))

    def write(self, text: str) -> None:
        """Replace the secret with *text*."""
        self._client.put_secret_value(SecretId=self.name, SecretString=text)

    def write_binary(self, content: bytes) -> None:
        """Replace the secret with *content*, which is not text."""
        self._client.put_secret_value(SecretId=self.name, SecretBinary=content)

    def roll_back(self) -> None:
        """Put the previous version back, as the current one."""
        previous = self._client.get_secret_value(
            SecretId=self.name, VersionStage="AWSPREVIOUS"
        )
        self.write(previous["SecretString"])

    def delete(self) -> None:
        """Mark the secret as deleted; it can be restored for 30 days."""
        self._client.delete_secret(SecretId=self.name)

    def restore(self) -> None:
        """Restore the deleted secret."""
        self._client.restore_secret(SecretId=self.name)


@pytest.fixture
def secret(aws: FakeAws, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Secret:
    """A secret of this test only, of which no cached copy exists.

    Whatever reads it runs by `clock`, and not by the speed of the machine.
    """
    assert clock
    secret = Secret()
    monkeypatch.setenv("SECRET_ID", secret.name)
    aws.requests.clear()
    return secret


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The clocks of this process, which stand still until a test moves them."""
    clock = Clock(monkeypatch)
    yield clock
    clock.close()


@pytest.fixture
def live_key(secret: Secret, hyperline: FakeHyperline) -> str:
    """A production key; a copy of the secret with it is used for 5 minutes."""
    hyperline.key = "prod_1"
    secret.put(hyperline_api_key=hyperline.key)
    return hyperline.key


@pytest.fixture
def stale_secret(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> Secret:
    """A secret whose cached copy is always old enough to be read again."""
    monkeypatch.setattr("segment_to_hyperline.secret_cache._FRESH_SECONDS", 0)
    return secret


class Queue:
    """A queue, as its operator sees it."""

    def __init__(self) -> None:
        self._client = boto3.client("sqs")
        queue = self._client.create_queue(QueueName=f"stack-Replay-{uuid.uuid4().hex}")
        self.url = queue["QueueUrl"]

    def put(self, body: str, attributes: Any = None) -> None:
        """Send a message to the queue."""
        self._client.send_message(
            QueueUrl=self.url, MessageBody=body, MessageAttributes=attributes or {}
        )

    def take(self) -> list[Any]:
        """Receive and delete all messages, and return them."""
        taken = []
        while messages := self._client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                taken.append(message)
                self._client.delete_message(
                    QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"]
                )
        return taken

    def bodies(self) -> list[str]:
        """Receive and delete all messages, and return their bodies."""
        return [message["Body"] for message in self.take()]

    def stored_at(self) -> list[str]:
        """Return when the events of each message were first stored; delete nothing."""
        return [attributes["StoredAt"] for attributes in self.attributes()]

    def attributes(self) -> list[dict[str, str]]:
        """Return the attributes of each message by name; delete nothing."""
        response = self._client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=0,
        )
        return [
            {
                name: value["StringValue"]
                for name, value in message.get("MessageAttributes", {}).items()
            }
            for message in response["Messages"]
        ]

    def messages(self) -> list[dict[str, Any]]:
        """Receive and delete all messages, and return their bodies as objects."""
        return [json.loads(body) for body in self.bodies()]


@pytest.fixture
def quarantine(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A Quarantine queue of this test only."""
    queue = Queue()
    monkeypatch.setenv("QUARANTINE_QUEUE_URL", queue.url)
    aws.requests.clear()
    return queue


@pytest.fixture
def replay_queue(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """A Replay queue of this test only, and a short backoff."""
    queue = Queue()
    monkeypatch.setenv("REPLAY_QUEUE_URL", queue.url)
    monkeypatch.setenv("BACKOFF_SECONDS", "0.01")
    aws.requests.clear()
    return queue


@pytest.fixture
def send(
    secret: Secret, quarantine: Queue, replay_queue: Queue, hyperline: FakeHyperline
) -> Send:
    """Send an event, a `Webhook`, or an API Gateway request to the function."""
    assert secret
    assert quarantine
    assert replay_queue
    assert hyperline

    def send(content: Any) -> Response:
        if not isinstance(content, Webhook) and "requestContext" not in content:
            content = single(write(content))
        if isinstance(content, Webhook):
            content = to_api_gateway(content)
        response = receiver.lambda_handler(content, Context())
        return Response(response["statusCode"], json.loads(response["body"]))

    return send


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Log:
    """Return the lines written since the last look, as objects."""

    def log() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]

    return log
