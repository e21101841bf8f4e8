"""The application, deployed into a local AWS, posting to a fake Hyperline.

The real `sam` builds and deploys template.yaml.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from local_stack.aws import (
    REGION,
    ROOT,
    LocalAws,
    Progress,
    client,
    local_environment,
    receive_all,
    run_sam,
    start_aws,
)
from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import BEARER_TOKEN, SHARED_SECRET, Webhook

STACK_NAME = "segment-to-hyperline"
# The alarms notify it; it exists if somebody creates it.
ALARM_TOPIC = f"arn:aws:sns:{REGION}:000000000000:alarms"
SECRET = {
    "hyperline_api_key": KEY,
    "segment_shared_secret": SHARED_SECRET,
    "segment_bearer_token": BEARER_TOKEN,
}


@dataclass(frozen=True)
class LocalStack:
    """A deployed stack that is ready for requests."""

    host: str
    """The address that it listens on."""
    aws: LocalAws
    hyperline: FakeHyperline
    """Where it bills events."""
    resources: dict[str, str]
    """The physical id of each resource by its logical id."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The parameters that aren't the template's defaults."""

    @property
    def endpoint(self) -> str:
        """The endpoint of the local AWS."""
        return self.aws.endpoint

    @property
    def api_url(self) -> str:
        """The URL of the API in the local AWS."""
        api = self.resources["WebhookApi"]
        return f"{self.endpoint}/_aws/execute-api/{api}/$default"

    def send(self, webhook: Webhook, path: str = "/segment") -> requests.Response:
        """Send the request and return the response."""
        return requests.post(
            f"{self.api_url}{path}",
            data=webhook.body.encode(),
            headers=webhook.headers,
            timeout=30,
        )

    def quarantined(self) -> list[dict[str, Any]]:
        """Receive and delete all messages of Quarantine, and return their bodies."""
        bodies = receive_all(self.client("sqs"), self.resources["Quarantine"])
        return [json.loads(body) for body in bodies]

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the lines that the functions wrote, one per invocation."""
        logs = self.client("logs")
        groups = (self.resources["ReceiverLog"], self.resources["ReplayerLog"])
        messages = [
            event["message"]
            for group in groups
            for page in logs.get_paginator("filter_log_events").paginate(
                logGroupName=group
            )
            for event in page["events"]
        ]
        return [json.loads(text) for text in messages if text.startswith('{"_aws"')]

    def redrive(self) -> None:
        """Move all messages of Quarantine to Replay, as SQS's own redrive does."""
        sqs = self.client("sqs")
        for body in receive_all(sqs, self.resources["Quarantine"]):
            sqs.send_message(QueueUrl=self.resources["Replay"], MessageBody=body)

    def client(self, service: str) -> Any:
        """Return a boto3 client of the local AWS."""
        return client(service, self.endpoint)


@contextmanager
def deploy(
    host: str = "127.0.0.1", *, quiet: bool = False, **more: str
) -> Iterator[LocalStack]:
    """Yield the deployed stack, listening on *host*; stop all of it afterwards.

    *more* are parameters of the template.
    """
    step = Progress(quiet=quiet)
    with FakeHyperline(host) as hyperline, start_aws(host, step) as aws:
        endpoint = aws.endpoint
        parameters = {
            "HyperlineUrl": hyperline.url,
            "AlarmTopicArn": ALARM_TOPIC,
            "SilenceHours": "1",
            **more,
        }
        build_and_deploy(endpoint, parameters, step)
        with step("create the secret and the route"):
            client("secretsmanager", endpoint).create_secret(
                Name=STACK_NAME, SecretString=json.dumps(SECRET)
            )
            resources = find_resources(endpoint)
            create_route(endpoint, resources)
        yield LocalStack(host, aws, hyperline, resources, parameters)


def build_and_deploy(
    endpoint: str, parameters: Mapping[str, str], step: Progress, folder: Path = ROOT
) -> None:
    """Deploy the application in *folder*, a checkout, with `sam`."""
    environment = local_environment(endpoint)
    with lock_build(folder):
        with step("sam build"):
            run_sam("build", "--parallel", folder=folder, **environment)
        with step("sam deploy"):
            run_deploy(parameters, folder, environment)


@contextmanager
def lock_build(folder: Path) -> Iterator[None]:
    """Wait until no other process builds or deploys what is in *folder*."""
    path = folder / ".aws-sam/lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_deploy(
    parameters: Mapping[str, str], folder: Path, environment: Mapping[str, str]
) -> None:
    """Deploy what was built in *folder*, with `sam`."""
    run_sam(
        "deploy",
        f"--stack-name={STACK_NAME}",
        f"--region={REGION}",
        "--parameter-overrides",
        *(f"{name}={value}" for name, value in parameters.items()),
        "--capabilities=CAPABILITY_IAM",
        "--config-env=local",  # ignores the settings for AWS in samconfig.toml
        "--no-confirm-changeset",
        "--resolve-s3",
        folder=folder,
        **environment,
    )


def find_resources(
    endpoint: str, stack_name: str = STACK_NAME, region: str = REGION
) -> dict[str, str]:
    """Return the physical id of each resource of a stack by its logical id."""
    stack = client("cloudformation", endpoint, region).describe_stack_resources(
        StackName=stack_name
    )
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for resource in stack["StackResources"]
    }


def create_route(
    endpoint: str, resources: dict[str, str], region: str = REGION
) -> None:
    """Create the route of the API's definition, which ministack doesn't read."""
    gateway = client("apigatewayv2", endpoint, region)
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
