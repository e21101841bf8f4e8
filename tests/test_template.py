"""template.yaml agrees with the code and with the vendors' limits."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import daily_check
import receiver
import replayer
from forwarder import config
from forwarder.aws.messages import MAX_MESSAGE_BYTES
from forwarder.hyperline.facts import HOSTS
from forwarder.outcomes import Outcome
from forwarder.segment.facts import RESPONSE_TIMEOUT_SECONDS, RETRY_WINDOW_SECONDS
from forwarder.telemetry import NAMESPACE, UNITS
from tests.forwarder.hyperline.test_url import INVALID, VALID
from tools.template import read_template

ROOT = Path(__file__).parents[1]
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")


TEMPLATE = read_template()
RESOURCES = TEMPLATE["Resources"]


def variables(function: str) -> dict[str, str]:
    """Return the environment variables of *function* that are not in Globals."""
    environment = RESOURCES[function]["Properties"]["Environment"]
    variables: dict[str, str] = environment["Variables"]
    return variables


def test_the_receiver_responds_before_segment_times_out() -> None:
    """The time budget is below Segment's timeout, and above the share for the queue."""
    budget = float(variables("Receiver")["TIME_BUDGET_SECONDS"])

    assert 1 <= budget < RESPONSE_TIMEOUT_SECONDS


def test_events_are_parked_before_segment_drops_them() -> None:
    """Segment retries at least once after the time from which events are parked."""
    parameter = TEMPLATE["Parameters"]["ParkAfterSeconds"]

    assert 0 <= parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"]
    assert parameter["MaxValue"] <= RETRY_WINDOW_SECONDS - 60 * 60
    assert variables("Receiver")["PARK_AFTER_SECONDS"] == "ParkAfterSeconds"


