"""The commands `quarantine`: what a person sees, and what goes wrong."""

import io
import itertools
import json
import re
import time
import uuid
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, find_customer_id
from local_stack.segment_requests import write
from segment_to_hyperline.aws.messages import MAX_EVENT_BYTES
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.doctor.stack import PACKAGE
from segment_to_hyperline.mapping.apply import apply_rules
from tests.conftest import Secret
from tests.fake_aws import FakeAws, Fault
from tests.samples import read_rules
from tests.segment_to_hyperline.cli.backfills import bill
from tests.segment_to_hyperline.quarantine.helpers import STORED_AT
from tests.segment_to_hyperline.quarantine.helpers import event as create
from tests.segment_to_hyperline.reconciliation.helpers import Clock

DENIED = Fault("403 Forbidden", b'{"__type":"AccessDeniedException","message":"no"}')
NOT_DELETED = b'{"Successful": [], "Failed": [{"Id": "0", "Code": "InternalError"}]}'
LOGS = ("ReceiverLog", "ReplayerLog", "AuditLog")


class Owned:
    """A queue of the stack."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = boto3.client("sqs")

    def put(self, *events: Any, environment: str = "sandbox", **fields: Any) -> None:
        """Store *events* in a message."""
        content = {"code": "event_rejected", "reason": "rejected", **fields}
        texts = ",".join(write(each) for each in events)
        self.put_text(f'{json.dumps(content)[:-1]}, "events": [{texts}]}}', environment)

    def put_text(self, body: str, environment: str = "sandbox") -> None:
        """Store a message."""
        values = {"StoredAt": STORED_AT, "Environment": environment}
        self._client.send_message(
            QueueUrl=self.url,
            MessageBody=body,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in values.items()
            },
        )

    def receive(self) -> list[str]:
        """Return the bodies of the messages that are visible, and hide them."""
        found = self._client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        return [message["Body"] for message in found.get("Messages", ())]

    def ids(self) -> list[str]:
        """Return the messageIds of the visible events, and hide them."""
        bodies = map(json.loads, self.receive())
        return sorted(e["messageId"] for body in bodies for e in body["events"])


class Installation:
    """A stack, and the commands about it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        resources = boto3.client("cloudformation").list_stack_resources(StackName=name)
        ids = {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in resources["StackResourceSummaries"]
        }
        self.quarantine, self.replay = Owned(ids["Quarantine"]), Owned(ids["Replay"])
        self.logs = {name: ids[name] for name in LOGS if name in ids}

    def run(
        self, *arguments: str, typed: str | None = None, command: str = "quarantine"
    ) -> Result:
        """Run `quarantine` with *arguments*, or `replay list`."""
        words = (command, "list") if command == "replay" else (command,)
        line = (*words, *arguments, "--stack", self.name)
        done = CliRunner().invoke(cli, line, input=typed)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def list_actions(self) -> list[dict[str, Any]]:
        """Return the lines of the audit log."""
        found: Any = boto3.client("logs").filter_log_events(
            logGroupName=self.logs["AuditLog"]
        )
        return [json.loads(each["message"]) for each in found["events"]]


def deploy(name: str, *logs: str) -> None:
    """Create a stack with the queues, and these *logs*."""
    queues = ("Quarantine", "Replay")
    template = {
        "Resources": {
            **{queue: {"Type": "AWS::SQS::Queue"} for queue in queues},
            **{log: {"Type": "AWS::Logs::LogGroup"} for log in logs},
        },
        "Parameters": {
            p: {"Type": "String", "Default": ""} for p in ("SecretName", "HyperlineUrl")
        },
        "Outputs": {
            f"{queue}Arn": {"Value": {"Fn::GetAtt": [queue, "Arn"]}} for queue in queues
        },
    }
    client: Any = boto3.client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=json.dumps(template))


