"""The command `send`: which requests it sends, and what it prints."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import BEARER_TOKEN, write
from segment_to_hyperline.cli import send as command
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.segment.times import format_time
from tests.conftest import Secret
from tests.samples import track
from tests.segment_to_hyperline.sending.gateway import FakeGateway

ROOT = Path(__file__).parents[3]
UNMAPPABLE = track(messageId="m-2", userId=None)
REASON = "m-2: rule 1 (track): customer_id: userId is null"

type Send = Callable[..., Result]


@pytest.fixture
def send(gateway: FakeGateway, secret: Secret, tmp_path: Path) -> Send:
    """Run the command with files, each with its events, against a local stack."""
    secret.put(segment_bearer_token=BEARER_TOKEN)

    def send(*files: Any, options: tuple[str, ...] = (), text: str = "") -> Result:
        names = []
        for number, content in enumerate(files):
            path = tmp_path / f"{number}.json"
            path.write_text(content if isinstance(content, str) else write(content))
            names.append(str(path))
        target = options or ("--url", f"{gateway.url}/segment")
        return CliRunner().invoke(cli, ["send", *names, *target], input=text)

    return send


def find_bodies(gateway: FakeGateway) -> list[str]:
    """Return the bodies of the requests that were sent."""
    return [request.body.decode() for request in gateway.requests]


def test_an_event_is_billed(
    send: Send, gateway: FakeGateway, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """It is sent as it is in the file, with the secret of the local stack."""
    done = send(track())

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / '0.json'}: 200  1 delivered\n"
    assert find_bodies(gateway) == [write(track())]
    assert [key for _, key in hyperline.store] == [track()["messageId"]]


@pytest.mark.parametrize(
    "content",
    [
        [track(), UNMAPPABLE],
        f"{write(track())}\n{write(UNMAPPABLE)}\n",
        f'[{{"json":{write(track())}}},{write(UNMAPPABLE)}]',
    ],
)
def test_several_events_of_a_file_are_an_array(
    send: Send, gateway: FakeGateway, content: Any
) -> None:
    """The response has a reason for each event that isn't billed."""
    done = send(content)

    assert done.exit_code == 1
    assert ": 200  1 delivered, 1 quarantined\n" in done.stdout
    assert f"\n  {REASON}\n" in done.stdout
    assert "Failed: 1 of 1 request failed, or has quarantined" in done.stderr
    assert find_bodies(gateway) == [f"[{write(track())},{write(UNMAPPABLE)}]"]


def test_each_file_is_a_request(send: Send, gateway: FakeGateway) -> None:
    """Each has its line, and the first failure doesn't end the command."""
    done = send(UNMAPPABLE, track(type="identify"))

    first, reason, second = done.stdout.splitlines()
    assert done.exit_code == 1
    assert first.endswith("0.json: 422  1 quarantined")
    assert reason == f"  {REASON}"
    assert second.endswith("1.json: 200  1 filtered")
    assert len(gateway.requests) == 2


@pytest.mark.parametrize("sample", ["track", "array", "parked-message"])
def test_a_sample_request_is_unwrapped(
    send: Send, gateway: FakeGateway, sample: str
) -> None:
    """Its events are signed again."""
    done = send((ROOT / f"events/{sample}.json").read_text("utf-8"))

    assert done.exit_code == 0
    assert len(gateway.requests) == 1


