"""The commands in the documents about the archive are run, as a reader types them."""

import gzip
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_stack.fake_api import KEY
from local_stack.segment_requests import write
from segment_to_hyperline.archive.s3_objects import find_client
from tests import documents
from tests.segment_to_hyperline.archive.fake_s3 import FakeS3
from tests.segment_to_hyperline.closing.world import EVENTS, ROOT, World
from tests.segment_to_hyperline.reconciliation.helpers import Clock

STACK = "segment-to-hyperline"
QUEUES = ("Quarantine", "Replay")
# What the commands use of template.yaml.
TEMPLATE = {
    "Resources": {name: {"Type": "AWS::SQS::Queue"} for name in QUEUES},
    "Outputs": {
        f"{name}Arn": {"Value": {"Fn::GetAtt": [name, "Arn"]}} for name in QUEUES
    },
}


class Reader:
    """A person in a checkout, with the archive of January in a folder and in S3."""

    def __init__(self, world: World, bucket: str) -> None:
        self.world, self.bucket = world, bucket
        cloudformation: Any = boto3.client("cloudformation")
        cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
        resources = cloudformation.list_stack_resources(StackName=STACK)
        ids = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in resources["StackResourceSummaries"]
        }
        self.replay = ids["Replay"]
        boto3.client("secretsmanager").create_secret(
            Name=STACK, SecretString=json.dumps({"hyperline_api_key": KEY})
        )

    def run(self, page: str) -> list[tuple[int, str]]:
        """Run the commands of a page; return the status and the output of each.

        A report is made in a new folder.
        """
        results = []
        for command in documents.list_commands(documents.PROGRAM):
            if command.document == page:
                _, *words = command.words
                if words[0] == "close":
                    shutil.rmtree("january", ignore_errors=True)
                done = self.world.run(
                    *(w.replace("BUCKET", self.bucket) for w in words)
                )
                results.append((done.exit_code, done.output))
        return results

    def receive(self) -> list[str]:
        """Return the bodies of the messages in Replay."""
        found: Any = boto3.client("sqs").receive_message(
            QueueUrl=self.replay, MaxNumberOfMessages=10
        )
        return [message["Body"] for message in found.get("Messages", ())]


def create_archive() -> dict[str, bytes]:
    """Return the files of Segment's archive, by their names: one for each day."""
    days: defaultdict[str, str] = defaultdict(str)
    for each in EVENTS:
        days[each["receivedAt"][:10]] += write(each) + "\n"
    return {
        f"SOURCE_ID/{find_midnight(day) * 1e3:.0f}/1.gz": gzip.compress(text.encode())
        for day, text in days.items()
    }


def find_midnight(day: str) -> float:
    """Return the Unix timestamp at which the *day* begins."""
    return datetime.fromisoformat(f"{day}T00:00:00Z").timestamp()


@pytest.fixture
def reader(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reader]:
    """A reader on the first of February."""
    monkeypatch.chdir(tmp_path)
    s3 = FakeS3()
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    find_client.cache_clear()
    bucket = s3.create_bucket()
    for name, content in create_archive().items():
        s3.put(bucket, f"segment-logs/{name}", body=content)
        path = Path("archive", name)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    for name in ("function/mapping.toml", "old.toml"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "function/mapping.toml", name)
    Clock(monkeypatch).now = find_midnight("2026-02-01")
    yield Reader(world, bucket)
    find_client.cache_clear()
    boto3.client("cloudformation").delete_stack(StackName=STACK)
    boto3.client("secretsmanager").delete_secret(
        SecretId=STACK, ForceDeleteWithoutRecovery=True
    )


def test_the_commands_to_reconcile_work(reader: Reader) -> None:
    """What is missing is found, planned, and sent to Replay."""
    for number in (170, 175):
        reader.world.delete(number)

    first, changed, again, plan, carried_out, ledger = reader.run("docs/reconcile.md")

    for status, output in (first, changed, again):
        assert status == 1
        assert "180 events expected, 2 missing." in output
    assert plan[0] == carried_out[0] == 0
    assert "\npost  1  what is missing\n" in plan[1]
    assert "\ndone  post  1\n" in carried_out[1]
    (message,) = reader.receive()
    assert [each["messageId"] for each in json.loads(message)["events"]] == ["m-175"]
    assert ledger[0] == 1
    assert "Seats Added  globex    30    29      1\n" in ledger[1]


def test_the_commands_to_close_work(reader: Reader) -> None:
    """The report is made with each of them, and can be made again."""
    reader.world.issue()

    first, changed, verified = reader.run("docs/close.md")

    for status, output in (first, changed):
        assert status == 0
        assert "180 events sent, all stored, counted and invoiced." in output
    assert verified[0] == 0
