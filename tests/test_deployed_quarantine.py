"""The commands `quarantine`, about a stack that `sam` has deployed into a local AWS."""

import contextlib
import io
import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local_stack.aws import ROOT, local_environment, receive_all
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import find_customer_id
from local_stack.segment_requests import array, write
from local_stack.stack import STACK_NAME, LocalStack, deploy
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.segment.times import format_time
from tests.aws_proxy import AwsProxy
from tests.aws_requests import FREE
from tests.outage import wait_until
from tests.policies import QUARANTINE, read_policy
from tests.samples import track

PAGE = (ROOT / "docs/quarantine.md").read_text("utf-8")
NOW = datetime.now(UTC).isoformat()
MONTH = f"{datetime.now(UTC):%Y-%m}"
TYPES = ("Seats Added", "Report Sent", "File Stored", "User Invited")
EXPORTED = "Page Exported"
MAPPING = """
[[rules]]
type = "track"
event = "Page Exported"
record = {{ pages = "properties.{name}" }}

[[rules]]
type = "track"
record = {{ "*" = "properties" }}
"""
TYPO, CORRECT = MAPPING.format(name="pagse"), MAPPING.format(name="pages")
BATCH = 200


def create(number: int, event: str, customer: str, **properties: Any) -> dict[str, Any]:
    """Return an event of today."""
    times = dict.fromkeys(("timestamp", "receivedAt", "sentAt"), NOW)
    return track(
        messageId=f"m-{number}",
        event=event,
        userId=customer,
        properties=properties,
        **times,
    )


# 812 events of four types, whose customer isn't in Hyperline.
UNKNOWN = [create(n, TYPES[n % 4], "acme", seats=n % 7 + 1) for n in range(812)]
# 40 events whose rule has a typo; three of them also lack the property.
UNMAPPABLE = [
    create(1_000 + n, EXPORTED, "globex", **{"pages" if n > 2 else "page_count": n + 1})
    for n in range(40)
]


@dataclass
class Story:
    """A deployed stack, Hyperline's core API, and a folder of the owner."""

    stack: LocalStack
    core: FakeCoreApi
    proxy: AwsProxy
    folder: Path
    transcript: list[str] = field(default_factory=list)
    """The commands of `show`, and what they print."""

    def run(self, *arguments: str, fails: bool = False) -> Result:
        """Run a command about the stack; it *fails*, or not."""
        environment = {
            **local_environment(self.proxy.url),
            "HYPERLINE_CORE_URL": self.core.url,
            "HYPERLINE_API_KEY": None,
            "COLUMNS": "120",
        }
        done = CliRunner().invoke(cli, arguments, env=environment)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert bool(done.exit_code) == fails, done.output
        return done

    def list_groups(self, *options: str) -> list[dict[str, Any]]:
        """Return what `quarantine list` says."""
        mapping = ("--mapping", str(self.mapping))
        done = self.run("quarantine", "list", "--json", *mapping, *options)
        groups: list[dict[str, Any]] = json.loads(done.stdout)
        return groups

    def show(self, *arguments: str, fails: bool = False) -> Result:
        """Run `quarantine` in the owner's folder, and print what it prints."""
        with contextlib.chdir(self.folder):
            mapping = ("--mapping", str(self.mapping))
            done = self.run("quarantine", *arguments, *mapping, fails=fails)
        command = " ".join(("segment-to-hyperline quarantine", *arguments))
        self.transcript.append(f"$ {command}\n{done.output}")
        return done

    def printed(self) -> str:
        """Return what the commands printed."""
        return mask("\n".join(self.transcript))

    def close(self) -> str:
        """Return the first line of the month's report."""
        archive = self.folder / "archive"
        archive.mkdir()
        sent = archive / "sent.ndjson"
        sent.write_text("".join(f"{write(e)}\n" for e in UNKNOWN + UNMAPPABLE))
        files = [json.loads(f.read_text()) for f in self.folder.glob("waiting/*.json")]
        edited = archive / "zz-edited.ndjson"
        events = [each["event"] for file in files for each in file["events"]]
        edited.write_text("".join(f"{write(each)}\n" for each in events))
        output = ("--output", str(self.folder / "report"))
        mapping = ("--mapping", str(self.mapping), "--stack", STACK_NAME)
        # The invoices of this month are drafts.
        done = self.run("close", MONTH, str(archive), *output, *mapping, fails=True)
        self.transcript.append(f"$ segment-to-hyperline close {MONTH}\n{done.stdout}")
        return done.stdout.splitlines()[0]

    @property
    def mapping(self) -> Path:
        """The owner's mapping."""
        return self.folder / "mapping.toml"

    def deploy_mapping(self, content: str) -> None:
        """Deploy the code of the functions with this mapping."""
        self.mapping.write_text(content)
        client = self.stack.client("lambda")
        for name in ("Receiver", "Replayer"):
            function = self.stack.resources[name]
            code = replace(build(name), "mapping.toml", content)
            client.update_function_code(FunctionName=function, ZipFile=code)
        receiver = self.stack.resources["Receiver"]
        version = client.publish_version(FunctionName=receiver)["Version"]
        client.update_alias(FunctionName=receiver, Name="live", FunctionVersion=version)

    def send(self, events: list[dict[str, Any]]) -> None:
        """Send *events* as Segment does, in batches."""
        for start in range(0, len(events), BATCH):
            batch = events[start : start + BATCH]
            response = self.stack.send(array([write(event) for event in batch]))
            assert response.status_code in {200, 422}, response.text

    def put(self, event: dict[str, Any]) -> None:
        """Store an event in Quarantine, as the Replayer does."""
        body = {"code": "unmappable", "reason": "test", "events": [event]}
        self.stack.client("sqs").send_message(
            QueueUrl=self.stack.resources["Quarantine"], MessageBody=write(body)
        )

    def audit_lines(self) -> list[dict[str, Any]]:
        """Return the lines of the audit log."""
        found = self.stack.client("logs").filter_log_events(
            logGroupName=self.stack.resources["AuditLog"]
        )
        return [json.loads(event["message"]) for event in found["events"]]