@pytest.fixture
def core(hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hyperline's core API, with a customer."""
    with FakeCoreApi(rate_limit=1_000_000, hyperline=hyperline) as core:
        core.shows_links = True
        core.add_entity("ent_1", "Europe/Paris", 3, is_default=True)
        core.add_aggregator("agg_1", "Seats Added", "sum", property="seats")
        core.add_customer(find_customer_id("customer-42"), "customer-42")
        monkeypatch.setenv("HYPERLINE_CORE_URL", core.url)
        yield core


@pytest.fixture
def _polls_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the fake SQS wait for messages without using up time."""
    seconds = itertools.count(time.time())
    monkeypatch.setattr("moto.sqs.models.unix_time", lambda: next(seconds))
    monkeypatch.setattr("moto.sqs.models.Queue.wait_for_messages", lambda *_: None)


@pytest.fixture
def installation(
    _polls_are_short: None,
    aws: FakeAws,
    secret: Secret,
    hyperline: FakeHyperline,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Installation:
    """A stack with a secret; Hyperline is the fake one."""
    assert hyperline
    assert clock
    name = f"stack-{uuid.uuid4()}"
    deploy(name, *LOGS)
    boto3.client("secretsmanager").create_secret(
        Name=name, SecretString=json.dumps(secret.content)
    )
    monkeypatch.delenv("HYPERLINE_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    aws.requests.clear()
    return Installation(tmp_path, name)


def test_an_empty_queue(installation: Installation) -> None:
    """There is nothing to do, and nobody is asked."""
    listed = installation.run("list", "--check")
    sent = installation.run("redrive")

    assert (listed.exit_code, listed.output) == (0, "nothing waits in Quarantine\n")
    assert (sent.exit_code, sent.output) == (0, "to send: 0 events\n")
    assert installation.run("list", "--json").stdout == "[]\n"
    assert installation.list_actions() == []


def test_the_list(installation: Installation, core: FakeCoreApi) -> None:
    """Each group has its cause, its time, and what would become of it."""
    assert core
    installation.quarantine.put(create(0), create(1))
    installation.quarantine.put(create(2, userId="acme"), create(3, userId=None))

    lines = installation.run("list", "--check").stdout.splitlines()

    assert [line.split()[:2] for line in lines[1::5]][:3] == [
        ["2", "event_rejected"],
        ["1", "event_rejected"],
        ["1", "event_rejected"],
    ]
    outlooks = [line.strip() for line in lines if "now:" in line]
    assert outlooks == [
        "now: would be billed",
        "now: would fail again: rule 1 (track): customer_id: userId is null",
        "now: would fail again: Hyperline has no customer acme",
    ]
    assert "        sum: seats 6" in lines
    assert lines[-1] == "4 events in all"
    assert "its invoice is closed: over" not in lines[4]


def test_the_list_has_both_problems_of_an_event(
    installation: Installation, core: FakeCoreApi
) -> None:
    """Otherwise it would fail again after the first one is fixed."""
    assert core
    event = create(0, userId="acme", timestamp="yesterday")
    installation.quarantine.put(event)

    now = json.loads(installation.run("list", "--check", "--json").stdout)[0]["now"]

    assert now.startswith("would fail again: rule 1 (track): timestamp: ")
    assert now.endswith(", and Hyperline has no customer acme")


def test_many_groups_are_cut_off(installation: Installation) -> None:
    """The rest is only counted, and in the JSON."""
    for number in range(22):
        installation.quarantine.put(create(number, userId=f"c-{number}"))

    shown = installation.run("list").stdout
    rows = json.loads(installation.run("list", "--json").stdout)
    lines = installation.run("list", "--ndjson").stdout.splitlines()

    assert "and 2 more groups: see --json\n22 events in all\n" in shown
    assert [json.loads(line) for line in lines] == rows
    assert len(rows) == 22


def test_check_needs_the_core_api(installation: Installation) -> None:
    """Its host is only known for Hyperline's own hosts."""
    installation.quarantine.put(create(0))

    done = installation.run("list", "--check")

    assert done.exit_code == 2
    assert "set HYPERLINE_CORE_URL" in done.output


def test_personal_data_is_only_shown_on_request(installation: Installation) -> None:
    """Otherwise only the ids are shown, and the reason."""
    installation.quarantine.put(create(0, properties={"email": "a@example.com"}))

    for options in ((), ("--json",)):
        assert "a@example.com" not in installation.run("show", *options).stdout
        assert "a@example.com" in installation.run("show", "--values", *options).stdout
    assert installation.run("show").stdout == (
        f"m-0  Seats Added  customer-42  since {STORED_AT}\n"
        "    event_rejected: rejected\n"
        "    now: would be billed\n"
    )


def test_looking_leaves_everything_visible(installation: Installation) -> None:
    """Also if it fails, and if a person presses Ctrl-C when asked."""
    installation.quarantine.put(create(0))

    installation.run("show")
    assert installation.run("show", "--where", "=").exit_code == 2
    aborted = installation.run("redrive", typed="n\n")

    assert aborted.exit_code == 1
    assert installation.quarantine.ids() == ["m-0"]
    assert installation.replay.ids() == []


def test_what_can_be_made_visible_is(installation: Installation, aws: FakeAws) -> None:
    """One request of several fails; the messages of the others needn't wait."""
    for number in range(12):
        installation.quarantine.put(create(number))
    aws.fail("ChangeMessageVisibilityBatch", DENIED)

    done = installation.run("list")

    assert done.exit_code == 2
    assert "lack the permission sqs:ChangeMessageVisibility" in done.output
    assert len(installation.quarantine.ids()) == 2


def test_a_redrive_is_not_longer_than_messages_are_hidden(
    installation: Installation,
) -> None:
    """The rest would be visible to others again, and not be moved."""
    installation.quarantine.put(create(0), create(1))

    done = installation.run("redrive", "--yes", "--rate", "0.002")

    assert done.exit_code == 2
    assert "this takes more than 15 minutes, for which SQS hides" in done.output
    assert installation.replay.ids() == []
    assert installation.quarantine.ids() == ["m-0", "m-1"]


def test_selected_events_are_billed(
    installation: Installation, hyperline: FakeHyperline, clock: Clock
) -> None:
    """The result is what Hyperline has; the line of the audit log has no ids."""
    events = [create(number) for number in range(3)]
    installation.quarantine.put(*events)
    clock.meanwhile.append(lambda: bill(hyperline, *events))

    done = installation.run("redrive", "--message-id", "m-1", "--message-id", "m-2")

    assert (done.exit_code, done.stdout) == (
        0,
        "to send: 2 events\n2  would be billed\n2  billed\n",
    )
    assert installation.quarantine.ids() == ["m-0"]
    assert installation.replay.ids() == ["m-1", "m-2"]
    (action,) = installation.list_actions()
    assert action.pop("who").startswith("arn:aws:")
    assert (action["action"], action["events"], action["messages"]) == ("redrive", 2, 1)
    assert action["before"] == action["after"]
    assert "m-1" not in json.dumps(action)


def test_an_event_that_fails_again_is_reported_with_its_reason(
    installation: Installation, clock: Clock
) -> None:
    """The exit status says that something has to be done."""
    installation.quarantine.put(create(0))

    def return_event() -> None:
        boto3.client("sqs").purge_queue(QueueUrl=installation.replay.url)
        installation.quarantine.put(create(0), reason="customer acme does not exist")

    clock.meanwhile.append(return_event)
    done = installation.run("redrive", "--yes")

    assert done.exit_code == 1
    assert "0  billed\n1  back in Quarantine\n    1  customer acme does not" in (
        done.stdout
    )


def test_a_copy_that_was_there_before_has_not_returned(
    installation: Installation,
) -> None:
    """It is in a message that wasn't selected."""
    installation.quarantine.put(create(0))
    installation.quarantine.put(create(0), code="unmappable")

    done = installation.run("redrive", "--code", "unmappable", "--timeout", "0")

    assert done.stdout.endswith("0  billed\n1  not known yet, probably in Replay\n")


def test_what_is_not_known_in_time_is_incomplete(installation: Installation) -> None:
    """The Replayer doesn't run here."""
    installation.quarantine.put(create(0))

    done = installation.run("redrive", "--yes", "--timeout", "1")

    assert done.exit_code == 3
    assert done.stdout.endswith("0  billed\n1  not known yet, probably in Replay\n")


def test_an_event_that_no_rule_matches_stays(installation: Installation) -> None:
    """The Replayer would drop it, so that a mistake in the mapping would lose it."""
    installation.quarantine.put(create(0, type="page"), create(1))

    done = installation.run("redrive", "--yes", "--timeout", "0")

    assert done.exit_code == 1
    assert "not sent: m-0: would not be billed: no rule matches: correct the" in (
        done.stderr
    )
    assert installation.quarantine.ids() == ["m-0"]
    assert installation.replay.ids() == ["m-1"]


@pytest.mark.parametrize(
    "before",
    [
        {"properties": {"seats": 1}},
        {"timestamp": "2026-11-02T12:00:00.000Z"},
        {"userId": "acme"},
    ],
)
def test_another_version_in_hyperline_does_not_count(
    installation: Installation,
    core: FakeCoreApi,
    hyperline: FakeHyperline,
    before: dict[str, Any],
) -> None:
    """If what was billed before is billed again with another value."""
    core.add_customer(find_customer_id("acme"), "acme")
    bill(hyperline, create(0, **before))
    installation.quarantine.put(create(0))

    done = installation.run("redrive", "--yes", "--timeout", "0")

    assert done.stdout.endswith("0  billed\n1  not known yet, probably in Replay\n")


def test_a_key_that_may_not_read_customers(
    installation: Installation, core: FakeCoreApi, hyperline: FakeHyperline
) -> None:
    """The rest of the event is compared."""
    core.forbidden = {"/v2/customers"}
    bill(hyperline, create(0))
    installation.quarantine.put(create(0))

    done = installation.run("redrive", "--yes", "--timeout", "0")

    assert done.stdout.endswith("1  billed\n")


def test_a_dry_run_moves_nothing(installation: Installation, aws: FakeAws) -> None:
    """It shows what would be sent."""
    installation.quarantine.put(create(0))
    aws.requests.clear()

    assert installation.run("redrive", "--dry-run").stdout == (
        "to send: 1 event\n1  would be billed\n"
    )

    assert {"SendMessageBatch", "DeleteMessageBatch"} & set(aws.requests) == set()
    assert installation.list_actions() == []


def test_messages_of_others_are_left_alone(installation: Installation) -> None:
    """They are named, and neither moved nor purged."""
    for body in ("hello", '{"reason": 5, "events": [{}]}'):
        installation.quarantine.put_text(body)
    installation.quarantine.put(create(0))

    listed = installation.run("list")
    installation.run("redrive", "--yes", "--timeout", "0")
    installation.run("purge", "--hours", "0.1", "--reason", "all")

    assert "not of this application, and left alone: 2 of the messages" in listed.stderr
    assert sorted(installation.quarantine.receive()) == [
        "hello",
        '{"reason": 5, "events": [{}]}',
    ]


def test_the_largest_events_are_moved(installation: Installation, aws: FakeAws) -> None:
    """Their messages are almost 1 MiB, which is also the limit of a request."""
    size = MAX_EVENT_BYTES - len(write(create(0, properties={"seats": 1, "x": ""})))
    for number in range(2):
        large = create(number, properties={"seats": 1, "x": "x" * size})
        installation.quarantine.put(large)
    aws.requests.clear()

    installation.run("redrive", "--yes", "--timeout", "0")

    assert aws.requests.count("SendMessageBatch") == 2
    assert installation.replay.ids() == ["m-0", "m-1"]
    assert installation.quarantine.receive() == []


def test_an_event_that_does_not_fit_stays(installation: Installation) -> None:
    """An edit can make it too large."""
    installation.quarantine.put(create(0))
    installation.run("export", "files")
    (path,) = Path("files").iterdir()
    content = json.loads(path.read_text())
    content["events"][0]["event"]["context"]["x"] = "x" * 1024 * 1024
    path.write_text(json.dumps(content))

    done = installation.run("redrive", "--from", "files", "--yes", "--timeout", "0")

    assert done.exit_code == 1
    assert "not sent: m-0: it is larger than 1,032,192 bytes" in done.stderr
    assert installation.quarantine.ids() == ["m-0"]


def test_a_second_person_sees_what_the_first_one_has_hidden(
    installation: Installation,
) -> None:
    """Only its number, and what to do."""
    installation.quarantine.put(create(0))
    assert installation.quarantine.ids() == ["m-0"]

    listed = installation.run("list")

    assert listed.stdout == "nothing waits in Quarantine\n"
    assert listed.stderr == (
        "hidden, because somebody has received them: about 1 messages; run the command"
        " again in 15 minutes\n"
    )


def test_a_message_that_somebody_else_received_meanwhile_is_not_moved(
    installation: Installation, aws: FakeAws
) -> None:
    """If a person thinks for 15 minutes, before the question is answered."""
    installation.quarantine.put(create(0))
    failed = (
        b'{"Successful": [], "Failed": [{"Id": "0", "Code": "MessageNotInflight"}]}'
    )
    aws.fail("ChangeMessageVisibilityBatch", Fault("200 OK", failed))

    done = installation.run("redrive", "--yes", "--timeout", "0")

    assert done.exit_code == 1
    assert "it was visible again meanwhile, or somebody else has it" in done.stderr
    assert installation.replay.ids() == []
    assert installation.quarantine.ids() == ["m-0"]


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("ReceiveMessage", "sqs:ReceiveMessage"),
        ("SendMessageBatch", "sqs:SendMessage"),
        ("DeleteMessageBatch", "sqs:DeleteMessage"),
        ("PutLogEvents", "logs:PutLogEvents"),
    ],
)
def test_a_missing_permission_is_named(
    installation: Installation, aws: FakeAws, operation: str, permission: str
) -> None:
    """Nothing is lost, and without an audit line nothing is moved."""
    installation.quarantine.put(create(0))
    aws.fail(operation, DENIED)

    done = installation.run("redrive", "--yes", "--timeout", "0")

    assert done.exit_code == 2
    assert f"the AWS credentials lack the permission {permission}" in done.output
    assert installation.quarantine.ids() == ["m-0"]
    sent = ["m-0"] if operation == "DeleteMessageBatch" else []
    assert installation.replay.ids() == sent


