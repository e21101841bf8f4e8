"""What belongs to a stack, and what operators read if it can't be found."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.installed.queue_addresses import QueueAddress
from segment_to_hyperline.installed.stack import (
    Stack,
    check_environment,
    create_queue_url,
    find_stack,
    read_secret,
)
from segment_to_hyperline.simulation.template import read_template
from tests.conftest import Secret
from tests.fake_aws import FakeAws, Fault

REGION = "us-east-1"
PRODUCTION, SANDBOX = "prod_1", "test_1"
# What the commands use of template.yaml.
PARAMETERS = ("SecretName", "HyperlineUrl")
QUEUES = ("Replay", "Quarantine")
pytestmark = pytest.mark.usefixtures("aws")


def deploy(name: str, queues: tuple[str, ...] = QUEUES, **parameters: str) -> str:
    """Create a stack with *queues* and *parameters*, and return its id."""
    template = {
        "Parameters": {n: {"Type": "String", "Default": ""} for n in PARAMETERS},
        "Resources": {n: {"Type": "AWS::SQS::Queue"} for n in (*queues, "Other")},
        "Outputs": {
            f"{n}Arn": {"Value": {"Fn::GetAtt": [n, "Arn"]}} for n in (*queues, "Other")
        },
    }
    given = [
        {"ParameterKey": name, "ParameterValue": value}
        for name, value in parameters.items()
    ]
    client: Any = boto3.client("cloudformation")
    created = client.create_stack(
        StackName=name, TemplateBody=json.dumps(template), Parameters=given
    )
    return str(created["StackId"])


@pytest.fixture
def name() -> str:
    """The name of a stack that doesn't exist yet."""
    return f"stack-{uuid.uuid4()}"


def reject(find: Callable[..., object], *arguments: Any) -> str:
    """Return why something isn't found."""
    with pytest.raises(InputError) as caught:
        find(*arguments)
    return str(caught.value)


def test_the_template_has_what_is_used() -> None:
    """The names of outputs and parameters, and that of the secret."""
    template = read_template()

    assert template["Outputs"].keys() >= {f"{queue}Arn" for queue in QUEUES}
    assert template["Parameters"].keys() >= set(PARAMETERS)
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["SECRET_ID"] == ["HasSecretName", "SecretName", "AWS::StackName"]


def test_a_stack_is_found(name: str) -> None:
    """With its queues, its secret and its host."""
    deploy(name, SecretName="ours", HyperlineUrl="https://proxy.example")

    stack = find_stack(name)

    assert stack[:3] == (name, REGION, "ours")
    assert stack.hyperline_url == "https://proxy.example"
    assert f"{name}-Replay-" in stack.replay_arn
    assert f"{name}-Quarantine-" in stack.quarantine_arn


def test_a_stack_is_found_by_its_id(name: str) -> None:
    """The defaults are those of the template."""
    stack = find_stack(deploy(name), REGION)

    assert stack[:3] == (name, REGION, name)
    assert stack.hyperline_url is None


def test_events_are_sent_to_the_queue_of_the_stack(name: str) -> None:
    """It exists at the URL, and another queue is rejected."""
    deploy(name)
    stack = find_stack(name)

    url = create_queue_url(stack.find_replay())

    sqs = boto3.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    assert attributes["Attributes"]["QueueArn"] == stack.replay_arn
    assert stack.find_replay(url)[:2] == stack.find_replay()[:2]
    assert "is the queue Quarantine" in reject(stack.find_replay, stack.quarantine_arn)


@pytest.mark.parametrize("name", ["missing", "not a name", ""])
def test_no_such_stack(name: str) -> None:
    """The region is named, because each has its own stacks."""
    assert reject(find_stack, name, "eu-west-3") == (
        f"there is no stack '{name}' in the region eu-west-3: check --stack, --region"
        " and AWS_PROFILE"
    )


def test_a_stack_of_something_else(name: str) -> None:
    """It has other outputs."""
    deploy(name, queues=())

    assert reject(find_stack, name) == (
        f"the stack '{name}' in the region us-east-1 is not a deployed stack of this"
        " application: its status is CREATE_COMPLETE, and its outputs are OtherArn"
    )


