"""An update of 0.1.0 by the commands of docs/upgrading.md loses nothing.

It needs some minutes and the repository's history, so it is not among the other tests:
`make upgrade`.
"""

import json
import os
import re
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from functools import partial
from operator import contains
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
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
from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import single, write
from local_stack.stack import (
    SECRET,
    STACK_NAME,
    LocalStack,
    create_route,
    find_resources,
)
from maintenance.alarms import read_alarms
from segment_to_hyperline import __version__
from segment_to_hyperline.simulation.template import read_template
from tests.outage import wait_until
from tests.runbooks import read_blocks
from tests.samples import TIMESTAMP, track

QUIET = Progress(quiet=True)
OLD = "83688aa"  # 0.1.0
PAGE = "docs/upgrading.md"
DEPLOY = "sam build && sam deploy"
# The owner's mapping in 0.1.0, and what it is changed to in the same deployment.
MAPPING = """
[[rules]]
record = { seats = "properties.seats" }
"""
CHANGED_MAPPING = """
[[rules]]
record = { seats = "properties.seats", plan = "properties.plan" }
"""
HIDDEN_SECONDS = 15 * 60
IDENTITY = {
    "GIT_AUTHOR_NAME": "owner",
    "GIT_AUTHOR_EMAIL": "owner@example.com",
    "GIT_COMMITTER_NAME": "owner",
    "GIT_COMMITTER_EMAIL": "owner@example.com",
}
# The statuses after which Segment retries.
RETRIED = {429, 500, 502, 503, 504}


class Upgrade(NamedTuple):
    """An update, as an owner carries it out with the commands of the page."""

    clone: Path
    """The owner's clone of the repository."""
    before: dict[str, str]
    """The resources before the update."""
    after: LocalStack
    """The stack after it."""
    traffic: "Traffic"
    """The events that arrived meanwhile."""
    output: str
    """What the commands printed."""


class Traffic(threading.Thread):
    """Sends an event every 0.2 seconds, and retries as Segment does."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__()
        self._stack = stack
        self._is_over = threading.Event()
        self._waiting: deque[dict[str, Any]] = deque()
        self.sent: list[dict[str, Any]] = []
        self.lost: dict[str, int] = {}
        """The status by messageId, of events that Segment doesn't retry."""

    def run(self) -> None:
        """Send events until the thread is stopped, and then only retry."""
        while not self._is_over.wait(0.2) or self._waiting:
            if not self._is_over.is_set():
                self._waiting.append(track(messageId=f"m-{len(self.sent)}"))
                self.sent.append(self._waiting[-1])
            for event in [self._waiting.popleft() for _ in range(len(self._waiting))]:
                self._send(event)

    def _send(self, event: dict[str, Any]) -> None:
        status = self._stack.send(single(write(event))).status_code
        if status in RETRIED:
            self._waiting.append(event)
        elif status != 200:
            self.lost[event["messageId"]] = status

    def stop(self) -> None:
        """Send nothing new, and wait until all events were accepted."""
        self._is_over.set()
        self.join(timeout=60)
        assert not self.is_alive(), f"never accepted: {self._waiting}"


@pytest.fixture(scope="module")
def upgrade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrade]:
    """A stack of 0.1.0 with messages in both queues, after the commands of the page."""
    clone = clone_repository(tmp_path_factory.mktemp("upgrade"))
    with FakeHyperline() as hyperline, start_aws("127.0.0.1", QUIET) as aws:
        client("secretsmanager", aws.endpoint).create_secret(
            Name=STACK_NAME, SecretString=json.dumps(SECRET)
        )
        set_up(clone, hyperline.url)
        run_shell(clone, aws.endpoint, DEPLOY)
        before = find_resources(aws.endpoint)
        create_route(aws.endpoint, before)
        stack = LocalStack("", aws, hyperline, before)
        store_messages(stack)
        traffic = Traffic(stack)
        traffic.start()

        output = follow(clone, aws.endpoint)

        after = find_resources(aws.endpoint)
        create_route(aws.endpoint, after)
        traffic.stop()
        yield Upgrade(
            clone, before, LocalStack("", aws, hyperline, after), traffic, output
        )


