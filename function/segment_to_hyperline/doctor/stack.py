"""Read at AWS what belongs to a stack: its functions, queues, alarms and its secret."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any, NamedTuple

import requests

from segment_to_hyperline.doctor.aws import Aws
from segment_to_hyperline.doctor.findings import Result, Unread
from segment_to_hyperline.installed.stack import find_secret_id

_NESTED = "AWS::CloudFormation::Stack"
_ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
# The most names that DescribeAlarms takes.
_MAX_ALARMS = 100
# AWS/SQS publishes the age of the oldest message each minute, and with a delay.
_AGE_MINUTES = 15
_DOWNLOAD_SECONDS = 10
MAPPING = "mapping.toml"
# One of the packages that `sam build` installs beside it.
PACKAGE = "requests/__init__.py"
_DEPLOY = "run `sam build` and `sam deploy`"


class Identity(NamedTuple):
    """Whose credentials are used."""

    account: str
    arn: str
    region: str


class StackState(NamedTuple):
    """What CloudFormation says about a stack."""

    name: str
    status: str
    """Such as `UPDATE_COMPLETE`."""
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def secret_id(self) -> str:
        """The name of its secret."""
        return find_secret_id(self.name, self.parameters)


class Resource(NamedTuple):
    """A resource of a stack."""

    name: str
    """Its name in the template."""
    kind: str
    """Such as `AWS::SQS::Queue`."""
    id: str
    """Its physical id."""


type Resources = Mapping[str, Resource]


class FunctionState(NamedTuple):
    """What Lambda says about a function."""

    name: str
    """Its name in the template."""
    state: str
    """`Active`, or why it can't be invoked."""
    last_update: str
    """`Successful`, or why the last update has failed."""
    code_url: str
    """Where its code can be downloaded for a few minutes."""


class QueueState(NamedTuple):
    """What SQS says about a queue."""

    waiting: int
    """The messages that can be received."""
    hidden: int
    """The messages that are delayed or in progress."""
    oldest_seconds: float | None
    """The age of the oldest message, if CloudWatch has it."""


class AlarmState(NamedTuple):
    """What CloudWatch says about an alarm."""

    name: str
    """Its name in the template."""
    state: str
    """`OK`, `ALARM` or `INSUFFICIENT_DATA`; empty if it was deleted."""
    reason: str
    """What is wrong if it is raised, and what to do."""
    notifies: bool
    """Whether its actions are enabled."""


class TopicState(NamedTuple):
    """What SNS says about the topic of the alarms."""

    arn: str
    confirmed: int
    """The number of its confirmed subscriptions."""
    pending: int
    """The number of its subscriptions that were not confirmed yet."""
    key: str
    """The KMS key that encrypts it, if any."""


class Concurrency(NamedTuple):
    """How many functions can run at the same time."""

    limit: int
    """All functions of the account in the region."""
    unreserved: int
    """Those functions for which nothing is reserved."""
    reserved: int | None
    """The Receiver, if something is reserved for it."""

    @property
    def available(self) -> int:
        """How many Receivers can run at the same time."""
        return self.unreserved if self.reserved is None else self.reserved


class SecretState(NamedTuple):
    """A secret, as it is now."""

    name: str
    fields: Mapping[str, Any]
    key: str | None
    """The KMS key of the account that encrypts it, or nothing; None if not known."""


def read_identity(aws: Aws) -> Identity:
    """Return whose credentials are used."""
    found = aws.call("sts", "GetCallerIdentity")
    return Identity(found["Account"], found["Arn"], aws.find_region())


