"""Find the IAM permission that a request to AWS needs, and on which resource."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from local_stack.aws import REGION

ACCOUNT = "000000000000"
# Operations of Lambda, which only the path and the method name.
_LAMBDA = {
    r"/2015-03-31/functions/(?P<id>[^/]+)": "GetFunction",
    r"/2015-03-31/event-source-mappings/(?P<id>[^/]+)": "GetEventSourceMapping",
    r"/2016-08-19/account-settings/?": "GetAccountSettings",
    r"/2019-09-30/functions/(?P<id>[^/]+)/concurrency": "GetFunctionConcurrency",
}
# The prefixes of permissions that differ from the name that a request is signed for.
_PREFIXES = {"monitoring": "cloudwatch"}
# Permissions that differ from the operation.
_PERMISSIONS = {
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjectsV2": "ListBucket",
}
# Anybody may send these.
FREE = {"sts:GetCallerIdentity"}


class AwsRequest(NamedTuple):
    """A request to AWS."""

    operation: str
    """Such as `SendMessageBatch`."""
    permission: str
    """Such as `sqs:SendMessage`."""
    resource: str
    """The ARN that the permission must cover, or `*`."""


def read_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes
) -> AwsRequest:
    """Return what a request is about."""
    lowered = {name.lower(): value for name, value in headers.items()}
    signed = re.search(r"Credential=[^/]+/[^/]+/[^/]+/([\w-]+)/", str(lowered))
    service = signed[1] if signed else ""
    arguments: dict[str, Any] = {}
    if target := lowered.get("x-amz-target"):
        operation = target.rpartition(".")[2]
        arguments = json.loads(body or b"{}")
    elif "/operation/" in path:
        operation = path.rpartition("/")[2]
    elif "x-www-form" in lowered.get("content-type", ""):
        fields = parse_qs(body.decode())
        arguments = {name: values[0] for name, values in fields.items()}
        operation = arguments["Action"]
    elif service == "s3":
        operation, arguments = _read_s3(method, path)
    else:
        operation, arguments = _read_lambda(path)
    name = _PERMISSIONS.get(operation, operation.removesuffix("Batch"))
    permission = f"{_PREFIXES.get(service, service)}:{name}"
    return AwsRequest(operation, permission, _find_resource(arguments))


def _read_s3(method: str, path: str) -> tuple[str, dict[str, Any]]:
    bare, _, query = path.partition("?")
    bucket, _, key = bare.lstrip("/").partition("/")
    if not key:
        listing = {"GET": "ListObjectsV2", "HEAD": "HeadBucket"}
        name = "GetBucketLocation" if query == "location" else listing.get(method, "")
        return name, {"Bucket": bucket}
    names = {
        "GET": "GetObject",
        "HEAD": "HeadObject",
        "PUT": "PutObject",
        "DELETE": "DeleteObject",
    }
    return names.get(method, ""), {"Bucket": f"{bucket}/{unquote(key)}"}


def _read_lambda(path: str) -> tuple[str, dict[str, Any]]:
    bare = unquote(path.partition("?")[0])
    for pattern, name in _LAMBDA.items():
        if match := re.fullmatch(pattern, bare):
            kind = "EventSourceMapping" if "Source" in name else "Function"
            return name, {kind: match.groupdict().get("id")}
    return "", {}


# How the ARN of a resource is made of the argument that names it.
_ARNS = {
    "QueueUrl": "sqs:{region}:{account}:{name}",
    "logGroupName": "logs:{region}:{account}:log-group:{name}",
    "SecretId": "secretsmanager:{region}:{account}:secret:{name}-abc123",
    "Function": "lambda:{region}:{account}:function:{name}",
    "EventSourceMapping": "lambda:{region}:{account}:event-source-mapping:{name}",
    "StackName": "cloudformation:{region}:{account}:stack/{name}/some-id",
    "TopicArn": "",
    "Bucket": "s3:::{name}",
}


def _find_resource(arguments: Mapping[str, Any]) -> str:
    for argument, pattern in _ARNS.items():
        value = arguments.get(argument)
        if not value:
            continue
        name = str(value)
        if name.startswith("arn:"):
            return name
        if argument == "QueueUrl":
            name = name.rpartition("/")[2]
        if match := re.fullmatch(r"/aws/cloudformation/(.+)/(\w+)", name):
            name = f"{match[1]}-{match[2]}-abc123"  # as AWS names it, unlike ministack
        arn = pattern.format(region=REGION, account=ACCOUNT, name=name)
        return f"arn:aws:{arn}"
    return "*"
