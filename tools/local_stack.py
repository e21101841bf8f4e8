"""The application, deployed into a local AWS, posting to a fake Hyperline.

The local AWS is ministack; template.yaml is built and deployed by the real `sam`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import requests

import fake_hyperline
import segment_webhook
from segment_webhook import Webhook

ROOT = Path(__file__).parents[1]
STACK_NAME = "segment-to-hyperline"
SECRET = {
    "hyperline_api_key": fake_hyperline.KEY,
    "segment_shared_secret": segment_webhook.SHARED_SECRET,
    "segment_bearer_token": segment_webhook.BEARER_TOKEN,
}
_START_SECONDS = 60
_AWS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True)
class LocalStack:
    """A deployed stack that is ready for calls."""

    host: str
    endpoint: str
    hyperline: fake_hyperline.FakeHyperline
    resources: dict[str, str]

    @property
    def host_header(self) -> str:
        """The Host by which the local AWS knows the API; its port is no part of it."""
        return f"{self.resources['WebhookApi']}.execute-api.localhost"

    @property
    def webhook_url(self) -> str:
        """Where to post, together with `host_header`."""
        return f"{self.endpoint}/segment"

    def send(self, webhook: Webhook, path: str = "/segment") -> requests.Response:
        """Make the call and return the answer."""
        return requests.post(
            f"{self.endpoint}{path}",
            data=webhook.body.encode(),
            headers={**webhook.headers, "Host": self.host_header},
            timeout=30,
        )

    def quarantined(self) -> list[dict[str, Any]]:
        """Take all messages out of the Quarantine queue and return their bodies."""
        bodies = receive_all(self.client("sqs"), self.resources["Quarantine"])
        return [json.loads(body) for body in bodies]

    def redrive(self) -> None:
        """Move all messages of Quarantine to Replay, as SQS's own redrive does."""
        sqs = self.client("sqs")
        for message in self.quarantined():
            sqs.send_message(
                QueueUrl=self.resources["Replay"], MessageBody=json.dumps(message)
            )

    def client(self, service: str) -> Any:
        """Return a boto3 client of the local AWS."""
        return client(service, self.endpoint)


@contextmanager
def deploy(host: str = "127.0.0.1", *, quiet: bool = False) -> Iterator[LocalStack]:
    """Yield the deployed stack, listening on *host*; stop all of it afterwards."""
    step = Progress(quiet=quiet)
    with (
        fake_hyperline.FakeHyperline(host) as hyperline,
        start_aws(host, step) as endpoint,
    ):
        with step("sam build"):
            run_sam("build", **local_environment(endpoint))
        with step("sam deploy"):
            run_sam(
                "deploy",
                f"--stack-name={STACK_NAME}",
                f"--region={_AWS['AWS_DEFAULT_REGION']}",
                f"--parameter-overrides=HyperlineUrl={hyperline.url}",
                "--capabilities=CAPABILITY_IAM",
                "--config-env=local",  # not what the owner chose for AWS
                "--no-confirm-changeset",
                "--resolve-s3",
                **local_environment(endpoint),
            )
        with step("create the secret and the route"):
            client("secretsmanager", endpoint).create_secret(
                Name=STACK_NAME, SecretString=json.dumps(SECRET)
            )
            resources = _resources(endpoint)
            _create_route(endpoint, resources)
        yield LocalStack(host, endpoint, hyperline, resources)


def end_when_told() -> None:
    """Make SIGTERM end this process as Ctrl-C does: what it started is stopped too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))


def receive_all(sqs: Any, queue: str) -> list[str]:
    """Take all messages out of *queue*, a URL, and return their bodies."""
    bodies = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        for message in messages:
            bodies.append(message["Body"])
            receipt = message["ReceiptHandle"]
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=receipt)
    return bodies


@contextmanager
def start_aws(host: str, step: "Progress") -> Iterator[str]:
    """Yield the endpoint of a local AWS with nothing in it; stop it afterwards."""
    port = _free_port(host)
    endpoint = f"http://{host}:{port}"
    with tempfile.TemporaryDirectory() as directory:
        environment = local_environment(
            endpoint,
            BIND_HOST=host,
            GATEWAY_PORT=str(port),
            IOT_MTLS_ENABLED="0",
            TMPDIR=directory,
        )
        with Path(directory, "log").open("wb") as log:
            process = subprocess.Popen(
                [ROOT / ".venv/stack/bin/ministack"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that its workers stop with it
            )
        try:
            with step("start the local AWS"):
                _wait(process, f"{endpoint}/_ministack/health", Path(directory, "log"))
            yield endpoint
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    sys.exit(f"the local AWS did not start:\n{log.read_text()}")


def local_environment(endpoint: str, **more: str) -> dict[str, str]:
    """Return the environment of a process that must not reach the real AWS."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return ours | _AWS | {"AWS_ENDPOINT_URL": endpoint} | more


def run_sam(*arguments: str, **environment: str) -> str:
    """Run the SAM command line, and return what it prints; end this if it fails.

    An *environment* that is given is the whole one, so that no AWS account is in it.
    """
    # `sam build` looks for python3.13 and its pip on the PATH.
    path = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [ROOT / ".venv/stack/bin/sam", *arguments],
        cwd=ROOT,
        env={**(environment or os.environ), "PATH": path, "SAM_CLI_TELEMETRY": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nsam {arguments[0]} failed, see above")
    return done.stdout


def _resources(endpoint: str) -> dict[str, str]:
    """Return the physical id of each resource of the stack by its logical one."""
    stack = client("cloudformation", endpoint).describe_stack_resources(
        StackName=STACK_NAME
    )
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in stack["StackResources"]
    }


def _create_route(endpoint: str, resources: dict[str, str]) -> None:
    # A gap of the emulator: it does not read the routes that SAM writes into the API.
    gateway = client("apigatewayv2", endpoint)
    api = resources["WebhookApi"]
    integration = gateway.create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        IntegrationUri=resources["ReceiverAliaslive"],
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    gateway.create_route(
        ApiId=api, RouteKey="POST /segment", Target=f"integrations/{integration}"
    )


def client(service: str, endpoint: str) -> Any:
    """Return a boto3 client of the local AWS at *endpoint*."""
    create: Any = boto3.client  # its type knows only services that are spelled out
    return create(
        service,
        endpoint_url=endpoint,
        region_name=_AWS["AWS_DEFAULT_REGION"],
        aws_access_key_id=_AWS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=_AWS["AWS_SECRET_ACCESS_KEY"],
    )


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])


class Progress:
    """Prints each step as it begins, and how long it took."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Do what is inside the with statement as the step of this name."""
        began = time.monotonic()
        if not self.quiet:
            print(f"{step} ...", end=" ", flush=True)
        yield
        if not self.quiet:
            print(f"{time.monotonic() - began:.1f} s", flush=True)