def test_the_default_of_the_code_is_that_of_the_template(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the variables, as in tests, the code behaves as deployed."""
    for name in ("PARK_AFTER_SECONDS", "BACKOFF_SECONDS", "TIME_BUDGET_SECONDS"):
        monkeypatch.delenv(name, raising=False)

    assert (
        config.park_after_seconds()
        == (TEMPLATE["Parameters"]["ParkAfterSeconds"]["Default"])
    )
    assert config.time_budget_seconds() == float(
        variables("Receiver")["TIME_BUDGET_SECONDS"]
    )
    assert config.backoff_seconds() == float(variables("Replayer")["BACKOFF_SECONDS"])


def test_functions_have_more_time_than_their_budget() -> None:
    """Lambda ends a function only after its own deadline, cold start included."""
    for function in ("Receiver", "Replayer"):
        budget = float(variables(function)["TIME_BUDGET_SECONDS"])

        assert RESOURCES[function]["Properties"]["Timeout"] >= budget + 5


def test_handlers_exist() -> None:
    """The names of the handlers are those in the code."""
    for function in ("Receiver", "Replayer"):
        module, _, name = RESOURCES[function]["Properties"]["Handler"].partition(".")

        source = (ROOT / f"function/{module}.py").read_text("utf-8")
        assert f"def {name}(" in source


def alarms() -> dict[str, dict[str, Any]]:
    """Return the properties of each alarm on metrics, by its name."""
    return {
        name: resource["Properties"]
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


def watched_metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the metrics that an alarm reads."""
    if "Metrics" not in alarm:
        return [alarm]
    return [m["MetricStat"]["Metric"] for m in alarm["Metrics"] if "MetricStat" in m]


SERVICES = {m.metrics.service for m in (receiver, replayer, daily_check)}
# The dimensions that AWS's own metrics have.
AWS_DIMENSIONS = {
    "AWS/SQS": ["QueueName"],
    "AWS/ApiGateway": ["ApiId"],
    "AWS/Lambda": ["FunctionName"],
}


def test_alarms_watch_metrics_that_exist() -> None:
    """An alarm on a misspelled metric would never be raised."""
    for alarm in alarms().values():
        for metric in watched_metrics(alarm):
            dimensions = [d["Name"] for d in metric["Dimensions"]]
            if metric["Namespace"] == NAMESPACE:
                assert metric["MetricName"] in UNITS
                assert dimensions == ["service", "stack"]
                service = metric["Dimensions"][0]["Value"]
                assert service in SERVICES
            else:
                assert dimensions == AWS_DIMENSIONS[metric["Namespace"]]


@pytest.mark.parametrize(
    "rejection", [r for r in receiver.REJECTIONS.values() if r.status < 500]
)
def test_an_alarm_reports_requests_that_segment_does_not_retry(
    rejection: receiver.Rejection,
) -> None:
    """Their events are lost, and API Gateway's number of 5xx doesn't count them."""
    metrics = [m for alarm in alarms().values() for m in watched_metrics(alarm)]
    services = [
        metric["Dimensions"][0]["Value"]
        for metric in metrics
        if metric["MetricName"] == rejection.metric
    ]

    assert services == ["receiver"]


def test_the_first_request_with_the_previous_secret_is_reported() -> None:
    """Segment drops it after 4 hours, and the alarm counts each request."""
    alarm = alarms()["PreviousSecretAlarm"]

    assert alarm["MetricName"] == "PreviousSecret"
    assert alarm["Dimensions"][0] == {"Name": "service", "Value": "receiver"}
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= 300
    assert alarm["TreatMissingData"] == "notBreaching"


def test_each_alarm_notifies_once() -> None:
    """An alarm notifies, or is part of the one for an outage, and not both."""
    rule = str(RESOURCES["OutageAlarm"]["Properties"]["AlarmRule"])
    members = {name for name in alarms() if f"${{{name}}}" in rule}

    assert members == {n for n, a in alarms().items() if "AlarmActions" not in a}
    assert len(members) == rule.count("ALARM(")


def test_no_alarm_is_raised_by_a_single_failure() -> None:
    """It takes several periods, unless events already wait for a person."""
    at_once = {
        name for name, alarm in alarms().items() if alarm["DatapointsToAlarm"] == 1
    }

    assert at_once == {
        *("QuarantineAlarm", "ReplayAlarm", "ReplayAgeAlarm", "UnaccountedAlarm"),
        *("DiscrepancyAlarm", "DailyCheckErrorsAlarm", "PreviousSecretAlarm"),
    }


def test_alarms_are_raised_at_a_low_rate_of_requests() -> None:
    """Three requests in three hours suffice if Segment doesn't retry them."""
    for name in ("UnauthorizedAlarm", "MalformedAlarm", "UnreachedAlarm"):
        alarm = alarms()[name]
        assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (3, 36)


def test_each_alarm_names_its_runbook() -> None:
    """The description has the heading in docs/operations.md."""
    headings = re.findall(r"^### (\w+)$", OPERATIONS, re.MULTILINE)
    composite = RESOURCES["OutageAlarm"]["Properties"]

    for name, alarm in {**alarms(), "OutageAlarm": composite}.items():
        assert f"docs/operations.md#{name.lower()}" in alarm["AlarmDescription"]
        assert name in headings


def dashboard() -> list[dict[str, Any]]:
    """Return the widgets of the dashboard."""
    body = json.loads(RESOURCES["DeliveryDashboard"]["Properties"]["DashboardBody"])
    widgets: list[dict[str, Any]] = body["widgets"]
    return widgets


def test_the_dashboard_shows_metrics_that_exist() -> None:
    """A widget with a misspelled metric would be empty."""
    for widget in dashboard():
        for metric in widget["properties"]["metrics"]:
            match metric:
                case [str(namespace), name, "service", service, "stack", _, *_]:
                    assert namespace == NAMESPACE
                    assert name in UNITS
                    assert service in {"receiver", "replayer"}
                case ["AWS/Logs", "IncomingBytes", "LogGroupName", _, *_]:
                    pass
                case [str(namespace), _, dimension, value, *_]:
                    assert [dimension] == AWS_DIMENSIONS[namespace]
                    assert value[2:-1].partition(".")[0] in RESOURCES
                case [{"expression": expression}]:
                    ids = {
                        m[-1]["id"]
                        for m in widget["properties"]["metrics"]
                        if "id" in m[-1]
                    }
                    assert set(re.findall(r"FILL\((\w+)", expression)) < ids
                case _:
                    pytest.fail(f"unknown metric {metric}")


def test_the_dashboard_accounts_for_every_outcome() -> None:
    """Received minus the outcomes is what is unaccounted for."""
    first = dashboard()[0]["properties"]["metrics"]
    names = {metric[1] for metric in first if len(metric) > 1}

    assert names == {"Received", *(outcome.value.metric for outcome in Outcome)}
    (expression,) = [metric[0]["expression"] for metric in first if len(metric) == 1]
    assert len(re.findall("-FILL", expression)) == len(names) - 1


def test_the_widgets_of_the_dashboard_do_not_overlap() -> None:
    """CloudWatch would move them; its grid is 24 columns wide."""
    cells = [
        (x, y)
        for widget in dashboard()
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_the_parameter_accepts_the_hosts_that_the_function_accepts() -> None:
    """A wrong URL fails when it is deployed, and not when events arrive."""
    pattern = TEMPLATE["Parameters"]["HyperlineUrl"]["AllowedPattern"]

    assert all(re.fullmatch(pattern, url) for url in ("", *VALID))
    assert [url for url in INVALID if re.fullmatch(pattern, url)] == []


def test_queues_reject_requests_without_tls() -> None:
    """Both queues contain customer data."""
    policy = RESOURCES["QueuePolicy"]["Properties"]

    assert policy["Queues"] == ["Quarantine", "Replay"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_queues_accept_the_largest_message_of_the_code() -> None:
    """A large event that SQS rejects stays with Segment, which drops it after hours."""
    for queue in ("Quarantine", "Replay"):
        properties = RESOURCES[queue]["Properties"]

        assert properties["MaximumMessageSize"] == MAX_MESSAGE_BYTES


def test_lambda_does_not_stop_the_replayer() -> None:
    """It writes to the queue that it reads, in which events can wait for days."""
    assert RESOURCES["Replayer"]["Properties"]["RecursiveLoop"] == "Allow"


def test_queues_outlive_the_stack() -> None:
    """Their messages can be revenue."""
    for queue in ("Quarantine", "Replay"):
        assert RESOURCES[queue]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert RESOURCES[queue]["UpdateReplacePolicy"] == "Retain"


def test_the_replayer_can_only_read_its_own_queue() -> None:
    """SAM would attach a policy for all queues to a function with an SQS event."""
    assert "Events" not in RESOURCES["Replayer"]["Properties"]
    for policy in RESOURCES["Replayer"]["Properties"]["Policies"]:
        for statement in policy["Statement"]:
            if "sqs:ReceiveMessage" in statement["Action"]:
                assert statement["Resource"] == "Replay.Arn"


def test_every_parameter_is_described() -> None:
    """The console shows each parameter in a group, with a description."""
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [p for group in interface["ParameterGroups"] for p in group["Parameters"]]

    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    assert all(p["Description"] for p in TEMPLATE["Parameters"].values())


def test_the_description_of_the_url_names_the_key_prefixes() -> None:
    """The template says which key belongs to which host, as the code has it."""
    description = TEMPLATE["Parameters"]["HyperlineUrl"]["Description"]

    assert all(prefix in description for prefix in HOSTS)
