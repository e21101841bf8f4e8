"""What AWS says that the local AWS never does."""

import io
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from segment_to_hyperline.doctor import stack
from segment_to_hyperline.doctor.aws import Aws
from segment_to_hyperline.doctor.findings import Finding, Result, Unread
from tests.aws_proxy import DENIED, AwsProxy, Fault

NOBODY = "http://127.0.0.1:9"
EVENT = """<member>
<StackId>arn:stack/1</StackId><PhysicalResourceId>{id}</PhysicalResourceId>
<LogicalResourceId>{name}</LogicalResourceId><ResourceType>{kind}</ResourceType>
<ResourceStatus>{status}</ResourceStatus>
<ResourceStatusReason>{reason}</ResourceStatusReason></member>"""


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsProxy]:
    """An AWS that only gives the responses that a test sets."""
    with AwsProxy(NOBODY) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


@pytest.fixture
def aws(proxy: AwsProxy) -> Aws:
    """The same, for the readings."""
    assert proxy
    return Aws("us-east-1")


def event(
    name: str, status: str, reason: str = "", resource_id: str = "x", kind: str = "x"
) -> str:
    """Return an event of CloudFormation."""
    return EVENT.format(
        name=name, status=status, reason=reason, id=resource_id, kind=kind
    )


def list_events(*events: str) -> Fault:
    """Return CloudFormation's list of *events*, the latest one first."""
    name = "DescribeStackEvents"
    members = "".join(events)
    return Fault(
        200,
        "",
        f"<{name}Response><{name}Result><StackEvents>{members}</StackEvents>"
        f"</{name}Result></{name}Response>",
    )


def fail(read: object) -> Finding:
    """Return why something can't be read."""
    assert callable(read)
    with pytest.raises(Unread) as caught:
        read()
    return caught.value.finding


def test_the_first_failure_of_the_last_deployment(proxy: AwsProxy, aws: Aws) -> None:
    """Others were cancelled because of it, and earlier deployments don't matter."""
    proxy.faults["DescribeStackEvents"] = list_events(
        event("billing", "UPDATE_ROLLBACK_COMPLETE", resource_id="arn:stack/1"),
        event("Second", "UPDATE_FAILED", "it failed too"),
        event("Receiver", "UPDATE_FAILED", "no such role"),
        event("billing", "UPDATE_IN_PROGRESS", resource_id="arn:stack/1"),
        event("Old", "CREATE_FAILED", "long ago"),
    )

    assert stack.read_failure(aws, "billing") == "Receiver: no such role"


def test_no_failure(proxy: AwsProxy, aws: Aws) -> None:
    """CloudFormation deletes events after 90 days."""
    proxy.faults["DescribeStackEvents"] = list_events()

    assert stack.read_failure(aws, "billing") == "no reason was found"


def test_a_failure_of_a_nested_stack(proxy: AwsProxy, aws: Aws) -> None:
    """The reason is among its own events."""
    nested = event(
        "Monitoring",
        "CREATE_FAILED",
        "Embedded stack was not created",
        "arn:stack/2",
        "AWS::CloudFormation::Stack",
    )
    proxy.queues["DescribeStackEvents"] = [
        list_events(nested),
        list_events(event("PendingAlarm", "CREATE_FAILED", "invalid period")),
    ]

    assert stack.read_failure(aws, "billing") == "PendingAlarm: invalid period"


def test_a_topic_that_does_not_exist(proxy: AwsProxy, aws: Aws) -> None:
    """The parameter still has its ARN."""
    proxy.faults["GetTopicAttributes"] = Fault(404, "NotFound")
    state = stack.StackState("billing", "", {"AlarmTopicArn": "arn:topic"}, {})

    found = fail(partial(stack.read_topic, aws, state))

    assert found.evidence == "the topic arn:topic doesn't exist"
    assert "AlarmTopicArn" in found.remedy


def test_a_topic_that_may_not_be_read(proxy: AwsProxy, aws: Aws) -> None:
    """That isn't the same as a topic that doesn't exist."""
    proxy.faults["GetTopicAttributes"] = DENIED
    state = stack.StackState("billing", "", {"AlarmTopicArn": "arn:topic"}, {})

    found = fail(partial(stack.read_topic, aws, state))

    assert found.result is Result.UNKNOWN
    assert "sns:GetTopicAttributes" in found.evidence


@pytest.mark.parametrize(
    ("metric", "age"),
    [
        (DENIED, None),
        (Fault(200, "", '{"Datapoints": []}'), None),
        (
            Fault(
                200,
                "",
                '{"Datapoints": [{"Timestamp": 2, "Maximum": 90},'
                ' {"Timestamp": 1, "Maximum": 30}]}',
            ),
            90,
        ),
    ],
)
def test_the_age_of_the_oldest_message(
    proxy: AwsProxy, aws: Aws, metric: Fault, age: float | None
) -> None:
    """It is that of the last minute for which there is one."""
    attributes = {
        f"ApproximateNumberOf{name}": "1"
        for name in ("Messages", "MessagesNotVisible", "MessagesDelayed")
    }
    text = json.dumps({"Attributes": attributes})
    proxy.faults["GetQueueAttributes"] = Fault(200, "", text)
    proxy.faults["GetMetricStatistics"] = metric
    resources = {"Replay": stack.Resource("Replay", "", "https://sqs/1/Replay")}

    queue = stack.read_queue(aws, resources, "Replay", 1_000)

    assert queue == stack.QueueState(1, 2, age)


