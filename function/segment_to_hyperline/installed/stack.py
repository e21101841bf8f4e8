"""Find out from CloudFormation what belongs to a stack of this application.

Importing it takes as long as importing boto3 does.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from segment_to_hyperline.archive.aws_access import (
    AWS_ERRORS,
    create_client,
    explain_failure,
    find_code,
)
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.installed.queue_addresses import QueueAddress, find_replay

_KEY = "hyperline_api_key"


class Stack(NamedTuple):
    """A deployed stack."""

    name: str
    region: str
    """Its AWS region."""
    secret_id: str
    """The name of its secret."""
    replay_arn: str
    """The ARN of its queue Replay."""
    quarantine_arn: str
    """The ARN of its queue Quarantine."""
    hyperline_url: str | None
    """Its Hyperline host, or None for the one that belongs to the API key."""
    webhook_url: str | None = None
    """Where Segment sends its requests."""

    def find_replay(self, text: str | None = None) -> QueueAddress:
        """Return its queue Replay; raises `InputError` if *text* is another queue.

        *text* is a URL or an ARN.
        """
        arn = self.replay_arn
        return find_replay(text or arn, arn, self.quarantine_arn)


def find_stack(name: str, region: str | None = None) -> Stack:
    """Return the stack *name*, by default in the environment's region.

    Raises `InputError` if there is none, or if it is a stack of something else.
    """
    try:
        client = create_client("cloudformation", region)
    except AWS_ERRORS as error:
        raise InputError(explain_failure(error, "")) from error
    return _read_stack(_describe(client, name), str(client.meta.region_name))


def find_secret_id(name: str, parameters: Mapping[str, str]) -> str:
    """Return the name of the secret of the stack *name*, given its *parameters*."""
    # Like the variable SECRET_ID in the template.
    return parameters.get("SecretName") or name


def create_queue_url(queue: QueueAddress) -> str:
    """Return the URL of *queue*; raises `InputError`."""
    try:
        client = create_client("sqs", queue.region or None)
    except AWS_ERRORS as error:
        raise InputError(explain_failure(error, "")) from error
    return queue.create_url(client.meta.endpoint_url)


def read_secret(secret_id: str, region: str | None = None) -> dict[str, Any]:
    """Return the fields of a secret, by default in the environment's region.

    Raises `InputError`.
    """
    shown = f"the secret '{secret_id}'"
    try:
        client = create_client("secretsmanager", region)
        shown += f" in the region {client.meta.region_name}"
        response = client.get_secret_value(SecretId=secret_id)
    except AWS_ERRORS as error:
        raise InputError(f"{shown} can't be read: {_explain_secret(error)}") from error
    try:
        fields = json.loads(response["SecretString"])
    except (KeyError, ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InputError(f"{shown} isn't a JSON object: correct it")
    return fields


def check_environment(key: str, stack: Stack, secret: Mapping[str, Any]) -> None:
    """Raise `InputError` if *key* belongs to another environment than *stack*.

    *key* is that in HYPERLINE_API_KEY, and *secret* has the fields of the stack's.
    """
    other = secret.get(_KEY)
    if not isinstance(other, str) or not other:
        raise InputError(f"the secret '{stack.secret_id}' has no {_KEY}: add it")
    own, expected = find_environment(key), find_environment(other)
    if own != expected:
        raise InputError(
            f"HYPERLINE_API_KEY is a key of Hyperline's {own}, and the stack"
            f" '{stack.name}' uses {expected}: unset HYPERLINE_API_KEY to use the"
            f" stack's key, or choose the stack that uses {own}"
        )


def find_environment(key: str) -> str:
    """Return Hyperline's environment that *key* belongs to."""
    return Endpoint("", key).environment


def _describe(client: Any, name: str) -> dict[str, Any]:
    """Return what CloudFormation knows about the stack *name*."""
    shown = f"stack '{name}' in the region {client.meta.region_name}"
    unknown = f"there is no {shown}: check --stack, --region and AWS_PROFILE"
    if not name:  # without a name, CloudFormation returns all stacks
        raise InputError(unknown)
    try:
        found: dict[str, Any] = client.describe_stacks(StackName=name)["Stacks"][0]
    except AWS_ERRORS as error:
        if find_code(error) == "ValidationError":
            raise InputError(unknown) from error
        permission = f"cloudformation:DescribeStacks for the stack {name}"
        problem = explain_failure(error, permission)
        raise InputError(f"the {shown} can't be read: {problem}") from error
    return found


def _read_stack(found: Mapping[str, Any], region: str) -> Stack:
    """Return the stack that CloudFormation has *found*."""
    name, status = found["StackName"], found["StackStatus"]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", ())}
    given = found.get("Parameters", ())
    parameters = {p["ParameterKey"]: p["ParameterValue"] for p in given}
    is_ours = outputs.keys() >= {"ReplayArn", "QuarantineArn"}
    if not is_ours or status.startswith("DELETE_"):
        raise InputError(
            f"the stack '{name}' in the region {region} is not a deployed stack of this"
            f" application: its status is {status}, and its outputs are"
            f" {', '.join(outputs) or 'none'}"
        )
    return Stack(
        name,
        region,
        find_secret_id(name, parameters),
        outputs["ReplayArn"],
        outputs["QuarantineArn"],
        parameters.get("HyperlineUrl") or None,
        outputs.get("WebhookUrl"),
    )


def _explain_secret(error: Exception) -> str:
    match find_code(error):
        case "ResourceNotFoundException":
            return "it doesn't exist: create it with `init`, or set HYPERLINE_API_KEY"
        case "InvalidRequestException":
            return "it is marked for deletion: restore it"
        case _:
            return explain_failure(error, "secretsmanager:GetSecretValue for it")
