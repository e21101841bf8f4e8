"""The template, deployed by `sam` into a local AWS, with requests over HTTP."""

import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from local_stack import demo
from local_stack.aws import (
    ROOT,
    Progress,
    local_environment,
    receive_all,
    start_aws,
)
from local_stack.fake_api import FakeResponse
from local_stack.segment_requests import Webhook, array, single, write
from local_stack.stack import (
    ALARM_TOPIC,
    STACK_NAME,
    LocalStack,
    deploy,
    lock_build,
)
from local_stack.webhook_proxy import WebhookProxy
from maintenance.alarms import read_alarms
from segment_to_hyperline.cli.main import cli
from tests.outage import DAY, MINUTE, Outage
from tests.samples import BILLABLE, TIMESTAMP, track

# As in template.yaml: an invocation that takes longer is stopped.
REPLAYER_TIMEOUT = 70


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """The deployed application."""
    with deploy(quiet=True) as stack:
        yield stack


@pytest.fixture
def outage(stack: LocalStack) -> Iterator[Outage]:
    """An outage of Hyperline, which is over at the end of the test."""
    outage = Outage(stack)
    variables = outage.configure(BACKOFF_SECONDS="0.1")
    yield outage
    stack.hyperline.outage = None
    stack.hyperline.unprocessable.clear()
    outage.receive(enabled=True)
    outage.configure(**variables)
    stack.aws.set_clock(0)


def test_the_demo_succeeds(
    stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """All sample requests and events of Segment's SDKs have the expected outcomes.

    The table fits a terminal.
    """
    assert demo.show(stack)

    table = capsys.readouterr().out.partition("Hyperline stored")[0].splitlines()
    assert len(table) > 14
    assert max(map(len, table)) <= 80


def test_a_sample_is_sent_as_to_the_command_local(stack: LocalStack) -> None:
    """The command `send` shows the response, and `local` what was posted."""
    sample = str(ROOT / "events/track.json")
    with WebhookProxy(0) as proxy:
        proxy.connect(stack.api_url, stack.hyperline)
        list(proxy.wait_for_lines(0))

        arguments = ["send", sample, "--url", f"{proxy.url}/segment"]
        done = CliRunner().invoke(cli, arguments)

        *_, line = proxy.wait_for_lines(0)
    assert (done.exit_code, done.stdout) == (0, f"{sample}: 200  1 delivered\n")
    assert line.startswith('200  1 delivered  posted {"customer_id": "customer-42"')


def test_the_deployed_application_bills_and_quarantines(stack: LocalStack) -> None:
    """Hyperline stores the billable event, and the queue the original event."""
    unmappable = track(messageId="ü", userId=None)
    key = (BILLABLE["event_type"], track()["messageId"])

    response = stack.send(array([write(track()), write(unmappable)]))

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "delivered": 1,
        "filtered": 0,
        "parked": 0,
        "quarantined": 1,
        "pending": 0,
        "errors": [
            {
                "message_id": "ü",
                "code": "unmappable",
                "reason": "rule 1 (track): customer_id: userId is null",
            }
        ],
    }
    assert json.loads(stack.hyperline.store[key]) == BILLABLE
    assert stack.quarantined() == [
        {
            "code": "unmappable",
            "reason": "rule 1 (track): customer_id: userId is null",
            "events": [unmappable],
        }
    ]


def test_the_deployed_application_replays(stack: LocalStack) -> None:
    """A quarantined event is billed after the cause was fixed and it was moved."""
    event = track(messageId="m-replayed", userId="late-customer")
    stack.hyperline.unknown_customers.add("late-customer")
    assert stack.send(single(write(event))).status_code == 422

    stack.hyperline.unknown_customers.clear()
    stack.redrive()

    key = (event["event"], event["messageId"])
    timeout = time.monotonic() + 30
    while key not in stack.hyperline.store and time.monotonic() < timeout:
        time.sleep(0.2)
    assert json.loads(stack.hyperline.store[key])["customer_id"] == "late-customer"
    assert stack.quarantined() == []