def test_a_web_page_instead_of_aws(installation: Installation, aws: FakeAws) -> None:
    """A proxy asks to sign in, and there is no traceback."""
    aws.fail("ListStackResources", Fault("200 OK", b"<p>Please sign in"))

    assert "ListStackResources: the response isn't AWS's, but for example a pro" in (
        installation.run("list").output
    )


def deploy_another(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, *logs: str
) -> Installation:
    """Return another stack, with these log groups and a secret of its own."""
    name = f"stack-{uuid.uuid4()}"
    deploy(name, *logs)
    monkeypatch.setenv("HYPERLINE_API_KEY", KEY)
    boto3.client("secretsmanager").create_secret(
        Name=name, SecretString=json.dumps({"hyperline_api_key": KEY})
    )
    return Installation(installation.folder, name)


@pytest.mark.parametrize("is_deployed", [True, False])
def test_the_mapping_must_be_the_deployed_one(
    installation: Installation,
    aws: FakeAws,
    monkeypatch: pytest.MonkeyPatch,
    is_deployed: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Otherwise the Replayer could drop an event that this mapping would bill."""
    # Only its name counts here.
    stack = deploy_another(installation, monkeypatch, *LOGS, "Replayer")
    mapping = '[[rules]]\ntype = "track"\nrecord = { seats = "properties.seats" }'
    Path("mapping.toml").write_text(mapping)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as code:
        code.writestr("mapping.toml", mapping if is_deployed else f"# old\n{mapping}")
        code.writestr(PACKAGE, "")
    s3, place = boto3.client("s3"), {"Bucket": stack.name, "Key": "code"}
    s3.create_bucket(Bucket=stack.name)
    s3.put_object(**place, Body=packed.getvalue())
    location = {"Location": s3.generate_presigned_url("get_object", place)}
    found = json.dumps({"Configuration": {}, "Code": location}).encode()
    aws.fail("GetFunction", Fault("200 OK", found))
    stack.quarantine.put(create(0))

    options = ("--yes", "--timeout", "0", "--mapping", "mapping.toml")
    done = stack.run("redrive", *options)

    assert done.exit_code == (3 if is_deployed else 2)
    problem = "the Replayer has another mapping than mapping.toml: deploy it first"
    assert (problem in done.stderr) == (not is_deployed)
    assert "not compared" not in done.stderr
    assert stack.replay.ids() == (["m-0"] if is_deployed else [])


def test_a_mapping_that_cannot_be_compared(installation: Installation) -> None:
    """Without the permission to read the function, it is only said."""
    installation.quarantine.put(create(0))

    done = installation.run("redrive", "--yes", "--timeout", "0")

    assert "not compared with the deployed mapping: the stack has no Rep" in done.stderr
    assert installation.replay.ids() == ["m-0"]


def test_a_stack_without_an_audit_log(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one of an earlier version; nothing is moved without a line."""
    old = deploy_another(installation, monkeypatch)
    old.quarantine.put(create(0))

    done = old.run("redrive", "--yes")

    assert "the stack has no AuditLog: deploy this version of template.yaml" in (
        done.output
    )
    assert old.quarantine.ids() == ["m-0"]


def test_an_event_of_the_other_environment_needs_a_word(
    installation: Installation,
) -> None:
    """Without it, a test would be billed to a customer, or a customer to nobody."""
    installation.quarantine.put(create(0), environment="production")

    refused = installation.run("redrive", "--yes")
    wrong = installation.run("redrive", "--yes", "--environment", "production")
    assert installation.replay.ids() == []
    installation.run("redrive", "--yes", "--environment", "sandbox", "--timeout", "0")

    assert refused.exit_code == 1
    assert "--environment sandbox bills it anyway" in refused.stderr
    assert wrong.exit_code == 2
    found = boto3.client("sqs").receive_message(
        QueueUrl=installation.replay.url, MessageAttributeNames=["All"]
    )
    attributes = found["Messages"][0]["MessageAttributes"]
    assert attributes["Environment"]["StringValue"] == "sandbox"


def test_an_edit_that_fits_some_events_and_not_others(
    installation: Installation, hyperline: FakeHyperline, clock: Clock
) -> None:
    """Those that fit are billed; the others are named, and stay."""
    events = [create(number, userId=None) for number in range(3)]
    installation.quarantine.put(*events)
    installation.run("export", "files")
    (path,) = Path("files").iterdir()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )
    content = json.loads(path.read_text())
    for each in content["events"][:2]:
        each["event"]["userId"] = "acme"
    content["events"][1]["event"]["messageId"] = "other"
    path.write_text(json.dumps(content))
    Path("files/other.json").write_text("{}")
    Path("files/binary.json").write_bytes(b"\xff")
    clock.meanwhile.append(lambda: bill(hyperline, create(0, userId="acme")))

    done = installation.run("redrive", "--from", "files", "--yes")

    assert done.exit_code == 1
    assert "to send: 1 event\n" in done.stdout
    assert "1  billed\n" in done.stdout
    assert "not sent: m-1: messageId changed, so Hyperline can't" in done.stderr
    assert "not sent: m-2: would not be billed: rule 1 (track): customer" in done.stderr
    assert "files/other.json isn't a file of `quarantine export`" in done.stderr
    assert "files/binary.json: not UTF-8" in done.stderr
    assert installation.quarantine.ids() == ["m-1", "m-2"]
    (sent,) = map(json.loads, installation.replay.receive())
    assert [each["userId"] for each in sent["events"]] == ["acme"]


