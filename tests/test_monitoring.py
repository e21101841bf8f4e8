"""The alarms and the dashboard watch what the deployed application writes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import daily_check
import receiver
import replayer
from maintenance import alarms as table
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.segment.facts import USER_AGENT_PREFIX
from segment_to_hyperline.simulation.template import read_template
from segment_to_hyperline.telemetry import NAMESPACE, UNITS

ROOT = Path(__file__).parents[1]
TEMPLATE = read_template()
MONITORING = read_template("monitoring.yaml")
RESOURCES = {
    name: resource
    for template in (TEMPLATE, MONITORING)
    for name, resource in template["Resources"].items()
}
ALARMS: dict[str, dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
NOTIFYING: dict[str, dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if name.endswith("Alarm")
}
FILTERS: dict[str, dict[str, Any]] = {
    resource["Properties"]["MetricTransformations"][0]["MetricName"]: resource[
        "Properties"
    ]
    for resource in RESOURCES.values()
    if resource["Type"] == "AWS::Logs::MetricFilter"
}
SERVICES = {m.metrics.service for m in (receiver, replayer, daily_check)}
# The dimensions that AWS's own metrics have.
AWS_DIMENSIONS = {
    "AWS/SQS": ["QueueName"],
    "AWS/ApiGateway": ["ApiId"],
    "AWS/Lambda": ["FunctionName"],
}
# Metric filters write into a namespace per stack.
OF_ACCESS_LOG = "SegmentToHyperline/${Stack}"


def test_no_file_is_older_than_the_table() -> None:
    """If one is, run `make alarms`."""
    stale = [
        path.name for path, text in table.update() if path.read_text("utf-8") != text
    ]

    assert stale == []


def test_the_nested_stack_gets_all_of_its_parameters() -> None:
    """It has no defaults, so a forgotten one would fail the deployment."""
    passed = TEMPLATE["Resources"]["Monitoring"]["Properties"]["Parameters"]

    assert passed.keys() == MONITORING["Parameters"].keys()
    assert passed == {
        **{name: name for name in passed},
        "Stack": "AWS::StackName",
        "DailyCheck": ["HasDailyCheck", "Reconciliation.Outputs.Function", ""],
        "Quarantine": "Quarantine.QueueName",
        "Replay": "Replay.QueueName",
    }


def test_the_output_of_the_daily_check_is_the_name_of_the_function() -> None:
    """`Ref` of a function is its name, which Lambda's metrics have, and not its ARN."""
    nested = read_template("daily_check.yaml")

    assert nested["Outputs"]["Function"]["Value"] == "DailyCheck"
    assert nested["Resources"]["DailyCheck"]["Type"] == "AWS::Lambda::Function"


def watched_metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the metrics that an alarm reads."""
    if "Metrics" not in alarm:
        return [alarm]
    return [m["MetricStat"]["Metric"] for m in alarm["Metrics"] if "MetricStat" in m]


@pytest.mark.parametrize("alarm", ALARMS.values(), ids=ALARMS)
def test_alarms_watch_metrics_that_exist(alarm: dict[str, Any]) -> None:
    """An alarm on a misspelled metric would never be raised."""
    for metric in watched_metrics(alarm):
        if metric["Namespace"] == OF_ACCESS_LOG:
            assert metric["MetricName"] in FILTERS
            assert "Dimensions" not in metric
            continue
        dimensions = [d["Name"] for d in metric["Dimensions"]]
        if metric["Namespace"] == NAMESPACE:
            assert metric["MetricName"] in UNITS
            assert dimensions == ["service", "stack"]
            assert metric["Dimensions"][0]["Value"] in SERVICES
            assert metric["Dimensions"][1]["Value"] == "Stack"
        else:
            assert dimensions == AWS_DIMENSIONS[metric["Namespace"]]
            assert metric["Dimensions"][0]["Value"] in MONITORING["Parameters"]


def test_metric_filters_read_the_access_log() -> None:
    """Their fields are in its format, and the user agent is Segment's."""
    api = TEMPLATE["Resources"]["WebhookApi"]["Properties"]["AccessLogSettings"]
    fields = set(re.findall(r'"(\w+)":', api["Format"]))

    for properties in FILTERS.values():
        pattern = properties["FilterPattern"]
        assert properties["LogGroupName"] == "WebhookApiLog"
        assert {"agent", "status"} <= set(re.findall(r"\$\.(\w+)", pattern)) <= fields
        assert f'$.agent = "{USER_AGENT_PREFIX}*"' in pattern
        (transformation,) = properties["MetricTransformations"]
        assert transformation["MetricNamespace"] == OF_ACCESS_LOG
        assert transformation["MetricValue"] == "1"
    assert '"agent":"$context.identity.userAgent"' in api["Format"]
    assert '"status":$context.status' in api["Format"]


def test_each_alarm_notifies() -> None:
    """None of them is only a part of another one, which may be raised already."""
    actions = ["HasAlarmTopic", ["AlarmTopicArn"], "AWS::NoValue"]

    assert all(alarm["AlarmActions"] == actions for alarm in NOTIFYING.values())
    parts = ALARMS.keys() - NOTIFYING.keys()
    assert parts == {"NothingDelivered", "EventsUndelivered"}
    assert "AlarmActions" not in str([ALARMS[part] for part in parts])


def test_a_notification_says_how_long_there_is_and_links_to_the_runbook() -> None:
    """Whoever is called at night has a link that can be opened."""
    headings = re.findall(
        r"^### (\w+)$", (ROOT / "docs/operations.md").read_text("utf-8"), re.MULTILINE
    )

    for name, alarm in NOTIFYING.items():
        text = alarm["AlarmDescription"]
        assert name in headings
        assert " Deadline: " in text
        assert "`" not in text
        assert text.endswith(f"/docs/operations.md#{name.lower()}")
        assert " Runbook: https://" in text
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        assert len(text) <= 1024


def dashboard() -> list[dict[str, Any]]:
    """Return the widgets of the dashboard."""
    body = json.loads(
        MONITORING["Resources"]["DeliveryDashboard"]["Properties"]["DashboardBody"]
    )
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
                case [namespace, name, {"label": _}] if namespace == OF_ACCESS_LOG:
                    assert name in FILTERS
                case ["AWS/Logs", "IncomingBytes", "LogGroupName", value, *_]:
                    assert value[2:-1] in MONITORING["Parameters"]
                case [str(namespace), _, dimension, value, *_]:
                    assert [dimension] == AWS_DIMENSIONS[namespace]
                    assert value[2:-1] in MONITORING["Parameters"]
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
