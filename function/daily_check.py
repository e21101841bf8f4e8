"""The DailyCheck: compare yesterday's billed events with what Hyperline stored.

It compares numbers only, with one request per event type; docs/reconcile.md says what
it can't detect.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from segment_to_hyperline import config
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline.facts import EVENT_PATH
from segment_to_hyperline.hyperline.session import create_session
from segment_to_hyperline.secret_cache import read_secret
from segment_to_hyperline.segment.times import format_time
from segment_to_hyperline.telemetry import NAMESPACE, LogLine

_TIMEOUT_SECONDS = 10
_SECRET_SECONDS = 5

metrics = Metrics(namespace=NAMESPACE, service="daily-check")
cloudwatch = boto3.client("cloudwatch")
session = create_session()


def lambda_handler(_event: dict[str, Any], _context: LambdaContext) -> None:
    """Add the difference of yesterday to the metrics; raise if it can't be computed."""
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = end - timedelta(days=1)
    with LogLine(metrics) as line:
        billed, stored = count_billed(start, end), count_stored(start, end)
        line.add_fields(day=f"{start:%Y-%m-%d}", billed=billed, stored=stored)
        line.add_metric("Discrepancy", abs(billed - stored))
        if billed != stored:
            line.warn()


def count_billed(start: datetime, end: datetime) -> int:
    """Return how many billable events the Receiver and the Replayer delivered."""
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

    Raises an exception if a response isn't as documented.
    """
    # https://docs.hyperline.co/api-reference/endpoints/billable-events/get-events
    url, key = read_secret(Deadline(_SECRET_SECONDS)).endpoint()
    total = 0
    for event_type in json.loads(config.event_types()):
        response = session.get(
            url + EVENT_PATH,
            params={
                "event_type": event_type,
                "timestamp_gte": format_time(start),
                "timestamp_lte": format_time(end - timedelta(milliseconds=1)),
                "take": "0",
            },
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT_SECONDS,
        )
        response.raise_for_status()
        total += int(response.json()["meta"]["total"])
    return total