def test_many_edits_are_cut_off(installation: Installation) -> None:
    """As many as a person would read are shown."""
    installation.quarantine.put(*(create(n, userId=None) for n in range(44)))
    installation.run("export", "files")
    (path,) = Path("files").iterdir()
    content = json.loads(path.read_text())
    for each in content["events"][:22]:
        each["event"]["userId"] = "acme"
    path.write_text(json.dumps(content))

    done = installation.run("redrive", "--from", "files", "--dry-run")

    assert done.stdout.endswith(
        "and 2 more edited events\nto send: 22 events\n22  would be billed\n"
    )
    assert "\nand 2 more that are not sent\nFailed: " in done.stderr


def test_an_edit_is_sent_again_if_its_message_stayed(
    installation: Installation, aws: FakeAws
) -> None:
    """Only the same command sends it as it was edited, and not as it was before."""
    installation.quarantine.put(create(0, userId=None))
    installation.run("export", "files")
    (path,) = Path("files").iterdir()
    content = json.loads(path.read_text())
    content["events"][0]["event"]["userId"] = "acme"
    path.write_text(json.dumps(content))
    aws.fail("DeleteMessageBatch", Fault("200 OK", NOT_DELETED))
    arguments = ("redrive", "--from", "files", "--yes", "--timeout", "0")

    stayed = installation.run(*arguments)

    assert stayed.exit_code == 1
    assert "Quarantine has not deleted it" in stayed.stderr
    assert "1 message stayed, see above; run the same command again" in stayed.stderr
    installation.run(*arguments)
    assert installation.quarantine.receive() == []
    sent = map(json.loads, installation.replay.receive())
    assert [each["events"][0]["userId"] for each in sent] == ["acme", "acme"]


