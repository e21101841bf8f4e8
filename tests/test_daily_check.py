"""The DailyCheck: what it compares, and what it reports."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

import daily_check
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from tests.conftest import Log, Secret, Send
from tests.fake_aws import FakeAws, Fault
from tests.samples import read_rules, track

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def stack(
    secret: Secret, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A stack of this test only, whose event types are checked."""
    assert hyperline
    monkeypatch.setenv("STACK_NAME", secret.name)
    monkeypatch.setenv("EVENT_TYPES", '["Seats Added", "Report Sent"]')
    return secret.name


def put(stack: str, service: str, metric: str, value: float, days: int = 1) -> None:
    """Store a metric as CloudWatch extracts it from a line."""
    noon = datetime.now(UTC).replace(hour=12) - timedelta(days=days)
    boto3.client("cloudwatch").put_metric_data(
        Namespace="SegmentToHyperline",
        MetricData=[
            {
                "MetricName": metric,
                "Dimensions": [
                    {"Name": "service", "Value": service},
                    {"Name": "stack", "Value": stack},
                ],
                "Timestamp": noon,
                "Value": value,
            }
        ],
    )


def store(hyperline: FakeHyperline, number: int, time: datetime, kind: str) -> None:
    """Let Hyperline store *number* events of a type."""
    for index in range(number):
        event = {
            "customer_id": "c",
            "event_type": kind,
            "timestamp": time.isoformat(timespec="milliseconds"),
            "record": {"id": f"{kind}-{time}-{index}"},
        }
        key = kind, event["record"]["id"]  # type: ignore[index] # a dictionary
        hyperline.store[key] = json.dumps(event).encode()
    hyperline.rows.forget()


@pytest.mark.parametrize(("delivered", "difference"), [(5, 0), (4, 1), (7, 2)])
def test_the_numbers_of_yesterday_are_compared(
    stack: str, hyperline: FakeHyperline, log: Log, delivered: int, difference: int
) -> None:
    """Those of both functions, of all checked types, and of no other day."""
    put(stack, "receiver", "Delivered", delivered - 2)
    put(stack, "replayer", "Delivered", 1)
    put(stack, "receiver", "AdditionalBillable", 1)
    put(stack, "receiver", "Delivered", 9, days=3)
    put("another", "receiver", "Delivered", 9)
    store(hyperline, 3, YESTERDAY, "Seats Added")
    store(hyperline, 2, YESTERDAY, "Report Sent")
    store(hyperline, 4, YESTERDAY, "Other")
    store(hyperline, 4, datetime.now(UTC), "Seats Added")

    daily_check.lambda_handler({}, Context())

    (line,) = log()
    assert (line["billed"], line["stored"]) == (delivered, 5)
    assert line["Discrepancy"] == [difference]
    assert line["level"] == ("WARN" if difference else "INFO")
    assert line["day"] == f"{YESTERDAY:%Y-%m-%d}"
    assert line["service"] == "daily-check"


@pytest.mark.usefixtures("stack")
def test_a_check_that_is_impossible_fails(
    hyperline: FakeHyperline, aws: FakeAws
) -> None:
    """It is an error of the function, and not a day without a difference."""
    hyperline.respond(500)

    with pytest.raises(Exception, match="500"):
        daily_check.lambda_handler({}, Context())
    aws.fail("GetMetricData", *[Fault()] * 9)
    with pytest.raises(Exception, match="GetMetricData"):
        daily_check.lambda_handler({}, Context())


@pytest.mark.usefixtures("stack")
def test_a_part_of_the_metrics_is_not_compared(aws: FakeAws) -> None:
    """Otherwise the rest would count as 0."""
    results = [{"Id": "a", "Values": [1.0], "StatusCode": "PartialData"}]
    body = json.dumps({"MetricDataResults": results}).encode()
    aws.fail("GetMetricData", Fault("200 OK", body))

    with pytest.raises(ValueError, match="a part of the metrics"):
        daily_check.lambda_handler({}, Context())


def test_billable_events_of_line_items_are_counted(
    send: Send, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metric has those beyond one for each delivered event."""
    rules = read_rules('each = "properties.items"\nrecord = {}')
    monkeypatch.setattr("receiver.RULES", rules)

    send(track(properties={"items": [1, 2, 3]}))

    (line,) = log()
    assert (line["Delivered"], line["AdditionalBillable"]) == ([1], [2])
