"""Create and change the secret of a stack, and the topic of its alarms.

Importing it takes as long as importing boto3 does.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from segment_to_hyperline.archive.aws_access import (
    AWS_ERRORS,
    create_client,
    explain_failure,
    find_code,
)
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.installed.stack import read_secret

# https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
_NOT_IN_TOPIC = re.compile(r"[^A-Za-z0-9_-]")


class SecretStore:
    """The secret *name* in a region, by default the one of the environment.

    Raises `InputError`, for example without credentials. So do its methods, which name
    the permission that is missing. No message has a value.
    """

    def __init__(self, name: str, region: str | None) -> None:
        self.name = name
        self._shown = f"the secret '{name}'"
        with self._explain(""):
            self._client = create_client("secretsmanager", region)
        self.region = str(self._client.meta.region_name)
        self._shown += f" in the region {self.region}"

    def exists(self) -> bool:
        """Return whether the secret exists, and can be used."""
        with self._explain("DescribeSecret"):
            try:
                found = self._client.describe_secret(SecretId=self.name)
            except self._client.exceptions.ResourceNotFoundException:
                return False
        if "DeletedDate" in found:
            raise InputError(
                f"{self._shown} is scheduled for deletion: restore it with `aws"
                f" secretsmanager restore-secret --secret-id {self.name}`, or choose"
                " another --secret-id"
            )
        return True

    def read(self) -> dict[str, Any]:
        """Return the fields of the secret."""
        return read_secret(self.name, self.region)

    def create(self, fields: Mapping[str, Any]) -> None:
        """Create the secret; one that exists is not changed."""
        with self._explain("CreateSecret"):
            self._client.create_secret(Name=self.name, SecretString=json.dumps(fields))

    def replace(self, fields: Mapping[str, Any]) -> None:
        """Store a new version of the secret, which exists."""
        with self._explain("PutSecretValue"):
            self._client.put_secret_value(
                SecretId=self.name, SecretString=json.dumps(fields)
            )

    @contextmanager
    def _explain(self, operation: str) -> Iterator[None]:
        try:
            yield
        except AWS_ERRORS as error:
            permission = f"secretsmanager:{operation} for it"
            reason = (
                "it exists already"
                if find_code(error) == "ResourceExistsException"
                else explain_failure(error, permission)
            )
            raise InputError(f"{self._shown} can't be used: {reason}") from error


def subscribe(address: str, name: str, region: str) -> str:
    """Create the topic *name*, subscribe an email *address*, and return its ARN.

    A topic or a subscription that exists stays. Raises `InputError`.
    """
    try:
        client = create_client("sns", region)
        topic = client.create_topic(Name=_NOT_IN_TOPIC.sub("-", name))["TopicArn"]
        client.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
    except AWS_ERRORS as error:
        reason = explain_failure(error, "sns:CreateTopic and sns:Subscribe")
        raise InputError(f"{address} can't be subscribed: {reason}") from error
    return str(topic)