@pytest.mark.parametrize("has_core", [True, False])
def test_a_new_identity_replaces_no_other_event(
    installation: Installation,
    hyperline: FakeHyperline,
    core: FakeCoreApi,
    monkeypatch: pytest.MonkeyPatch,
    *,
    has_core: bool,
) -> None:
    """Hyperline would overwrite it. One that is billed as it was edited is sent again.

    That happens if the command was killed before it had deleted the message. An event
    with its own identity may replace an earlier version of itself.
    """
    assert core
    if not has_core:
        monkeypatch.delenv("HYPERLINE_CORE_URL")
    installation.quarantine.put(*map(create, range(4)))
    installation.run("export", "files")
    (path,) = Path("files").iterdir()
    content = json.loads(path.read_text())
    for number, each in enumerate(content["events"][:3]):
        each["event"]["messageId"] = f"n-{number}"
    path.write_text(json.dumps(content))
    bill(hyperline, content["events"][0]["event"])
    bill(hyperline, content["events"][1]["event"] | {"properties": {"seats": 99}})
    bill(hyperline, create(3) | {"properties": {"seats": 99}})

    done = installation.run(
        *("redrive", "--from", "files", "--new-identity", "--dry-run")
    )

    assert "to send: 3 events" in done.stdout
    assert "not sent: m-1: Hyperline has another event with its new" in done.stderr
    assert done.stderr.count("not sent: ") == 1