def test_a_deleted_stack(name: str) -> None:
    """CloudFormation finds it by its id, for 90 days."""
    stack_id = deploy(name)
    boto3.client("cloudformation").delete_stack(StackName=name)

    assert "its status is DELETE_COMPLETE" in reject(find_stack, stack_id)


def test_a_stack_that_may_not_be_read(aws: FakeAws, name: str) -> None:
    """The permission is named."""
    aws.fail(
        "DescribeStacks",
        Fault(
            "403 Forbidden",
            b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>",
        ),
    )

    assert reject(find_stack, name) == (
        f"the stack '{name}' in the region us-east-1 can't be read: the AWS credentials"
        f" lack the permission cloudformation:DescribeStacks for the stack {name}"
    )


def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the environment nor as an option."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")

    assert "no AWS region is set" in reject(find_stack, "any")
    assert "'any' can't be read: no AWS region is set" in reject(read_secret, "any")
    assert "no AWS region is set" in reject(
        create_queue_url, QueueAddress("a", "1", "")
    )


def create_stack(secret_id: str) -> Stack:
    """Return a stack with this secret."""
    return Stack("billing", REGION, secret_id, "", "", None)


def test_the_secret_is_read(secret: Secret) -> None:
    """It is that of the stack, in its region."""
    assert read_secret(secret.name, REGION) == secret.content


def test_no_secret(secret: Secret) -> None:
    """It is named, with what to do."""
    name, shown = secret.name, f"the secret '{secret.name}' in the region us-east-1"

    secret.write("[]")
    assert reject(read_secret, name) == f"{shown} isn't a JSON object: correct it"
    secret.write_binary(b"{}")
    assert reject(read_secret, name) == f"{shown} isn't a JSON object: correct it"
    secret.delete()
    assert reject(read_secret, name) == (
        f"{shown} can't be read: it is marked for deletion: restore it"
    )
    assert reject(read_secret, "missing", REGION) == (
        "the secret 'missing' in the region us-east-1 can't be read: it doesn't exist:"
        " create it with `init`, or set HYPERLINE_API_KEY"
    )


def test_a_secret_that_may_not_be_read(aws: FakeAws, secret: Secret) -> None:
    """The permission is named."""
    body = b'{"__type":"AccessDeniedException"}'
    aws.fail("GetSecretValue", Fault("400 Bad Request", body))

    assert "lack the permission secretsmanager:GetSecretValue" in reject(
        read_secret, secret.name
    )


@pytest.mark.parametrize("key", [PRODUCTION, SANDBOX])
def test_a_key_of_the_environment_of_the_stack_is_accepted(key: str) -> None:
    """It can be another key, for example one that may only read."""
    check_environment(f"{key}2", create_stack("ours"), {"hyperline_api_key": key})


@pytest.mark.parametrize(
    ("key", "own", "of_stack", "expected"),
    [
        (SANDBOX, "sandbox", PRODUCTION, "production"),
        (PRODUCTION, "production", SANDBOX, "sandbox"),
    ],
)
def test_a_key_of_the_other_environment_is_rejected(
    key: str, own: str, of_stack: str, expected: str
) -> None:
    """Events would be compared with one environment, and billed in the other."""
    secret = {"hyperline_api_key": of_stack}

    assert reject(check_environment, key, create_stack("ours"), secret) == (
        f"HYPERLINE_API_KEY is a key of Hyperline's {own}, and the stack 'billing' uses"
        f" {expected}: unset HYPERLINE_API_KEY to use the stack's key, or choose the"
        f" stack that uses {own}"
    )


@pytest.mark.parametrize("fields", [{}, {"hyperline_api_key": ""}])
def test_a_stack_without_a_key(fields: dict[str, str]) -> None:
    """It can't bill, and its environment isn't known."""
    assert reject(check_environment, SANDBOX, create_stack("ours"), fields) == (
        "the secret 'ours' has no hyperline_api_key: add it"
    )