def clone_repository(folder: Path) -> Path:
    """Return the owner's clone of a repository that has a release of what is here."""
    origin, clone = folder / "origin", folder / "clone"
    # What is not committed yet is tested too.
    release = git(ROOT, "stash", "create") or git(ROOT, "rev-parse", "HEAD")
    git(folder, "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), "origin")
    git(origin, "tag", f"v{__version__}", release)
    git(folder, "clone", "--quiet", "--no-checkout", str(origin), "clone")
    try:
        git(clone, "checkout", "--quiet", "-b", "deployed", OLD)
    except subprocess.CalledProcessError:
        pytest.fail(f"{OLD} is not in this clone: run `git fetch --unshallow`")
    return clone


def git(folder: Path, *arguments: str) -> str:
    """Run git in *folder*, and return what it prints."""
    # In a hook, variables name another repository.
    others = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return subprocess.check_output(
        ["git", *arguments], cwd=folder, env=others | IDENTITY, text=True
    ).strip()


def set_up(clone: Path, hyperline_url: str) -> None:
    """Commit the mapping and the settings of the owner, who uses 0.1.0."""
    (clone / ".venv").symlink_to(ROOT / ".venv")
    clone.joinpath("function/mapping.toml").write_text(MAPPING)
    with clone.joinpath("samconfig.toml").open("r+") as file:
        text = file.read()
        head = "[default.deploy.parameters]"
        setting = f'parameter_overrides = "HyperlineUrl={hyperline_url}"'
        file.seek(0)
        file.write(text.replace(head, f"{head}\n{setting}"))
    git(clone, "commit", "--quiet", "--all", "--message=Configure")


def run_shell(clone: Path, endpoint: str, block: str) -> str:
    """Run a *block* of commands in *clone*, and return what they print.

    `make setup` is left out, because the environment of these tests is used. All
    questions are answered with yes.
    """
    path = f"{ROOT / '.venv/bin'}:{ROOT / '.venv/stack/bin'}:{os.environ['PATH']}"
    environment = local_environment(
        endpoint, PATH=path, SAM_CLI_TELEMETRY="0", SAM_CLI_POLL_DELAY="0.2", **IDENTITY
    )
    done = subprocess.run(
        ["bash", "-e", "-c", block.replace("make setup", "true")],
        cwd=clone,
        env=environment,
        input="y\n" * 3,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    # `doctor` finds faults, since the fake Hyperline has no products.
    assert done.returncode == 0 or " doctor " in block, done.stdout
    return done.stdout


def follow(clone: Path, endpoint: str) -> str:
    """Run the commands of the page; before the deployment, change the mapping."""
    blocks = read_blocks(PAGE, "From 0.1.0 to 0.2.0")
    assert sum("sam deploy" in block for block in blocks) == 1
    output = ""
    for block in blocks:
        if "sam deploy" in block:
            clone.joinpath("function/mapping.toml").write_text(CHANGED_MAPPING)
        output += run_shell(clone, endpoint, block)
    return output


def store_messages(stack: LocalStack) -> None:
    """Let 0.1.0 store events in each queue.

    In `Quarantine` are an event of a customer that Hyperline doesn't know, and an event
    that Hyperline hasn't accepted for hours. Another unknown customer's is in `Replay`,
    hidden as one that was received and not billed. When the update begins, Hyperline
    accepts all.
    """
    hyperline, sqs = stack.hyperline, stack.client("sqs")
    hyperline.unknown_customers |= {"nobody", "late"}
    late = track(messageId="m-redriven", userId="late")
    assert stack.send(single(write(late))).status_code == 422
    (body,) = receive_all(sqs, stack.resources["Quarantine"])
    sqs.send_message(
        QueueUrl=stack.resources["Replay"],
        MessageBody=body,
        DelaySeconds=HIDDEN_SECONDS,
    )
    unknown = track(messageId="m-quarantined", userId="nobody")
    assert stack.send(single(write(unknown))).status_code == 422
    hyperline.outage = FakeResponse(503)
    old = track(messageId="m-parked", receivedAt=TIMESTAMP)
    assert stack.send(single(write(old))).status_code == 422
    hyperline.outage = None
    hyperline.unknown_customers.clear()


def describe_stack(stack: LocalStack) -> dict[str, Any]:
    """Return what CloudFormation says about the stack."""
    (described,) = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)[
        "Stacks"
    ]
    found: dict[str, Any] = described
    return found


def test_the_queues_the_api_and_the_functions_are_the_same(upgrade: Upgrade) -> None:
    """Segment's URL, and the messages in the queues, would be lost with them."""
    for name in ("Quarantine", "Replay", "WebhookApi", "Receiver", "Replayer"):
        assert upgrade.after.resources[name] == upgrade.before[name]


def test_the_queue_has_the_same_event_source_mapping(upgrade: Upgrade) -> None:
    """Lambda rejects a second one, and CloudFormation creates before it deletes."""
    name = "ReplayerMessages"
    mappings = upgrade.after.client("lambda").list_event_source_mappings(
        FunctionName=upgrade.after.resources["Replayer"]
    )["EventSourceMappings"]

    assert [m["UUID"] for m in mappings] == [upgrade.before[name]]
    assert upgrade.after.resources[name] == upgrade.before[name]


def test_the_new_defaults_apply(upgrade: Upgrade) -> None:
    """CloudFormation keeps the value of a parameter, unless its name is new."""
    parameters = {
        p["ParameterKey"]: p["ParameterValue"]
        for p in describe_stack(upgrade.after)["Parameters"]
    }
    defaults = read_template()["Parameters"]

    kept = {"SecretName": STACK_NAME, "HyperlineUrl": upgrade.after.hyperline.url}
    assert parameters == {
        name: str(kept.get(name, parameter["Default"]))
        for name, parameter in defaults.items()
    }


def test_the_page_lists_what_differs_between_the_parameters() -> None:
    """A parameter of 0.1.0 with another default, or another name, has its row."""
    old = read_parameters(git(ROOT, "show", f"{OLD}:template.yaml"))
    new = read_parameters(ROOT.joinpath("template.yaml").read_text("utf-8"))
    changed = {n for n in old if n not in new or describe(old[n]) != describe(new[n])}
    text = ROOT.joinpath(PAGE).read_text("utf-8")
    rows = re.findall(r"^ *\| `(\w+)` \| (.+?) \| (.+?) \|", text, re.MULTILINE)

    listed = {
        name: (was.strip("`"), now.strip("`"))
        for name, was, now in rows
        if name in old or name in new
    }

    assert changed <= listed.keys()
    for name, shown in listed.items():
        assert shown == (show(old, name, "none"), show(new, name, "removed"))


def read_parameters(text: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of a template."""
    section = re.search(r"^Parameters:\n(?:[ #].*\n|\n)+", text, re.MULTILINE)
    assert section
    parameters: dict[str, dict[str, Any]] = yaml.safe_load(section[0])["Parameters"]
    return parameters


def describe(parameter: dict[str, Any]) -> dict[str, Any]:
    """Return what decides which value a parameter has, and which it accepts."""
    return {k: v for k, v in parameter.items() if not k.endswith("Description")}


def show(parameters: dict[str, dict[str, Any]], name: str, missing: str) -> str:
    """Return the default of a parameter as the page shows it."""
    if name not in parameters:
        return missing
    return str(parameters[name]["Default"]) or "empty"


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
    """Each is billed once: by the redrive of the page, and by the new `Replayer`."""
    stack = upgrade.after
    stored = {(track()["event"], event["messageId"]) for event in upgrade.traffic.sent}
    queued = {
        (track()["event"], f"m-{n}") for n in ("quarantined", "parked", "redriven")
    }

    stack.aws.set_clock(HIDDEN_SECONDS)

    wait_until(lambda: len(stack.hyperline.store) >= len(stored | queued), "all billed")
    assert stack.hyperline.store.keys() == stored | queued
    for key in queued:
        record = json.loads(stack.hyperline.store[key])["record"]
        assert record == {"id": key[1], "seats": 3, "plan": "team"}
    assert stack.quarantined() == []


def test_events_that_arrive_during_the_update_are_billed(upgrade: Upgrade) -> None:
    """Both versions have billed some, and Segment has lost none."""
    names = [
        json.loads(body)["record"] for body in upgrade.after.hyperline.store.values()
    ]

    assert upgrade.traffic.lost == {}
    assert {"plan" in record for record in names} == {True, False}


def test_an_event_that_segment_retries_is_billed_once(upgrade: Upgrade) -> None:
    """0.1.0 has billed it, and its response was lost."""
    stack, first = upgrade.after, upgrade.traffic.sent[0]
    before = set(stack.hyperline.store)

    assert stack.send(single(write(first))).status_code == 200
    assert stack.hyperline.store.keys() == before


def test_the_new_version_bills(upgrade: Upgrade) -> None:
    """The secret and the parameters apply as before; the output has the version."""
    event = track(messageId="m-new")
    outputs = {
        o["OutputKey"]: o["OutputValue"]
        for o in describe_stack(upgrade.after)["Outputs"]
    }

    assert upgrade.after.send(single(write(event))).status_code == 200
    assert (event["event"], "m-new") in upgrade.after.hyperline.store
    assert outputs["Version"] == __version__


def test_the_owner_can_return_and_update_again(upgrade: Upgrade) -> None:
    """Each version bills what the other one has stored in the queues.

    The option of the page sets the new name of the parameter, and an old name is
    ignored.
    """
    stack, clone = upgrade.after, upgrade.clone
    page = ROOT.joinpath(PAGE).read_text("utf-8")
    (option,) = re.findall("`(--parameter-overrides Max[^`]+)`", page)
    commands = {"HEAD^1": DEPLOY, "deployed": f"{DEPLOY} {option} RequestsPerSecond=9"}
    for number, (commit, command) in enumerate(commands.items()):
        event = track(messageId=f"m-stored-{number}", userId="later")
        stack.hyperline.unknown_customers.add("later")
        assert stack.send(single(write(event))).status_code == 422
        stack.hyperline.unknown_customers.clear()

        git(clone, "checkout", "--quiet", "--force", commit)
        run_shell(clone, stack.endpoint, command)
        stack.redrive()

        key = (event["event"], event["messageId"])
        wait_until(partial(contains, stack.hyperline.store, key), f"{key} is billed")
        assert stack.send(single(write(track()))).status_code == 200
        assert find_resources(stack.endpoint)["Replay"] == stack.resources["Replay"]
        assert stack.quarantined() == []
    parameters = describe_stack(stack)["Parameters"]
    assert {
        "ParameterKey": "MaxRequestsPerSecond",
        "ParameterValue": "500",
    } in parameters


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