def test_an_export_does_not_overwrite(installation: Installation) -> None:
    """A folder with files can have edits."""
    installation.quarantine.put(create(0))
    installation.run("export", "files")

    again = installation.run("export", "files")

    assert again.exit_code == 2
    assert "'files' isn't empty: choose another folder" in again.output
    assert [each["action"] for each in installation.list_actions()] == ["export"] * 2


def test_a_purge_can_be_undone(installation: Installation) -> None:
    """The events are in a file before they are deleted; the others stay."""
    installation.quarantine.put(create(0), create(1))

    purged = installation.run("purge", "--message-id", "m-0", "--reason", "a test")

    (folder,) = Path().glob("purged-*")
    assert purged.stdout == f"purged: 1 event, kept in {folder}\n"
    assert installation.quarantine.ids() == ["m-1"]
    (action,) = installation.list_actions()
    assert (action["action"], action["reason"]) == ("purge", "a test")
    done = installation.run("redrive", "--from", str(folder), "--timeout", "0")
    assert done.exit_code == 3
    assert installation.replay.ids() == ["m-0"]


def test_a_purge_counts_what_was_deleted(
    installation: Installation, aws: FakeAws
) -> None:
    """What SQS has not deleted can still be billed."""
    installation.quarantine.put(create(0))
    aws.fail("DeleteMessageBatch", Fault("200 OK", NOT_DELETED))

    done = installation.run("purge", "--message-id", "m-0", "--reason", "a test")

    assert done.exit_code == 1
    assert "purged: 0 events" in done.stdout
    assert "Quarantine has not deleted it" in done.stderr
    assert installation.quarantine.ids() == ["m-0"]