def test_a_large_file_is_several_batches(
    send: Send, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None has more events than Segment's batches; one that is left is an array too."""
    monkeypatch.setattr(command, "MAX_BATCH_EVENTS", 2)
    events = [track(messageId=f"m-{number}") for number in range(3)]

    done = send(events)

    assert done.exit_code == 0
    first, second = map(json.loads, find_bodies(gateway))
    assert [*first, *second] == events


def test_a_parked_event_is_a_success_and_a_pending_one_is_not(
    send: Send, hyperline: FakeHyperline
) -> None:
    """The first one will be billed; the other one is lost if it isn't sent again."""
    hyperline.outage = FakeResponse(503)

    parked = send(track())
    pending = send(track(receivedAt=format_time(datetime.now(UTC))))

    assert (parked.exit_code, pending.exit_code) == (0, 1)
    assert ": 200  1 parked\n" in parked.stdout
    assert ": 503  1 pending\n" in pending.stdout


def test_a_rejected_request_has_a_reason(send: Send, secret: Secret) -> None:
    """For example, if the secret is not that of the local stack."""
    for name in ("another", "and-a-third"):
        secret.put(segment_bearer_token=f"{name}-token-than-the-local-one")

    done = send(track())

    assert done.exit_code == 1
    assert ": 401  rejected\n  the Authorization header is missing" in done.stdout
    assert "For a deployed stack, use --stack." in done.stderr


@pytest.mark.parametrize(
    ("path", "body", "shown"),
    [
        ("/other", None, '404  not a response of this application: {"message":"Not '),
        (
            "/segment",
            b"<html>\n",
            r'200  not a response of this application: "<html>\n"',
        ),
        ("/segment", b"[" * 100_000, "200  not a response of this application: [[["),
    ],
)
def test_another_response_is_shown(
    send: Send, gateway: FakeGateway, path: str, body: bytes | None, shown: str
) -> None:
    """A wrong URL isn't taken for a success."""
    if body is not None:
        gateway.respond(FakeResponse(200, body))

    done = send(track(), options=("--url", f"{gateway.url}{path}"))

    assert done.exit_code == 1
    assert shown in done.stdout
    assert len(done.stdout) < 500


def test_without_a_local_stack_the_command_says_how_to_start_it(send: Send) -> None:
    """Nothing more is sent."""
    done = send(track(), track(), options=("--url", "http://127.0.0.1:9/segment"))

    assert (done.exit_code, done.stdout) == (1, "")
    assert "the connection is refused" in done.stderr
    assert "start the local stack with `segment-to-hyperline local`" in done.stderr


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        ("{", (), "1.json:1: not JSON"),
        ("[]", (), "no events"),
        ("\n1", (), "line 2 is not an event"),
        (track(), ("--yes",), "--region and --yes need --stack"),
        (track(), ("--region", "us-east-1"), "--region and --yes need --stack"),
        (track(), ("--stack", "none"), "there is no stack 'none'"),
    ],
)
def test_nothing_is_sent_if_something_is_wrong(
    send: Send,
    gateway: FakeGateway,
    content: Any,
    options: tuple[str, ...],
    problem: str,
) -> None:
    """Not even the events of the other files."""
    url = ("--url", f"{gateway.url}/segment")

    done = send(content if content == "[]" else track(), content, options=url + options)

    assert (done.exit_code, done.stdout) == (2, "")
    assert problem in str(done.exception) or problem in done.output
    assert gateway.requests == []


class Stack:
    """A deployed stack, with a secret of its own."""

    def __init__(self, secret: Secret, outputs: dict[str, str]) -> None:
        self.name = f"stack-{uuid.uuid4()}"
        self.token = "the-token-of-the-deployed-stack"
        secret.put(
            segment_shared_secret=[
                "the-secret-of-the-deployed-stack",
                "an-older-shared-secret",
            ],
            segment_bearer_token=self.token,
        )
        client: Any = boto3.client("cloudformation")
        client.create_stack(
            StackName=self.name,
            TemplateBody=json.dumps(
                {
                    "Parameters": {"SecretName": {"Type": "String"}},
                    "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
                    "Outputs": {
                        name: {"Value": value} for name, value in outputs.items()
                    },
                }
            ),
            Parameters=[{"ParameterKey": "SecretName", "ParameterValue": secret.name}],
        )


ARNS = {"ReplayArn": "arn", "QuarantineArn": "arn"}


@pytest.fixture
def stack(gateway: FakeGateway, secret: Secret) -> Stack:
    """A stack whose API is the gateway."""
    return Stack(secret, {**ARNS, "WebhookUrl": f"{gateway.url}/segment"})


def test_a_deployed_stack_has_its_own_url_and_secret(
    send: Send, gateway: FakeGateway, stack: Stack
) -> None:
    """They are found by the name of the stack."""
    done = send(track(), options=("--stack", stack.name), text="y\n")

    assert done.exit_code == 0, done.output
    question = f"Send 1 event to {gateway.url}/segment, and bill what the mapping"
    assert f"{question} selects? [y/N]" in done.output
    assert ": 200  1 delivered\n" in done.output
    assert gateway.requests[-1].authorization == f"Bearer {stack.token}"
    assert stack.token not in done.output


@pytest.mark.parametrize("text", ["n\n", "\n", ""])
def test_nothing_is_sent_to_a_deployed_stack_without_a_yes(
    send: Send, gateway: FakeGateway, stack: Stack, text: str
) -> None:
    """Events are billed there."""
    done = send(track(), options=("--stack", stack.name), text=text)

    assert done.exit_code == 1
    assert "nothing was sent: answer with y, or use --yes" in done.stderr
    assert gateway.requests == []


def test_a_url_of_a_deployed_stack_can_be_given(
    send: Send, gateway: FakeGateway, secret: Secret
) -> None:
    """For example, that of a custom domain."""
    stack = Stack(secret, ARNS)
    url = f"{gateway.url}/segment"

    without = send(track(), options=("--stack", stack.name, "--yes"))
    done = send(track(), options=("--stack", stack.name, "--yes", "--url", url))

    assert without.exit_code == 2
    assert "has no output WebhookUrl: use --url" in without.output
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_secret_without_a_shared_secret(
    send: Send, secret: Secret, stack: Stack
) -> None:
    """Nothing can be signed."""
    secret.put(segment_shared_secret=None)

    done = send(track(), options=("--stack", stack.name, "--yes"))

    assert done.exit_code == 2
    assert "segment_shared_secret" in done.output
