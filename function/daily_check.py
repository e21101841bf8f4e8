"""The DailyCheck: compare a day of Segment's archive with what Hyperline stored.

Two schedules invoke it, and CloudFormation does when a version was deployed.
"""

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from segment_to_hyperline import config
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.daily_check.bucket import ReportBucket, publish
from segment_to_hyperline.daily_check.check import check_day
from segment_to_hyperline.daily_check.day import Day
from segment_to_hyperline.daily_check.deployment import record_deployment
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.errors import Error
from segment_to_hyperline.telemetry import NAMESPACE, LogLine

metrics = Metrics(namespace=NAMESPACE, service="daily-check")


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Check the day that was `days_ago`, or answer CloudFormation."""
    if "RequestType" in event:
        if event["RequestType"] == "Create":
            count_as_checked()
        record_deployment(event, ReportBucket(config.reports_bucket()))
        return
    deadline = Deadline(context.get_remaining_time_in_millis() / 1_000)
    day = Day.create(time.time(), event["days_ago"])
    with LogLine(metrics) as line:
        line.add_fields(day=day.date, days_ago=day.age)
        sentence = check(day, deadline, line)
    # If it fails, the metrics are written already.
    _publish(day, sentence)


def count_as_checked() -> None:
    """Write the metric of two checks, before any could run.

    Otherwise DailyCheckOverdueAlarm would be raised on the first day. They have earlier
    times because it counts hours, of which the current one isn't over.
    """
    # Powertools keeps the time for all later lines.
    own = Metrics(namespace=NAMESPACE, service=metrics.service)
    for hours in (2, 1):
        own.set_timestamp(datetime.now(UTC) - timedelta(hours=hours))
        with LogLine(own) as line:
            line.add_metric("Expected", 0)


def check(day: Day, deadline: Deadline, line: LogLine) -> str:
    """Check *day*; return a sentence about it, which is published here if it fails."""
    try:
        result, sentence = check_day(day, deadline)
    except Exception as error:
        # What has failed matters more than that nobody could be told.
        with suppress(InputError):
            _publish(day, f"{day.describe()} could not be checked: {explain(error)}")
        raise
    for name, value in result.metrics():
        line.add_metric(name, value)
    if not result.is_right:
        line.warn()
    return sentence


def explain(error: Exception) -> str:
    """Return what *error* means, for people."""
    if isinstance(error, Error):
        return str(error)
    return f"DailyCheck has a bug ({type(error).__name__}), see its log"


def _publish(day: Day, sentence: str) -> None:
    # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
    subject = f"{config.stack_name()[:80]}: {day.date}"
    publish(config.report_topic_arn(), subject, sentence)