def test_the_deployed_functions_write_the_metrics_of_the_dashboard(
    stack: LocalStack,
) -> None:
    """Its metrics are those that real invocations wrote, for this stack."""
    assert stack.send(single(write(track()))).status_code == 200
    assert stack.send(Webhook("{}", {})).status_code == 401
    (name,) = [
        entry["DashboardName"]
        for entry in stack.client("cloudwatch").list_dashboards()["DashboardEntries"]
    ]
    dashboard = stack.client("cloudwatch").get_dashboard(DashboardName=name)
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    shown = {
        tuple(metric[1:6:2]): tuple(metric[2:6:2])
        for widget in widgets
        for metric in widget["properties"]["metrics"]
        if metric[0] == "SegmentToHyperline"
    }

    written = {
        (metric["Name"], line["service"], line["stack"])
        for line in stack.log_lines()
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }

    assert set(shown.values()) == {("service", "stack")}
    assert {stack for _, _, stack in shown} == {STACK_NAME}
    assert {
        ("Received", "receiver", STACK_NAME),
        ("Delivered", "receiver", STACK_NAME),
        ("HyperlineLatency", "receiver", STACK_NAME),
        ("Unauthorized", "receiver", STACK_NAME),
        ("Received", "replayer", STACK_NAME),
        ("OldestEvent", "replayer", STACK_NAME),
    } <= written & shown.keys()


def test_the_deployed_functions_have_the_version_of_the_template(
    stack: LocalStack,
) -> None:
    """The built artifact shows it in its lines and in its posts, as the output does."""
    (described,) = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)[
        "Stacks"
    ]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]}

    stack.send(single(write(track())))

    assert {line["version"] for line in stack.log_lines()} == {outputs["Version"]}
    assert {request.headers["User-Agent"] for request in stack.hyperline.requests} == {
        f"segment-to-hyperline/{outputs['Version']}"
    }


def create_events(*names: str) -> list[dict[str, Any]]:
    """Return an old event of each of these customers."""
    return [
        track(messageId=f"outage-{name}", userId=name, receivedAt=TIMESTAMP)
        for name in names
    ]


def test_an_outage_loses_no_event_and_bills_none_twice(outage: Outage) -> None:
    """Also if the Replayer crashes, and if an event can't be processed for 12 days.

    An event that was delivered is not received again.
    """
    hyperline = outage.hyperline
    events = create_events("a", "b", "c", "stuck", "beside", "late")
    a, b, c, stuck, beside, late = events
    malformed = track(messageId="outage-malformed", userId=None, receivedAt=TIMESTAMP)

    # Hyperline is down: the messages stay in Replay, and are received again.
    hyperline.outage = FakeResponse(503)
    assert outage.park(a, malformed) == {"parked": 1, "quarantined": 1}
    assert outage.park(b, stuck) == {"parked": 2, "quarantined": 0}
    assert outage.park(c) == {"parked": 1, "quarantined": 0}
    for event in (a, b, c, stuck):
        outage.wait_for("pending", event, times=2)
    outage.wait_until_idle(messages=3)

    # The Replayer is killed when Hyperline has stored an event, before the response.
    hyperline.unprocessable["stuck"] = FakeResponse(500)
    gate = outage.hold_responses()
    outage.receive(enabled=True)
    outage.wait_for_post(a, b, c)
    assert outage.stack.aws.kill(outage.stack.resources["Replayer"])
    outage.end(gate)

    # Hyperline is up, except for one event, which doesn't hold up the others.
    outage.pass_time(10 * MINUTE)
    for event in (a, b, c):
        outage.wait_for("delivered", event)
    outage.wait_for("pending", stuck, times=3)
    outage.wait_until_idle(messages=1)

    # An invocation with that event and another one takes as long as it may.
    outage.move(beside)
    gate = outage.hold_responses()
    outage.receive(enabled=True)
    outage.wait_for_post(beside)
    outage.pass_time(REPLAYER_TIMEOUT)
    outage.move(late)
    outage.wait_for_post(late)
    outage.end(gate)
    for event in (beside, late):
        outage.wait_for("delivered", event)
    outage.wait_until_idle(messages=1)

    # After 12 days, Hyperline can process the event.
    outage.pass_time(12 * DAY)
    hyperline.unprocessable.clear()
    outage.receive(enabled=True)
    outage.wait_for("delivered", stuck)
    outage.wait_until_idle(messages=0)

    for event in events:
        (written,) = hyperline.writes[event["event"], event["messageId"]]
        assert json.loads(written)["customer_id"] == event["userId"]
        assert outage.attempts("delivered")[event["messageId"]] == 1
    assert [message["events"] for message in outage.stack.quarantined()] == [
        [malformed]
    ]


def describe_alarms(stack: LocalStack, **filters: str) -> list[dict[str, Any]]:
    """Return the alarms of the local AWS; those on metrics come first."""
    kinds = ["MetricAlarm", "CompositeAlarm"]
    described = stack.client("cloudwatch").describe_alarms(
        MaxRecords=100, AlarmTypes=kinds, **filters
    )
    return [alarm for kind in kinds for alarm in described[f"{kind}s"]]