def test_a_purge_needs_a_selection_and_a_reason(installation: Installation) -> None:
    """And deletes nothing if nothing is selected."""
    installation.quarantine.put(create(0))

    everything = installation.run("purge", "--reason", "x")
    silent = installation.run("purge", "--code", "event_rejected")
    nothing = installation.run("purge", "--code", "other", "--reason", "x")

    assert "purge needs a selection: use at least one filter" in everything.output
    assert "Missing option '--reason'" in silent.output
    assert (nothing.exit_code, nothing.output) == (0, "nothing is selected\n")
    assert installation.run("export", "x", "--code", "x").output == nothing.output
    assert installation.quarantine.ids() == ["m-0"]


def test_hyperline_can_be_down(
    installation: Installation, hyperline: FakeHyperline
) -> None:
    """What was moved is in Replay; only the report is missing."""
    installation.quarantine.put(create(0))
    hyperline.outage = FakeResponse(500, b"")

    done = installation.run("redrive", "--yes")

    assert done.exit_code == 3
    assert "Incomplete: http" in done.stderr
    assert installation.replay.ids() == ["m-0"]


def test_what_hyperline_does_not_know_is_unknown(
    installation: Installation, core: FakeCoreApi
) -> None:
    """When the invoice closes needs a time; a sum, a number."""
    core.add_aggregator("agg_2", "Seats Added", "sum", property="plan")
    installation.quarantine.put(create(0), create(1, timestamp="yesterday"))

    rows = json.loads(installation.run("list", "--check", "--json").stdout)
    shown = installation.run("list", "--check").stdout

    assert [row["closed_in_days"] is None for row in rows] == [False, True]
    assert [row["sums"] for row in rows] == [{"seats": 3}, {}]
    assert "oldest event unknown, its invoice is closed: unknown" in shown


def write_line(installation: Installation, log: str, *groups: dict[str, Any]) -> None:
    """Write a line about events, as the functions do, and one of Lambda."""
    service = "receiver" if log == "ReceiverLog" else "replayer"
    line = {"service": service, "unfinished": 1, "events": list(groups)}
    client = boto3.client("logs")
    place: Any = {"logGroupName": installation.logs[log], "logStreamName": "s"}
    client.create_log_stream(**place)
    # The fake rejects lines that are older or newer.
    now = round(datetime.now(UTC).timestamp() * 1_000) - 1_000
    client.put_log_events(
        **place,
        logEvents=[
            {"timestamp": now, "message": text}
            for text in (json.dumps(line), "INIT_START m-0", '["m-0"]')
        ],
    )


def test_an_event_is_traced(
    installation: Installation, core: FakeCoreApi, hyperline: FakeHyperline
) -> None:
    """On one screen: its attempts, where it waits, its row and its invoice."""
    month = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    core.add_invoice("inv_1", find_customer_id("customer-42"), *month)
    core.add_product("prd_1", "Seats", "agg_1")
    core.add_subscription("sub_1", find_customer_id("customer-42"), "prd_1")
    bill(hyperline, create(0))
    installation.quarantine.put(create(1))
    group = {"outcome": "parked", "code": "late", "reason": "late", "ids": "m-0 m-1"}
    write_line(installation, "ReceiverLog", group)

    printed = installation.run("trace", "m-0", "m-1", "m-2").stdout
    shown = re.sub(r"[0-9:+T-]{25}", "TIME", printed).splitlines()

    assert shown[:3] == [
        "m-0: billed",
        "  place      probably in Replay: parked at TIME",
        "  log        TIME  parked by the receiver  late: late",
    ]
    assert shown[3].startswith("  Hyperline  Seats Added  m-0  evt_")
    assert shown[4].startswith("             invoice: inv_1")
    assert shown[5:10] == [
        "m-1: not billed, by the event types known here",
        "  place      in Quarantine",
        "  log        TIME  parked by the receiver  late: late",
        "  Quarantine event_rejected: rejected",
        "             now: would be billed",
    ]
    assert shown[11].startswith("  place      unknown: the log has no line of it;")