def read_stack(aws: Aws, name: str) -> StackState:
    """Return what CloudFormation says about the stack *name*."""
    try:
        found = aws.call("cloudformation", "DescribeStacks", StackName=name)
    except Unread as error:
        if error.code == "ValidationError":
            raise Unread(
                f"there is no stack '{name}' in the region {aws.find_region()}",
                f"{_DEPLOY}, or check --stack, --region and AWS_PROFILE",
            ) from error
        raise
    stack = found["Stacks"][0]
    given = stack.get("Parameters", ())
    return StackState(
        stack["StackName"],
        stack["StackStatus"],
        {p["ParameterKey"]: p.get("ParameterValue", "") for p in given},
        {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", ())},
    )


def read_failure(aws: Aws, name: str) -> str:
    """Return why the last deployment has failed: the first resource that did.

    *name* is the name of the stack, or its id.
    """
    events = aws.list(
        "cloudformation", "DescribeStackEvents", "StackEvents", StackName=name
    )
    failed = [e for e in _of_last_operation(events) if _is_failure(e)]
    if not failed:
        return "no reason was found"
    first = failed[-1]  # the events begin with the latest one
    if first.get("ResourceType") == _NESTED and first.get("PhysicalResourceId"):
        return read_failure(aws, first["PhysicalResourceId"])
    return f"{first['LogicalResourceId']}: {first.get('ResourceStatusReason', '')}"


def _of_last_operation(events: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield *events* back to the one with which the last deployment began."""
    for event in events:
        yield event
        is_stack = event.get("PhysicalResourceId") == event.get("StackId")
        if is_stack and event["ResourceStatus"] in {
            "CREATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS",
            "REVIEW_IN_PROGRESS",
        }:
            return


def _is_failure(event: Mapping[str, Any]) -> bool:
    return str(event["ResourceStatus"]).endswith("_FAILED")


def read_resources(aws: Aws, stack: StackState) -> Resources:
    """Return the resources by their names in the template, also of nested stacks."""
    own = _list_resources(aws, stack.name)
    nested = [each for each in own if each.kind == _NESTED]
    others = [each for one in nested for each in _list_resources(aws, one.id)]
    return {each.name: each for each in (*others, *own)}


def _list_resources(aws: Aws, name: str) -> list[Resource]:
    rows = aws.list(
        "cloudformation",
        "ListStackResources",
        "StackResourceSummaries",
        StackName=name,
    )
    return [
        Resource(
            row["LogicalResourceId"],
            row["ResourceType"],
            row.get("PhysicalResourceId", ""),
        )
        for row in rows
    ]


def find_resource(resources: Resources, name: str) -> Resource:
    """Return the resource *name*; raises `Unread` if the stack has none."""
    found = resources.get(name)
    if found is None or not found.id:
        raise Unread(f"the stack has no {name}", _DEPLOY)
    return found


def read_function(
    aws: Aws, resources: Resources, name: str, alias: str | None = None
) -> FunctionState:
    """Return what Lambda says about a function, or about its *alias*."""
    resource = find_resource(resources, name)
    arguments = {"Qualifier": alias} if alias else {}
    found = aws.call("lambda", "GetFunction", FunctionName=resource.id, **arguments)
    state = found["Configuration"]
    update = state.get("LastUpdateStatus", "Successful")
    return FunctionState(
        name,
        _join(state.get("State", "Active"), state.get("StateReason", "")),
        _join(update, state.get("LastUpdateStatusReason", "")),
        found["Code"]["Location"],
    )


def _join(state: str, reason: str) -> str:
    return f"{state}: {reason}" if reason else state


def read_deployed_mapping(function: FunctionState) -> bytes:
    """Return the mapping in the code of a function.

    Raises `Unread` also if the code lacks its packages. `sam deploy` without
    `sam build` succeeds, and uploads the sources alone.
    """
    try:
        # The address has the permission in it, so it is no part of a message.
        response = requests.get(function.code_url, timeout=_DOWNLOAD_SECONDS)
        response.raise_for_status()
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            is_built = PACKAGE in archive.namelist()
            content = archive.read(MAPPING)
    except (requests.RequestException, zipfile.BadZipFile, KeyError, OSError) as error:
        raise Unread(
            f"the code of the {function.name} can't be downloaded:"
            f" {type(error).__name__}",
            "run the command again, and allow this machine to reach S3",
            Result.UNKNOWN,
        ) from None
    if not is_built:
        raise Unread(
            f"the {function.name} can't start: it was deployed without its packages",
            _DEPLOY,
        )
    return content


def read_event_source(aws: Aws, resources: Resources) -> str:
    """Return the state of what invokes the Replayer, such as `Enabled`."""
    resource = find_resource(resources, "ReplayerMessages")
    found = aws.call("lambda", "GetEventSourceMapping", UUID=resource.id)
    return str(found["State"])


def read_queue(aws: Aws, resources: Resources, name: str, now: float) -> QueueState:
    """Return what SQS says about a queue; *now* is in seconds since 1970."""
    url = find_resource(resources, name).id
    counted = ("Messages", "MessagesNotVisible", "MessagesDelayed")
    names = [f"ApproximateNumberOf{each}" for each in counted]
    found = aws.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=names)
    waiting, progress, delayed = (int(found["Attributes"][each]) for each in names)
    has_messages = waiting + progress + delayed > 0
    age = _read_age(aws, url, now) if has_messages else None
    return QueueState(waiting, progress + delayed, age)


def _read_age(aws: Aws, url: str, now: float) -> float | None:
    """Return the age of the oldest message in seconds, or None if it isn't known."""
    end = datetime.fromtimestamp(now, UTC)
    try:
        found = aws.call(
            "cloudwatch",
            "GetMetricStatistics",
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": url.rpartition("/")[2]}],
            StartTime=end - timedelta(minutes=_AGE_MINUTES),
            EndTime=end,
            Period=60,
            Statistics=["Maximum"],
        )
    except Unread:  # the number of messages is known
        return None
    points = sorted(found["Datapoints"], key=lambda point: point["Timestamp"])
    return float(points[-1]["Maximum"]) if points else None


def read_alarms(aws: Aws, resources: Resources) -> list[AlarmState]:
    """Return the alarms that can notify somebody."""
    # The others are parts of a composite alarm.
    names = {
        each.id: each.name
        for each in resources.values()
        if each.kind in _ALARMS and each.name.endswith("Alarm")
    }
    rows: dict[str, dict[str, Any]] = {}
    for some in batched(names, _MAX_ALARMS):
        found = aws.call(
            "cloudwatch",
            "DescribeAlarms",
            AlarmNames=list(some),
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
        )
        listed = (*found["MetricAlarms"], *found.get("CompositeAlarms", ()))
        rows |= {row["AlarmName"]: row for row in listed}
    return [_read_alarm(name, rows.get(key, {})) for key, name in names.items()]


def _read_alarm(name: str, row: Mapping[str, Any]) -> AlarmState:
    return AlarmState(
        name,
        row.get("StateValue", ""),
        row.get("AlarmDescription", ""),
        row.get("ActionsEnabled", True),
    )


def read_topic(aws: Aws, stack: StackState) -> TopicState | None:
    """Return what SNS says about the topic of the alarms; None if there is none."""
    arn = stack.parameters.get("AlarmTopicArn")
    return _read_topic(aws, arn) if arn else None


def _read_topic(aws: Aws, arn: str) -> TopicState:
    try:
        found = aws.call("sns", "GetTopicAttributes", TopicArn=arn)["Attributes"]
    except Unread as error:
        if error.code in {"NotFound", "404"}:
            raise Unread(
                f"the topic {arn} doesn't exist",
                "create it, or set the parameter AlarmTopicArn to another topic",
            ) from error
        raise
    confirmed, pending = (
        int(found.get(f"Subscriptions{each}", 0)) for each in ("Confirmed", "Pending")
    )
    return TopicState(arn, confirmed, pending, found.get("KmsMasterKeyId", ""))


def read_log_groups(aws: Aws, resources: Resources) -> Mapping[str, int | None]:
    """Return the days of retention of each log group; 0 if there is none."""
    groups = [r for r in resources.values() if r.kind == "AWS::Logs::LogGroup"]
    return {group.name: _read_retention(aws, group.id) for group in groups}


def _read_retention(aws: Aws, name: str) -> int | None:
    rows = aws.list("logs", "DescribeLogGroups", "logGroups", logGroupNamePrefix=name)
    found = next((row for row in rows if row["logGroupName"] == name), None)
    return found.get("retentionInDays") if found else 0


def read_concurrency(aws: Aws, resources: Resources) -> Concurrency:
    """Return how many functions can run at the same time."""
    receiver = find_resource(resources, "Receiver").id
    limits = aws.call("lambda", "GetAccountSettings")["AccountLimit"]
    own = aws.call("lambda", "GetFunctionConcurrency", FunctionName=receiver)
    return Concurrency(
        limits["ConcurrentExecutions"],
        limits["UnreservedConcurrentExecutions"],
        own.get("ReservedConcurrentExecutions"),
    )


def read_secret(aws: Aws, name: str) -> SecretState:
    """Return a secret."""
    shown = f"the secret '{name}'"
    try:
        found = aws.call("secretsmanager", "GetSecretValue", SecretId=name)
    except Unread as error:
        if error.code in _SECRET_PROBLEMS:
            problem, remedy = _SECRET_PROBLEMS[error.code]
            raise Unread(f"{shown} {problem}", remedy) from error
        raise
    text = found.get("SecretString") or found["SecretBinary"]
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Unread(
            f"{shown} isn't a JSON object",
            'store it as {"hyperline_api_key": "…", "segment_shared_secret": "…"}',
        )
    return SecretState(name, fields, _read_key(aws, name))


# By AWS's code. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
_SECRET_PROBLEMS = {
    "ResourceNotFoundException": (
        "doesn't exist",
        "create it with `segment-to-hyperline init`, or check the parameter SecretName",
    ),
    "InvalidRequestException": (
        "is marked for deletion",
        "restore it with `aws secretsmanager restore-secret`",
    ),
}


def _read_key(aws: Aws, name: str) -> str | None:
    """Return the KMS key of a secret; empty if it is AWS's own; None if not known."""
    try:
        found = aws.call("secretsmanager", "DescribeSecret", SecretId=name)
    except Unread:  # the secret can be read, which is enough for the other checks
        return None
    key = str(found.get("KmsKeyId") or "")
    return "" if key.endswith("alias/aws/secretsmanager") else key