def build(name: str) -> Path:
    """Return the folder that `sam build` made for a function."""
    return ROOT / ".aws-sam/build" / name


def replace(folder: Path, name: str, content: str) -> bytes:
    """Return a zip file of *folder*, with another *content* of the file *name*."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in folder.rglob("*"):
            if path.is_file():
                inside = str(path.relative_to(folder))
                data = content.encode() if inside == name else path.read_bytes()
                archive.writestr(inside, data)
    return packed.getvalue()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A stack whose mapping has a typo; Hyperline lacks the customer acme."""
    folder = tmp_path_factory.mktemp("owner")
    with deploy(quiet=True) as stack:
        core_api = FakeCoreApi(rate_limit=1_000_000, hyperline=stack.hyperline)
        with core_api as core, AwsProxy(stack.endpoint) as proxy:
            stack.hyperline.limiter.limit = 1_000_000
            core.shows_links = True
            core.add_entity("ent_1", "UTC", 3, is_default=True)
            for number, name in enumerate((*TYPES, EXPORTED)):
                unit = "pages" if name == EXPORTED else "seats"
                core.add_aggregator(f"agg_{number}", name, "sum", property=unit)
                core.add_product(f"prd_{number}", name, f"agg_{number}")
            add_customer(core, "globex")
            stack.hyperline.unknown_customers = {"acme"}
            story = Story(stack, core, proxy, folder)
            story.deploy_mapping(CORRECT)
            yield story


def add_customer(core: FakeCoreApi, name: str) -> None:
    """Create a customer with a subscription and an open invoice."""
    customer = find_customer_id(name)
    core.add_customer(customer, name)
    products = [f"prd_{number}" for number in range(len(TYPES) + 1)]
    core.add_subscription(f"sub_{name}", customer, *products)
    start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start + timedelta(days=31)).replace(day=1)
    core.add_invoice(f"inv_{name}", customer, format_time(start), format_time(end))


def test_the_story(story: Story) -> None:
    """The owner finds both causes, fixes them, and everything is billed."""
    stack, core = story.stack, story.core
    story.deploy_mapping(TYPO)
    story.send(UNKNOWN)
    story.send(UNMAPPABLE)

    groups = story.list_groups("--check")
    story.show("list", "--check")

    assert [(g["events"], g["customer"], g["code"]) for g in groups] == [
        *[(203, "acme", "event_failed")] * 4,
        (40, "globex", "unmappable"),
    ]
    assert {group["event"] for group in groups[:4]} == set(TYPES)
    assert {group["now"] for group in groups} == {
        "would fail again: Hyperline has no customer acme",
        "would fail again: Page Exported: record.pages: properties.pagse is missing",
    }
    stack.hyperline.unknown_customers = set()
    add_customer(core, "acme")
    story.deploy_mapping(CORRECT)
    groups = story.list_groups("--check")
    assert [(group["events"], group["now"]) for group in groups] == [
        *[(203, "would be billed")] * 4,
        (37, "would be billed"),
        (
            3,
            f"would fail again: {EXPORTED}: record.pages: properties.pages is missing",
        ),
    ]
    story.show("list")
    files = story.folder / "waiting"
    story.show("export", "waiting", "--where", "properties.page_count")
    for path in files.glob("*.json"):
        edit(path, ".events[].event.properties |= {pages: .page_count}")
    done = story.show("redrive", "--from", "waiting", "--yes")
    assert done.stdout.endswith("3  billed\n")
    assert '\n-    "page_count": 1\n+    "pages": 1\n' in done.stdout
    assert story.show("redrive", "--yes").stdout.endswith("849  billed\n")
    assert story.show("list").stdout == "nothing waits in Quarantine\n"
    assert story.close() == (
        f"{datetime.now(UTC):%B %Y}: 852 events sent, all stored and counted. Not"
        " checked completely: invoiced."
    )
    assert [b for b in read_story() if mask(b) not in story.printed()] == []
    actions = story.audit_lines()
    assert [(a["action"], a["events"]) for a in actions] == [
        *(("export", 3), ("redrive", 3), ("redrive", 849)),
    ]
    assert {a["before"] == a["after"] for a in actions[1:]} == {False, True}
    assert not re.search("acme|globex|m-1", json.dumps(actions))