@pytest.mark.parametrize("secret", ["no JSON", "[]"])
def test_a_secret_that_is_no_object(proxy: AwsProxy, aws: Aws, secret: str) -> None:
    """The line says how it is stored."""
    text = json.dumps({"SecretString": secret})
    proxy.faults["GetSecretValue"] = Fault(200, "", text)

    found = fail(partial(stack.read_secret, aws, "billing"))

    assert found.evidence == "the secret 'billing' isn't a JSON object"


def test_a_log_group_that_does_not_exist(proxy: AwsProxy, aws: Aws) -> None:
    """Others can begin with the same name."""
    proxy.faults["DescribeLogGroups"] = Fault(
        200, "", '{"logGroups": [{"logGroupName": "log-2", "retentionInDays": 30}]}'
    )
    resources = {"ReceiverLog": stack.Resource("", "AWS::Logs::LogGroup", "log")}

    assert stack.read_log_groups(aws, resources) == {"": 0}


def test_a_resource_that_does_not_exist(aws: Aws) -> None:
    """An interrupted deployment has created only some."""
    found = fail(partial(stack.read_event_source, aws, {}))

    assert found.evidence == "the stack has no ReplayerMessages"


def test_a_secret_that_does_not_exist(proxy: AwsProxy, aws: Aws) -> None:
    """The line says what creates it."""
    proxy.faults["GetSecretValue"] = Fault(400, "ResourceNotFoundException")

    found = fail(partial(stack.read_secret, aws, "billing"))

    assert found.evidence == "the secret 'billing' doesn't exist"
    assert "segment-to-hyperline init" in found.remedy


@pytest.mark.parametrize(
    ("key", "shown"),
    [("alias/aws/secretsmanager", ""), ("arn:aws:kms:x:key/1", "arn:aws:kms:x:key/1")],
)
def test_the_key_of_a_secret(proxy: AwsProxy, aws: Aws, key: str, shown: str) -> None:
    """AWS's own can be used by every role."""
    proxy.faults["GetSecretValue"] = Fault(200, "", '{"SecretString": "{}"}')
    proxy.faults["DescribeSecret"] = Fault(200, "", f'{{"KmsKeyId": "{key}"}}')

    assert stack.read_secret(aws, "billing").key == shown


def test_the_state_of_a_function_has_its_reason(proxy: AwsProxy, aws: Aws) -> None:
    """It says what to do about it."""
    proxy.faults["GetFunction"] = Fault(
        200,
        "",
        '{"Configuration": {"State": "Failed", "StateReason": "no role"},'
        ' "Code": {"Location": "x"}}',
    )
    resources = {"Receiver": stack.Resource("Receiver", "", "function")}

    function = stack.read_function(aws, resources, "Receiver")

    assert (function.state, function.last_update) == ("Failed: no role", "Successful")


@pytest.fixture
def code() -> Iterator[tuple[str, list[bytes]]]:
    """A server with the code of a function; a test sets what it is."""
    content = [b""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if content[0] else 403)
            self.end_headers()
            self.wfile.write(content[0])

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/?signature=secret", content
    server.shutdown()
    server.server_close()


def create_code(*names: str) -> bytes:
    """Return the code of a function with files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "[[rules]]")
    return file.getvalue()


def test_the_deployed_mapping(code: tuple[str, list[bytes]]) -> None:
    """It is a file of the function's code."""
    url, content = code
    content[0] = create_code("mapping.toml", stack.PACKAGE)
    function = stack.FunctionState("Receiver", "", "", url)

    assert stack.read_deployed_mapping(function) == b"[[rules]]"


def test_code_without_its_packages(code: tuple[str, list[bytes]]) -> None:
    """`sam deploy` without `sam build` succeeds, and the function can't start."""
    url, content = code
    content[0] = create_code("mapping.toml")
    function = stack.FunctionState("Receiver", "", "", url)

    found = fail(partial(stack.read_deployed_mapping, function))

    assert found.result is Result.WRONG
    assert "was deployed without its packages" in found.evidence
    assert found.remedy == "run `sam build` and `sam deploy`"


@pytest.mark.parametrize("body", [b"", b"<html>", create_code("other.toml")])
def test_code_that_can_not_be_read(code: tuple[str, list[bytes]], body: bytes) -> None:
    """That is unknown, and the address, which is a permission, isn't shown."""
    url, content = code
    content[0] = body
    function = stack.FunctionState("Receiver", "", "", url)

    found = fail(partial(stack.read_deployed_mapping, function))

    assert found.result is Result.UNKNOWN
    assert "secret" not in found.evidence