def test_every_alarm_is_raised_and_notifies(stack: LocalStack) -> None:
    """Of an alarm on an expression, the local AWS evaluates the first metric."""
    cloudwatch, sns, sqs = map(stack.client, ("cloudwatch", "sns", "sqs"))
    queue = sqs.create_queue(QueueName="notifications")["QueueUrl"]
    topic = sns.create_topic(Name=ALARM_TOPIC.rpartition(":")[2])["TopicArn"]
    assert topic == ALARM_TOPIC
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"],
    )
    alarms = describe_alarms(stack)
    metrics = {
        (a["Namespace"], a["MetricName"], str(a["Dimensions"])): a
        for a in alarms
        if "MetricName" in a
    }
    # In this order, a value that raises one alarm on a metric also raises the others.
    for alarm in sorted(metrics.values(), key=lambda a: a["Threshold"]):
        is_low = alarm["ComparisonOperator"] == "LessThanThreshold"
        cloudwatch.put_metric_data(
            Namespace=alarm["Namespace"],
            MetricData=[
                {
                    "MetricName": alarm["MetricName"],
                    "Dimensions": alarm["Dimensions"],
                    "Value": 0 if is_low else 1e9,
                }
            ],
        )

    names = {alarm["AlarmName"] for alarm in alarms}
    raised = describe_alarms(stack, StateValue="ALARM")
    assert {alarm["AlarmName"] for alarm in raised} == names
    notified = [
        json.loads(json.loads(body)["Message"])["AlarmName"]
        for body in receive_all(sqs, queue)
    ]
    # All but those of DailyCheck, which is not deployed.
    deployed = [alarm.name for alarm in read_alarms() if "Check" not in alarm.condition]
    assert len(notified) == len(deployed)
    assert all(any(f"-{name}" in long for long in notified) for name in deployed)


def test_alarms_watch_the_deployed_resources(stack: LocalStack) -> None:
    """In a nested stack, the name of the stack would be another one."""
    queues = {
        name: stack.resources[name].rpartition("/")[2]
        for name in ("Quarantine", "Replay")
    }
    expected = {
        "QueueName": set(queues.values()),
        "FunctionName": {stack.resources["Receiver"], stack.resources["Replayer"]},
        "ApiId": {stack.resources["WebhookApi"]},
        "stack": {line["stack"] for line in stack.log_lines()},
        "service": {"receiver", "replayer"},
    }

    watched: defaultdict[str, set[str]] = defaultdict(set)
    for alarm in describe_alarms(stack):
        for dimension in alarm.get("Dimensions", []):
            watched[dimension["Name"]].add(dimension["Value"])
        if alarm.get("Dimensions") == []:
            assert alarm["Namespace"] == f"SegmentToHyperline/{STACK_NAME}"
    assert expected == watched


def test_the_names_of_resources_outputs_and_variables_are_stable(
    stack: LocalStack,
) -> None:
    """The README, dashboards and scripts of users depend on them."""
    assert {"Receiver", "WebhookApi", "Quarantine", "Replayer", "Replay"} <= set(
        stack.resources
    )
    (described,) = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)[
        "Stacks"
    ]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]}
    assert outputs["WebhookUrl"].endswith("/segment")
    receiver = stack.client("lambda").get_function_configuration(
        FunctionName=stack.resources["Receiver"]
    )
    variables = receiver["Environment"]["Variables"]
    assert variables["SECRET_ID"] == "segment-to-hyperline"
    assert variables["HYPERLINE_URL"] == stack.hyperline.url
    assert variables["QUARANTINE_QUEUE_URL"] == stack.resources["Quarantine"]
    assert variables["REPLAY_QUEUE_URL"] == stack.resources["Replay"]
    assert variables["PARK_AFTER_SECONDS"] == "900"


def test_the_deployed_application_has_one_route(stack: LocalStack) -> None:
    """Only requests to /segment reach the function."""
    forged = Webhook(single("{}").body, {})

    assert stack.send(forged).status_code == 401
    assert stack.send(forged, path="/").status_code == 404


def test_the_documented_commands_ask_no_questions() -> None:
    """`sam build && sam deploy` works as typed, and changes no tracked file."""
    before = git_status()
    with start_aws("127.0.0.1", Progress(quiet=True)) as aws, lock_build(ROOT):
        environment = local_environment(aws.endpoint)
        environment["PATH"] = f"{ROOT / '.venv/bin'}:{environment['PATH']}"

        done = subprocess.run(
            "sam build && sam deploy",
            shell=True,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert "[y/N]" not in done.stdout
        assert "Successfully created/updated stack" in done.stdout
    assert git_status() == before


def git_status() -> str:
    """Return the changes to tracked files, and the untracked files."""
    command = ["git", "status", "--porcelain"]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
