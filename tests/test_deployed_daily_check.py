"""The daily check, deployed by `sam` into a local AWS."""

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local_stack.aws import ROOT, receive_all
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import find_customer_id
from local_stack.segment_requests import write
from local_stack.stack import LocalStack, deploy, find_resources
from segment_to_hyperline.daily_check.day import Day
from segment_to_hyperline.daily_check.deployed_mappings import StoredMapping
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules, parse_rules
from segment_to_hyperline.reconciliation.api.rows import format_milliseconds
from tests.samples import track

ARCHIVE = "segment-archive"
TOPIC = "arn:aws:sns:us-east-1:000000000000:reports"
HOUR = 60 * 60 * 1_000
# Before the mapping of the repository was deployed.
MAPPING = ROOT / "function/mapping.toml"
OLD_MAPPING = b"""
[[rules]]
type = "track"
record = { old = "properties.seats" }
"""


@dataclass
class Check:
    """The deployed function, its archive, and what it says."""

    stack: LocalStack
    resources: dict[str, str]
    """The physical ids of the nested stack."""
    queue: str
    """The URL of a queue that gets the sentences."""

    def invoke(self, days_ago: int) -> str | None:
        """Check a day as the schedule does; return the error, if it failed."""
        response: dict[str, str] = self.stack.client("lambda").invoke(
            FunctionName=self.resources["DailyCheck"],
            Payload=json.dumps({"days_ago": days_ago}),
        )
        return response.get("FunctionError")

    def archive(self, day: Day, *events: dict[str, Any]) -> None:
        """Store what Segment received on *day*."""
        body = gzip.compress("\n".join(map(write, events)).encode())
        key = f"prod/segment-logs/source/{day.start}/1.gz"
        self.stack.client("s3").put_object(Bucket=ARCHIVE, Key=key, Body=body)

    def read(self, key: str) -> str:
        """Return an object of the bucket with the reports."""
        bucket = self.resources["Reports"]
        body = self.stack.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        return str(body.read().decode())

    def report(self, day: Day) -> dict[str, Any]:
        """Return the report of *day* for programs."""
        report: dict[str, Any] = json.loads(self.read(day.name_report("json")))
        return report

    def store(self, key: str) -> None:
        """Store the old mapping as an earlier deployment did."""
        bucket = self.resources["Reports"]
        self.stack.client("s3").put_object(Bucket=bucket, Key=key, Body=OLD_MAPPING)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines that the function wrote."""
        found = self.stack.client("logs").filter_log_events(
            logGroupName=self.resources["DailyCheckLog"]
        )["events"]
        texts = [event["message"] for event in found]
        return [json.loads(text) for text in texts if text.startswith('{"_aws"')]

    def sentences(self) -> list[str]:
        """Return what was published since the last look."""
        bodies = receive_all(self.stack.client("sqs"), self.queue)
        return [json.loads(body)["Message"] for body in bodies]


@pytest.fixture(scope="module")
def check() -> Iterator[Check]:
    """The deployed daily check of an empty archive."""
    parameters = {
        "ArchiveBucket": ARCHIVE,
        "ArchivePrefix": "prod",
        "ReportTopicArn": TOPIC,
    }
    with FakeCoreApi() as core, deploy(quiet=True, **parameters) as stack:
        core.add_customer(find_customer_id("customer-42"), "customer-42")
        resources = find_resources(stack.endpoint, stack.resources["Reconciliation"])
        client = stack.client("lambda")
        name = resources["DailyCheck"]
        known = client.get_function_configuration(FunctionName=name)
        variables = known["Environment"]["Variables"]
        variables["HYPERLINE_CORE_URL"] = core.url
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
        stack.client("s3").create_bucket(Bucket=ARCHIVE)
        yield Check(stack, resources, subscribe(stack))


def subscribe(stack: LocalStack) -> str:
    """Return the URL of a queue that gets what is published to the topic."""
    sqs, sns = stack.client("sqs"), stack.client("sns")
    queue: str = sqs.create_queue(QueueName="sentences")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    topic = sns.create_topic(Name=TOPIC.rpartition(":")[2])["TopicArn"]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
    )
    return queue


def create_events(day: Day, number: int) -> list[dict[str, Any]]:
    """Return events of *day*, an hour apart."""
    times = [format_milliseconds(day.start + hour * HOUR) for hour in range(number)]
    return [
        track(messageId=f"{day.date}-{n}", timestamp=time, receivedAt=time)
        for n, time in enumerate(times)
    ]


def bill(stack: LocalStack, event: dict[str, Any], mapping: Any) -> None:
    """Store in Hyperline what *mapping* makes of an event."""
    for billable in apply_rules(mapping, event):
        stack.hyperline.store[billable.key] = billable.json
    stack.hyperline.rows.forget()


def test_the_deployed_check_reports_what_is_missing(check: Check) -> None:
    """A sentence says that all of a day is billed, or what is not and where it is."""
    right, wrong = (Day.create(time.time(), days_ago) for days_ago in (1, 3))
    for day in (right, wrong):
        check.archive(day, *(events := create_events(day, 3)))
        for event in events:
            bill(check.stack, event, load_rules(MAPPING))
    del check.stack.hyperline.store["Seats Added", f"{wrong.date}-1"]
    check.stack.hyperline.rows.forget()

    assert check.invoke(1) is None
    assert check.invoke(3) is None

    bucket = check.resources["Reports"]
    first, second = check.sentences()
    assert first.startswith(f"{right.describe()}: 3 events, all billed. This is the ")
    assert second == (
        f"{wrong.describe()}: 3 events, of which 1 is missing in Hyperline."
        f" Report: s3://{bucket}/daily/{wrong.date}/after-3-days.txt"
    )
    assert "what is missing" in check.read(f"daily/{right.date}/after-1-day.txt")
    report = check.report(wrong)
    assert [each["record_id"] for each in report["findings"]] == [f"{wrong.date}-1"]
    assert report["customers"] == "looked up in Hyperline"
    assert check.lines()[-1]["Missing"] == [1]


def test_the_deployed_check_uses_the_mapping_of_the_time(check: Check) -> None:
    """The deployment has stored its mapping, and an older one counts for old events."""
    day = Day.create(time.time(), 5)
    check.archive(day, *(events := create_events(day, 3)))
    for event in events:
        bill(check.stack, event, parse_rules(OLD_MAPPING, "old.toml"))

    assert check.invoke(5) is None
    check.store(StoredMapping.create(OLD_MAPPING, day.start / 1_000 - 1).key)
    assert check.invoke(5) is None

    before, after = check.sentences()
    assert "of which 3 are different in Hyperline" in before
    assert after == f"{day.describe()}: 3 events, all billed."
    (deployed, _) = (each["file"] for each in check.report(day)["mappings"][::-1])
    assert check.read(deployed) == MAPPING.read_text()


def test_an_alarm_watches_the_errors_of_the_function(check: Check) -> None:
    """Under another name, for example its ARN, Lambda has no errors."""
    described = check.stack.client("cloudwatch").describe_alarms(MaxRecords=100)
    (alarm,) = (
        alarm
        for alarm in described["MetricAlarms"]
        if "DailyCheckErrorsAlarm" in alarm["AlarmName"]
    )

    assert alarm["Dimensions"] == [
        {"Name": "FunctionName", "Value": check.resources["DailyCheck"]}
    ]
    configuration = check.stack.client("lambda").get_function_configuration(
        FunctionName=check.resources["DailyCheck"]
    )
    assert configuration["FunctionName"] == alarm["Dimensions"][0]["Value"]


def test_a_check_that_is_impossible_fails(check: Check) -> None:
    """The alarm of the function's errors is raised, and the sentence says why."""
    check.stack.hyperline.respond(*[401] * 3)

    assert check.invoke(1) == "Unhandled"

    (sentence,) = check.sentences()
    assert "could not be checked: " in sentence
    assert "Hyperline rejected the API key (401)" in sentence
