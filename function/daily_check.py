"""The DailyCheck: compare yesterday's billed events with what Hyperline stored.

It compares numbers only, with one request per event type; docs/reconcile.md says what
it can't detect.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import requests
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from forwarder import config
from forwarder.deadline import Deadline
from forwarder.hyperline.facts import READ_HOSTS
from forwarder.secret_cache import read_secret
from forwarder.telemetry import NAMESPACE, Line

_TIMEOUT_SECONDS = 10
_SECRET_SECONDS = 5

metrics = Metrics(namespace=NAMESPACE, service="daily-check")
cloudwatch = boto3.client("cloudwatch")


def lambda_handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Add the difference of yesterday to the metrics; raise if it can't be computed."""
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with Line(metrics) as line:
        billed = count_billed(end - timedelta(days=1), end)
        stored = count_stored(end - timedelta(days=1), end)
        line.add_fields(day=f"{end - timedelta(days=1):%Y-%m-%d}")
        line.add_fields(billed=billed, stored=stored)
        line.add_metric("Discrepancy", abs(billed - stored))
        if billed != stored:
            line.warn()


def count_billed(start: datetime, end: datetime) -> int:
    """Return how many billable events both functions delivered in this time."""
    queries = [
        {
            "Id": f"{service}_{metric}".lower(),
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "service", "Value": service},
                        {"Name": "stack", "Value": config.stack_name()},
                    ],
                },
                "Period": 24 * 60 * 60,
                "Stat": "Sum",
            },
        }
        for service in ("receiver", "replayer")
        for metric in ("Delivered", "AdditionalBillable")
    ]
    request: Any = {"MetricDataQueries": queries, "StartTime": start, "EndTime": end}
    results = cloudwatch.get_metric_data(**request)["MetricDataResults"]
    if any(result["StatusCode"] != "Complete" for result in results):
        raise ValueError("CloudWatch returned a part of the metrics")
    return sum(round(value) for result in results for value in result["Values"])


def count_stored(start: datetime, end: datetime) -> int:
    """Return how many events of the checked types Hyperline has for this time.

    Raises `requests.RequestException`, or KeyError for an unexpected response.
    """
    # https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
    key = read_secret(Deadline(_SECRET_SECONDS)).endpoint().api_key
    by_prefix = (host for prefix, host in READ_HOSTS.items() if key.startswith(prefix))
    url = config.hyperline_url() or next(by_prefix)
    last = end - timedelta(milliseconds=1)
    total = 0
    for event_type in json.loads(os.environ["EVENT_TYPES"]):
        response = requests.get(
            f"{url}/v1/events",
            params={
                "event_type": event_type,
                "timestamp_gte": format_time(start),
                "timestamp_lte": format_time(last),
                "take": "0",
            },
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT_SECONDS,
        )
        response.raise_for_status()
        total += int(response.json()["meta"]["total"])
    return total


def format_time(time: datetime) -> str:
    """Return *time* in UTC with milliseconds."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
