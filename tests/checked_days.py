"""The DailyCheck with an archive, a bucket for the reports, and a Hyperline."""

import gzip
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import boto3

import daily_check
from local_stack.aws import ROOT, receive_all
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, find_customer_id
from local_stack.invocations import Context
from local_stack.segment_requests import write
from segment_to_hyperline.daily_check.day import Day
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.reconciliation.api.rows import format_milliseconds
from tests.clock import NOW
from tests.samples import track
from tests.segment_to_hyperline.archive.fake_s3 import FakeS3

MAPPING = ROOT / "function/mapping.toml"
RULES = load_rules(MAPPING)
YESTERDAY = Day.create(NOW.timestamp(), 1)
HOUR = 60 * 60 * 1_000

type Event = dict[str, Any]


def create_events(number: int, day: Day = YESTERDAY, **changes: Any) -> list[Event]:
    """Return so many events of *day*, which Segment received at once."""
    times = [format_milliseconds(day.start + n * HOUR) for n in range(number)]
    return [
        track(messageId=f"m-{day.date}-{n}", timestamp=time, receivedAt=time, **changes)
        for n, time in enumerate(times)
    ]


class Place(NamedTuple):
    """Where the DailyCheck runs."""

    s3: FakeS3
    archive: str
    """The bucket with the archive."""
    reports: str
    """The bucket with the reports."""
    hyperline: FakeHyperline
    core: FakeCoreApi
    queue: str
    """The URL of a queue that gets the sentences."""

    def receive(self, *events: Event, day: Day = YESTERDAY, name: str = "1") -> None:
        """Store *events* that Segment received on *day* in the archive."""
        body = gzip.compress("\n".join(map(write, events)).encode())
        self.put(body, day, name)

    def put(self, body: bytes, day: Day = YESTERDAY, name: str = "1") -> None:
        """Store an object of *day* in the archive."""
        key = f"segment-logs/source/{day.start}/{name}.gz"
        self.s3.put(self.archive, key, body=body)

    def bill(self, *events: Event, rules: Rules = RULES) -> None:
        """Store in Hyperline what *rules* make of *events*."""
        for event in events:
            for billable in apply_rules(rules, event):
                self.hyperline.store[billable.key] = billable.json
                name = str(event["userId"])
                if name not in {row["external_id"] for row in self.core.customers}:
                    self.core.add_customer(find_customer_id(name), name)
        self.hyperline.rows.forget()

    def lose(self, *events: Event) -> None:
        """Remove *events* from Hyperline."""
        for event in events:
            del self.hyperline.store[event["event"], event["messageId"]]
        self.hyperline.rows.forget()

    def check(self, days_ago: int = 1, seconds: float = 900) -> str:
        """Let the function check a day in so many *seconds*; return the sentence."""
        daily_check.lambda_handler({"days_ago": days_ago}, Context(seconds))
        (sentence,) = self.sentences()
        return sentence

    def sentences(self) -> list[str]:
        """Return what was published since the last look."""
        return [message["Message"] for message in self.messages()]

    def messages(self) -> list[dict[str, str]]:
        """Return the same as SNS delivers it."""
        return [*map(json.loads, receive_all(boto3.client("sqs"), self.queue))]

    def read(self, key: str) -> str:
        """Return an object of the bucket with the reports."""
        return self.s3.read(self.reports, key).decode()

    def report(self, day: Day = YESTERDAY) -> dict[str, Any]:
        """Return the report of *day* for programs."""
        report: dict[str, Any] = json.loads(self.read(day.name_report("json")))
        return report

    def text(self, day: Day = YESTERDAY) -> str:
        """Return the report of *day* for people."""
        return self.read(day.name_report("txt"))

    def list_keys(self, prefix: str = "") -> Sequence[str]:
        """Return the keys in the bucket with the reports."""
        return self.s3.list_keys(self.reports, prefix)