def test_an_event_that_is_billed_in_part(
    installation: Installation, hyperline: FakeHyperline
) -> None:
    """Hyperline has rejected the second of its elements."""
    rule = 'type = "track"\neach = "properties.items"\nrecord = { n = "item.n" }'
    Path("mapping.toml").write_text(f"[[rules]]\n{rule}")
    event = create(0, properties={"items": [{"n": 1}, {"n": 2}]})
    first, second = apply_rules(read_rules(rule), event)
    installation.quarantine.put(event)

    def run(*arguments: str) -> str:
        return installation.run(*arguments, "--mapping", "mapping.toml").stdout

    hyperline.store[first.key] = first.json
    assert run("trace", "m-0").startswith("m-0: billed in part\n")
    assert "\n1  not known yet" in run("redrive", "--yes", "--timeout", "0")
    hyperline.store[second.key] = second.json
    hyperline.rows.forget()
    installation.quarantine.put(event)
    assert run("trace", "m-0").startswith("m-0: billed\n")
    assert run("redrive", "--yes", "--timeout", "0").endswith("\n1  billed\n")


def test_an_event_that_hyperline_does_not_find_is_not_called_unbilled(
    installation: Installation, hyperline: FakeHyperline
) -> None:
    """In a query, a comma separates ids."""
    event = create(0) | {"messageId": "m,0"}
    bill(hyperline, event)
    arguments = ("trace", "m,0", "--event-type", "Seats Added")

    printed = installation.run(*arguments).stdout
    (row,) = json.loads(installation.run(*arguments, "--json").stdout)

    assert printed.startswith(
        "m,0: not known, because Hyperline finds no such id; `reconcile` compares it\n"
    )
    assert row["billed"] is None


def test_a_trace_for_programs(
    installation: Installation, hyperline: FakeHyperline
) -> None:
    """Without the core API, the event type can be given."""
    bill(hyperline, create(0))

    done = installation.run("trace", "m-0", "--event-type", "Seats Added", "--json")

    (row,) = json.loads(done.stdout)
    assert (row["billed"], row["log"], row["quarantine"]) == (True, [], [])
    assert row["hyperline"][0]["invoice"] == "unknown: HYPERLINE_CORE_URL is not set"


def test_a_key_that_may_not_read_invoices(
    installation: Installation, core: FakeCoreApi, hyperline: FakeHyperline
) -> None:
    """The row is found, and the scope is named."""
    core.forbidden = {"/v2/invoices", "/v1/aggregators"}
    bill(hyperline, create(0))

    done = installation.run("trace", "m-0", "--event-type", "Seats Added")

    assert "m-0: billed" in done.stdout
    assert "invoice: unknown: " in done.stdout
    assert "read invoices" in done.stdout


def test_an_event_that_is_on_no_invoice(
    installation: Installation, core: FakeCoreApi, hyperline: FakeHyperline
) -> None:
    """Its customer has one, but no subscription that bills it."""
    month = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    core.add_invoice("inv_1", find_customer_id("customer-42"), *month)
    bill(hyperline, create(0))

    assert "invoice: on no invoice yet" in installation.run("trace", "m-0").stdout


def test_replay_is_listed_by_numbers_and_reasons(installation: Installation) -> None:
    """Of the log, and not of the messages, which it doesn't receive."""
    installation.replay.put(create(0), reason="down")
    groups = (
        {"outcome": "pending", "code": "late", "reason": "late", "count": 3},
        {"outcome": "delivered", "count": 7},
    )
    write_line(installation, "ReplayerLog", *groups)

    shown = installation.run(command="replay").stdout
    sample = installation.run("--sample", command="replay").stdout
    found = json.loads(installation.run("--json", command="replay").stdout)

    assert shown == (
        "1 message waiting, 0 delayed or being billed\n"
        "age of the oldest message, by CloudWatch: unknown\n"
        "attempts that failed in the last 3 hours, by reason:\n"
        "3  late: late\n"
    )
    assert sample.startswith(shown)
    assert "received 1 times\n    m-0  down\n" in sample
    assert found == {
        "waiting": 1,
        "hidden": 0,
        "oldest_seconds": None,
        "attempts": {"late: late": 3},
    }
    assert installation.replay.ids() == ["m-0"]


def test_the_age_of_replay_is_that_of_cloudwatch(installation: Installation) -> None:
    """It is the latest value of the metric."""
    name = installation.replay.url.rpartition("/")[2]
    client: Any = boto3.client("cloudwatch")
    for minutes, value in ((8, 60), (5, 7200)):
        client.put_metric_data(
            Namespace="AWS/SQS",
            MetricData=[
                {
                    "MetricName": "ApproximateAgeOfOldestMessage",
                    "Dimensions": [{"Name": "QueueName", "Value": name}],
                    "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes),
                    "Value": value,
                }
            ],
        )

    shown = installation.run(command="replay").stdout

    assert "age of the oldest message, by CloudWatch: 2.0 hours\n" in shown