def read_story() -> list[str]:
    """Return what docs/quarantine.md shows of the story: each is a command's output."""
    text = PAGE.partition("\n## A story\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    outputs = [block for block in blocks if not block.startswith(("segment", "for "))]
    assert len(outputs) == 7
    return outputs


def mask(text: str) -> str:
    """Return *text* without what is different each day."""
    times = re.sub(r"\d{4}-\d\d-\d\d[T ][0-9:+]{5,14}", "TIME", text)
    months = re.sub(r"[A-Z][a-z]+ \d{4}:|\d{4}-\d\d-\d\d", "MONTH", times)
    return re.sub(r"[0-9.]+ days", "DAYS", months)


def edit(path: Path, program: str) -> None:
    """Edit a file as `jq PROGRAM FILE | sponge FILE` does."""
    done = subprocess.run(["jq", program, path], capture_output=True, check=True)
    path.write_bytes(done.stdout)


def test_who_is_on_call_can_use_the_commands(story: Story) -> None:
    """The documented policy permits what they need, whichever is used."""
    sqs = story.stack.client("sqs")
    quarantine = story.stack.resources["Quarantine"]
    story.proxy.arrived.clear()
    for number in range(2):
        story.put(create(2_000 + number, EXPORTED, "globex", pages=1))
    story.show("list")
    story.show("show")
    story.show("export", "all")
    story.show("redrive", "--message-id", "m-2000", "--timeout", "60")
    story.show("purge", "--message-id", "m-2001", "--reason", "test")
    story.show("trace", "m-2000")
    story.run("replay", "list", "--sample")

    assert receive_all(sqs, quarantine) == []
    used = story.proxy.arrived
    policy = read_policy("on-call")
    assert [each for each in used if not policy.permits(each)] == []
    assert {each.permission for each in used} - FREE == QUARANTINE


def test_an_event_is_traced_on_one_screen(story: Story) -> None:
    """Its log, where it waits, its row in Hyperline, and its invoice."""
    unknown = story.stack.hyperline.unknown_customers
    unknown.add("initech")
    story.send([create(3_001, TYPES[1], "initech", seats=1)])
    unknown.remove("initech")
    add_customer(story.core, "initech")
    story.show("redrive", "--customer", "initech")
    story.put(create(3_000, EXPORTED, "globex", pages="many"))

    lines = story.show("trace", "m-3001", "m-3000").stdout.splitlines()

    assert lines[0] == "m-3001: billed"
    assert any("quarantined by the receiver" in line for line in lines)
    assert any("delivered by the replayer" in line for line in lines)
    assert any("Report Sent  m-3001  evt_" in line for line in lines)
    assert any("invoice: inv_initech" in line for line in lines)
    position = lines.index("m-3000: not billed, by the event types known here")
    assert lines[position + 1] == "  place      in Quarantine"
    story.show("purge", "--message-id", "m-3000", "--reason", "test")


def test_replay_is_shown_without_receiving_its_messages(story: Story) -> None:
    """Each receive would be an attempt to bill them."""
    sources = story.stack.client("lambda")
    source = story.stack.resources["ReplayerMessages"]
    sources.update_event_source_mapping(UUID=source, Enabled=False)
    story.put(create(4_000, EXPORTED, "globex", pages=1))
    story.show("redrive", "--code", "unmappable", "--timeout", "0", fails=True)
    story.proxy.operations.clear()

    shown = story.run("replay", "list").stdout

    assert shown.startswith("1 message waiting, 0 delayed or being billed\n")
    assert "ReceiveMessage" not in story.proxy.operations
    sample = story.run("replay", "list", "--sample", "--json").stdout
    (message,) = json.loads(sample)["sample"]
    assert message["events"] == [{"messageId": "m-4000", "reason": "test"}]
    sources.update_event_source_mapping(UUID=source, Enabled=True)
    key = (EXPORTED, "m-4000")
    wait_until(lambda: key in story.stack.hyperline.store, "the event is billed")
