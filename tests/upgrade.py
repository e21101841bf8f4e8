"""An update from an earlier version keeps the queues, their messages and the URL.

It needs about two minutes, so it is not among the other tests: `make upgrade`.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from local_stack.aws import (
    REGION,
    ROOT,
    Progress,
    client,
    local_environment,
    receive_all,
    start_aws,
)
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import single, write
from local_stack.stack import (
    ALARM_TOPIC,
    SECRET,
    STACK_NAME,
    LocalStack,
    build_and_deploy,
    create_route,
    find_resources,
)
from maintenance.alarms import read_alarms
from tests.samples import track

QUIET = Progress(quiet=True)
# 0.1.0, and the last version whose alarms are in template.yaml.
VERSIONS = {"83688aa": {}, "376fe44": {"AlarmTopicArn": ALARM_TOPIC}}


class Upgrade(NamedTuple):
    """The resources before an update and the stack after it."""

    before: dict[str, str]
    after: LocalStack


@pytest.fixture(scope="module", params=VERSIONS)
def upgrade(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgrade]:
    """The stack of an earlier version with a message in each queue, after an update."""
    version = request.param
    folder = check_out(version, tmp_path_factory.mktemp(version))
    with FakeHyperline() as hyperline, start_aws("127.0.0.1", QUIET) as aws:
        endpoint = aws.endpoint
        client("secretsmanager", endpoint).create_secret(
            Name=STACK_NAME, SecretString=json.dumps(SECRET)
        )
        parameters = {"HyperlineUrl": hyperline.url, **VERSIONS[version]}
        build_and_deploy(endpoint, parameters, QUIET, folder)
        before = find_resources(endpoint)
        create_route(endpoint, before)
        store_messages(LocalStack("", aws, hyperline, before))

        build_and_deploy(endpoint, parameters, QUIET)

        after = find_resources(endpoint)
        create_route(endpoint, after)
        yield Upgrade(before, LocalStack("", aws, hyperline, after))


def check_out(version: str, folder: Path) -> Path:
    """Return *folder* with the files of a *version*, from the repository's history."""
    archive = subprocess.run(
        ["git", "archive", version], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.fail(f"{version} is not in this clone: run `git fetch --unshallow`")
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    return folder


def store_messages(stack: LocalStack) -> None:
    """Let the earlier version store an event in each queue, in its own format.

    Hyperline doesn't know the customer of the one for `Quarantine`, and fails to store
    the other one.
    """
    stack.hyperline.unknown_customers.add("nobody")
    unknown = track(messageId="m-quarantined", userId="nobody")
    assert stack.send(single(write(unknown))).status_code in {200, 422}
    stack.hyperline.unknown_customers.clear()
    stack.hyperline.respond(*[503] * 1_000)
    old = track(messageId="m-parked")
    stack.client("sqs").send_message(
        QueueUrl=stack.resources["Replay"], MessageBody=json.dumps({"events": [old]})
    )


def test_the_queues_the_api_and_the_functions_are_the_same(upgrade: Upgrade) -> None:
    """Segment's URL, and the messages in the queues, would be lost with them."""
    for name in ("Quarantine", "Replay", "WebhookApi", "Receiver", "Replayer"):
        assert upgrade.after.resources[name] == upgrade.before[name]


def test_the_alarms_are_those_of_the_table(upgrade: Upgrade) -> None:
    """Those of the earlier version are deleted, and each new one exists."""
    described = upgrade.after.client("cloudwatch").describe_alarms(
        MaxRecords=100, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    names = [
        alarm["AlarmName"]
        for kind in ("MetricAlarms", "CompositeAlarms")
        for alarm in described[kind]
    ]

    expected = [alarm.name for alarm in read_alarms() if not alarm.condition]
    expected += [part["name"] for alarm in read_alarms() for part in alarm.parts]
    assert len(names) == len(expected)
    assert all(any(f"-{name}" in long for long in names) for name in expected)
    dashboards = upgrade.after.client("cloudwatch").list_dashboards()
    assert [entry["DashboardName"] for entry in dashboards["DashboardEntries"]] == [
        f"{STACK_NAME}-delivery-{REGION}"
    ]


def test_messages_of_the_earlier_version_are_kept_and_billed(upgrade: Upgrade) -> None:
    """The new `Replayer` reads them, and a redrive bills what was quarantined."""
    stack = upgrade.after
    stack.hyperline.scripted.clear()

    stack.redrive()
    stack.aws.set_clock(10 * 60)  # the other message was received, and failed

    end = time.monotonic() + 300
    while len(stack.hyperline.store) < 2 and time.monotonic() < end:
        time.sleep(0.5)
    assert stack.hyperline.store.keys() == {
        (track()["event"], "m-parked"),
        (track()["event"], "m-quarantined"),
    }
    assert stack.quarantined() == []


def test_the_new_version_bills(upgrade: Upgrade) -> None:
    """The secret and the parameters apply as before."""
    event = track(messageId="m-new")

    assert upgrade.after.send(single(write(event))).status_code == 200
    assert (event["event"], "m-new") in upgrade.after.hyperline.store


# `sam delete` only takes AWS's own URLs of S3; that of the nested template is local.
SAM = """
from urllib.parse import urlsplit
from samcli.cli.main import cli
from samcli.lib.package import packageable_resources
parse = packageable_resources.parse_s3_url
packageable_resources.parse_s3_url = lambda url, *names, **named: parse(
    f"https://s3.local{urlsplit(url).path}" if url.startswith("http:") else url,
    *names,
    **named,
)
cli()
"""


def delete_stack(endpoint: str) -> None:
    """Run `sam delete` as documented."""
    python = ROOT / ".venv/stack/bin/python"
    command = [str(python), "-c", SAM, "delete", f"--region={REGION}", "--no-prompts"]
    environment = local_environment(endpoint, SAM_CLI_TELEMETRY="0")
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_deleting_the_stack_keeps_the_queues(upgrade: Upgrade) -> None:
    """`sam delete` asks nothing, and deletes the alarms and the nested stack."""
    stack = upgrade.after
    stack.client("sqs").send_message(
        QueueUrl=stack.resources["Quarantine"], MessageBody="revenue"
    )

    delete_stack(stack.endpoint)

    with pytest.raises(ClientError, match="does not exist"):
        stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)
    described: dict[str, Any] = stack.client("cloudwatch").describe_alarms()
    assert described["MetricAlarms"] == []
    bodies = receive_all(stack.client("sqs"), stack.resources["Quarantine"])
    assert bodies == ["revenue"]
    assert receive_all(stack.client("sqs"), stack.resources["Replay"]) == []
