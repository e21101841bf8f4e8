"""Read the IAM policies in docs/policies, and what they permit."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from local_stack.aws import REGION, ROOT
from local_stack.stack import STACK_NAME
from tests.aws_requests import ACCOUNT, FREE, AwsRequest

FOLDER = ROOT / "docs/policies"
# What an owner replaces.
PLACEHOLDERS = {
    "REGION": REGION,
    "ACCOUNT": ACCOUNT,
    "STACK": STACK_NAME,
    "TOPIC": "alarms",
    "BUCKET": "archive",
}


class Statement(NamedTuple):
    """A statement of a policy, all of which allow something."""

    actions: list[str]
    """Such as `sqs:SendMessage` or `s3:Get*`."""
    resources: list[str]
    condition: dict[str, Any]


class Policy(NamedTuple):
    """A policy for the stack of the tests."""

    text: str
    """As it is in the file."""
    statements: list[Statement]

    @property
    def actions(self) -> set[str]:
        """What it permits on some resource."""
        return {action for each in self.statements for action in each.actions}

    def permits(self, request: AwsRequest) -> bool:
        """Return whether *request* is permitted."""
        if request.permission in FREE:
            return True
        return any(
            fnmatchcase(request.permission, action)
            and fnmatchcase(request.resource, resource)
            for statement in self.statements
            for action in statement.actions
            for resource in statement.resources
        )


def read_policy(name: str) -> Policy:
    """Return a policy, with the values of the stack of the tests."""
    text = (FOLDER / f"{name}.json").read_text("utf-8")
    filled = text
    for placeholder, value in PLACEHOLDERS.items():
        filled = filled.replace(placeholder, value)
    return Policy(text, list(_read_statements(json.loads(filled))))


def _read_statements(content: dict[str, Any]) -> Iterator[Statement]:
    assert content.keys() == {"Version", "Statement"}
    assert content["Version"] == "2012-10-17"
    for each in content["Statement"]:
        assert each.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert each["Effect"] == "Allow"
        yield Statement(
            _list(each["Action"]), _list(each["Resource"]), each.get("Condition", {})
        )


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


# What the SAM command line asks of AWS itself, to deploy and to delete a stack.
SAM = {
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:GetTemplate",
    "cloudformation:GetTemplateSummary",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:PutObject",
}
# What `segment-to-hyperline quarantine` and `replay` ask of it.
QUARANTINE = {
    "cloudformation:DescribeStacks",
    "cloudformation:ListStackResources",
    "cloudwatch:GetMetricStatistics",
    "lambda:GetFunction",
    "logs:CreateLogStream",
    "logs:FilterLogEvents",
    "logs:PutLogEvents",
    "secretsmanager:GetSecretValue",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
}
# What `segment-to-hyperline doctor` asks of it, also with --send.
DOCTOR = {
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:ListStackResources",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricStatistics",
    "lambda:GetAccountSettings",
    "lambda:GetEventSourceMapping",
    "lambda:GetFunction",
    "lambda:GetFunctionConcurrency",
    "logs:DescribeLogGroups",
    "logs:FilterLogEvents",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "sns:GetTopicAttributes",
    "sqs:GetQueueAttributes",
}
