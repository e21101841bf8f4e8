"""The commands of the documentation work: they are run as a person types them.

A first test runs all of them with a fake `aws`, and checks the arguments against
botocore's model. The others run procedures with the AWS CLI in the local AWS, which has
the stack of template.yaml, with functions that do nothing.
"""

import io
import json
import re
import shlex
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.aws import (
    ROOT,
    Progress,
    client,
    local_environment,
    receive_all,
    start_aws,
)
from local_stack.fake_hyperline import FakeHyperline
from maintenance.alarms import read_alarms, read_repository
from segment_to_hyperline.simulation.template import read_template
from tests import documents
from tests.runbooks import Shell, check, read_blocks
from tests.samples import track

NAME = "segment-to-hyperline"
PAGE = "docs/operations.md"
TEXT = (ROOT / PAGE).read_text("utf-8")
REGION_BLOCK, SETUP, STATUS = read_blocks(PAGE, "Set up the shell")
FUNCTIONS = SETUP.partition("QUARANTINE=")[0]
DOCUMENTS = tuple(name for name in documents.DOCUMENTS if name != "docs/cli.md")
# A block with one of these is run; the others show what a command prints.
WORDS = "aws|output|resource|query|saved_query|search_log|edit_secret"
SOME_ID = "7d9f0c1e-8f0a-4c5b-9d3e-2b1a0f9e8d7c"
CONTENT = {
    "hyperline_api_key": "test_old",
    "segment_shared_secret": "the-old-shared-secret",
    "segment_bearer_token": "the-old-bearer-token",
    "a_field_of_the_owner": ["kept", "as it is"],
}
STORED_AT = {"StoredAt": {"DataType": "String", "StringValue": "2026-01-16T09:31:00Z"}}
ATTRIBUTES = STORED_AT | {
    "Environment": {"DataType": "String", "StringValue": "production"},
    "IsolatedAt": {"DataType": "String", "StringValue": "2026-01-18T09:31:00Z"},
}


def test_every_documented_command_is_one_that_aws_has(tmp_path: Path) -> None:
    """Its service, operation and options exist, and the values have the right type."""
    shell = Shell(tmp_path, {})
    shell.add_aws(f"echo {SOME_ID}")
    for name in ("sam", "segment-to-hyperline", "curl", "python3", "openssl", "make"):
        shell.add(name, "#!/bin/bash\necho x\n")
    blocks = [block for name in DOCUMENTS for block in read_blocks(name)]
    commands = [block for block in blocks if re.search(rf"\b({WORDS})\b", block)]

    output = shell.run("NEW=x NUMBER=0", *commands)

    calls = shell.calls()
    wrong = {" ".join(call): check(call) for call in [*calls, *read_inline_calls()]}
    assert {call: report for call, report in wrong.items() if report} == {}
    assert "syntax error" not in output
    assert "command not found" not in output
    written = re.findall(r"\baws ([a-z0-9-]+ [a-z-]+)", "\n".join(commands))
    assert {" ".join(call[:2]) for call in calls} == set(written)


def read_inline_calls() -> list[tuple[str, ...]]:
    """Return the calls of `aws` that are not in a block, but in a sentence."""
    text = "".join((ROOT / name).read_text("utf-8") for name in DOCUMENTS)
    # Without an option, it is only mentioned.
    lines = [line for line in re.findall(r"`aws ([^`]+)`", text) if " --" in line]
    return [tuple(shlex.split(line)) for line in lines]


@dataclass(frozen=True)
class Stack:
    """The stack in the local AWS, and the physical ids of its resources."""

    endpoint: str
    resources: dict[str, str]

    def client(self, service: str) -> Any:
        """Return a boto3 client of the local AWS."""
        return client(service, self.endpoint)

    def put(self, queue: str, *bodies: str, attributes: Any = None) -> None:
        """Send messages to *queue*, a URL."""
        for body in bodies:
            self.client("sqs").send_message(
                QueueUrl=queue, MessageBody=body, MessageAttributes=attributes or {}
            )

    def secret(self) -> Any:
        """Return the fields of the secret."""
        current = self.client("secretsmanager").get_secret_value(SecretId=NAME)
        return json.loads(current["SecretString"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The stack of template.yaml, with functions that do nothing."""
    with start_aws("127.0.0.1", Progress(quiet=True)) as aws:
        endpoint = aws.endpoint
        _upload(endpoint)
        cloudformation = client("cloudformation", endpoint)
        cloudformation.create_stack(
            StackName=NAME,
            TemplateURL=f"{endpoint}/code/template.yaml",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=NAME, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )
        found = cloudformation.describe_stack_resources(StackName=NAME)
        yield Stack(
            endpoint,
            {
                resource["LogicalResourceId"]: resource["PhysicalResourceId"]
                for resource in found["StackResources"]
            },
        )


def _upload(endpoint: str) -> None:
    """Upload what `sam package` does, with other functions."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        for name in ("receiver.py", "replayer.py"):
            archive.writestr(name, "def lambda_handler(event, context): return {}\n")
    template = (ROOT / "template.yaml").read_text("utf-8")
    for local, uploaded in {
        "CodeUri: function/": "CodeUri: s3://code/code.zip",
        "TemplateURL: monitoring.yaml": f"TemplateURL: {endpoint}/code/monitoring.yaml",
        # It isn't deployed, because it needs an archive.
        "TemplateURL: daily_check.yaml": f"TemplateURL: {endpoint}/code/none.yaml",
    }.items():
        assert local in template
        template = template.replace(local, uploaded)
    s3 = client("s3", endpoint)
    s3.create_bucket(Bucket="code")
    for key, content in {
        "code.zip": code.getvalue(),
        "template.yaml": template.encode(),
        "monitoring.yaml": (ROOT / "monitoring.yaml").read_bytes(),
    }.items():
        s3.put_object(Bucket="code", Key=key, Body=content)


@pytest.fixture(scope="module")
def aws_cli(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of the AWS CLI's server."""
    path = tmp_path_factory.mktemp("aws_cli") / "socket"
    python = ROOT / ".venv/stack/bin/python"
    process = subprocess.Popen(
        [python, "-P", ROOT / "tests/aws_cli/server.py", path],
        env=local_environment(stack.endpoint),
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, "the server of the AWS CLI has failed"
        assert time.monotonic() < deadline, "the server of the AWS CLI did not start"
        time.sleep(0.1)
    yield path
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture
def shell(
    stack: Stack, aws_cli: Path, tmp_path: Path, hyperline: FakeHyperline
) -> Shell:
    """A bash with the AWS CLI, in which Hyperline is a fake one."""
    assert hyperline
    shell = Shell(tmp_path, local_environment(stack.endpoint))
    client = [sys.executable, "-I", "-S", ROOT / "tests/aws_cli/client.py", aws_cli]
    shell.add_aws(f'exec {shlex.join(map(str, client))} "$@"')
    return shell


@pytest.fixture
def secret(stack: Stack) -> Iterator[None]:
    """The secret, with all of its fields."""
    secrets = stack.client("secretsmanager")
    secrets.create_secret(Name=NAME, SecretString=json.dumps(CONTENT))
    yield
    secrets.delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def setup(stack: Stack) -> str:
    """The commands that set up the shell, with the results of the slow ones."""
    quarantine, replay = stack.resources["Quarantine"], stack.resources["Replay"]
    variables = f"STACK={NAME} QUARANTINE={quarantine} REPLAY={replay} SECRET={NAME}"
    return f"{variables}\n{FUNCTIONS}"


def test_the_shell_is_set_up(stack: Stack, shell: Shell) -> None:
    """The queues, the secret and the outputs are those of the stack."""
    ask = 'echo "$QUARANTINE $REPLAY $SECRET"; output WebhookUrl'

    printed = shell.run(f"STACK={NAME}", SETUP, ask).splitlines()

    queues = [stack.resources[name] for name in ("Quarantine", "Replay")]
    assert printed[0].split(" ") == [*queues, NAME]
    assert printed[1].endswith("/segment")
    assert f"STACK={NAME}" in REGION_BLOCK


def test_the_status_shows_alarms_and_queues(
    stack: Stack, shell: Shell, setup: str
) -> None:
    """It has the alarms that are raised, and the numbers of messages."""
    cloudwatch = stack.client("cloudwatch")
    (name,) = [
        alarm["AlarmName"]
        for alarm in cloudwatch.describe_alarms(MaxRecords=100)["MetricAlarms"]
        if "-KeyRejectedAlarm" in alarm["AlarmName"]
    ]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    stack.put(stack.resources["Quarantine"], "1", "2")

    printed = shell.run(setup, STATUS)

    assert name in printed
    assert printed.count("Alarm") == 1
    assert re.findall(r'OfMessages": "(\d)', printed) == ["2", "0"]
    receive_all(stack.client("sqs"), stack.resources["Quarantine"])


def quarantined(message_id: str) -> str:
    """Return the body of a message of Quarantine."""
    event = track(messageId=message_id)
    return json.dumps({"reason": f"a reason for {message_id}", "events": [event]})


def test_messages_are_read_and_one_is_removed(
    stack: Stack, shell: Shell, setup: str
) -> None:
    """Reading deletes nothing; what is removed is kept in a private folder."""
    queue = stack.resources["Quarantine"]
    stack.put(queue, quarantined("m-1"), quarantined("m-2"), attributes=STORED_AT)
    (read,) = read_blocks(PAGE, "Read the messages")
    (remove,) = read_blocks(PAGE, "Remove a message")

    printed = shell.run(setup, read, remove)

    assert "a reason for m-1" in printed
    assert "a reason for m-2" in printed
    assert printed.count("2026-01-16T09:31:00Z") == 2
    assert printed.count("now: would be billed") == 3
    (removed,) = (shell.folder / "purged").iterdir()
    (event,) = json.loads(removed.read_text("utf-8"))["events"]
    assert event["event"]["messageId"] == "m-1"
    assert stat.S_IMODE(removed.stat().st_mode) == 0o600
    assert count(stack, queue) == {"visible": "1", "hidden": "0"}
    (left,) = receive_all(stack.client("sqs"), queue)
    assert json.loads(left) == json.loads(quarantined("m-2"))


def count(stack: Stack, queue: str) -> dict[str, str]:
    """Return the numbers of messages in *queue*."""
    described = stack.client("sqs").get_queue_attributes(
        QueueUrl=queue, AttributeNames=["All"]
    )
    return {
        "visible": described["Attributes"]["ApproximateNumberOfMessages"],
        "hidden": described["Attributes"]["ApproximateNumberOfMessagesNotVisible"],
    }


def disable(stack: Stack) -> str:
    """Disable the event source mapping; return its id."""
    mapping = stack.resources["ReplayerMessages"]
    stack.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=False)
    return mapping


def test_messages_of_a_replaced_queue_are_moved(
    stack: Stack, shell: Shell, setup: str
) -> None:
    """All arrive in the new queue, with their attributes, and none is left behind."""
    disable(stack)
    sqs = stack.client("sqs")
    old = sqs.create_queue(QueueName=f"{NAME}-Replay-OLD")["QueueUrl"]
    bodies = [quarantined(f"m-{number}") for number in range(12)]
    stack.put(old, *bodies[:11], attributes=ATTRIBUTES)
    stack.put(old, bodies[11])
    find, move, look = read_blocks(PAGE, "Move messages out of a replaced queue")

    printed = shell.run(setup, find, move, look)

    assert "12 messages moved\n" in printed
    assert re.findall(r'OfMessages\w*": "(\d+)"', printed) == ["0", "0"]
    moved = receive_with_attributes(stack, stack.resources["Replay"])
    assert moved == dict.fromkeys(bodies[:11], ATTRIBUTES) | {bodies[11]: {}}
    assert receive_all(sqs, old) == []


def receive_with_attributes(stack: Stack, queue: str) -> dict[str, Any]:
    """Receive and delete all messages; return their attributes by their bodies."""
    sqs = stack.client("sqs")
    found = {}
    while messages := sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    ).get("Messages"):
        for message in messages:
            found[message["Body"]] = message.get("MessageAttributes", {})
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_a_message_that_cannot_be_moved_is_not_deleted(
    stack: Stack, shell: Shell, setup: str
) -> None:
    """If the new queue doesn't accept it, it stays in the old one."""
    sqs = stack.client("sqs")
    old = sqs.create_queue(QueueName="replaced")["QueueUrl"]
    stack.put(old, "kept")
    _, move, _ = read_blocks(PAGE, "Move messages out of a replaced queue")

    shell.run(setup, f"OLD_QUEUE={old} NEW_QUEUE={old}-missing", move)

    assert count(stack, old) == {"visible": "0", "hidden": "1"}


def test_the_event_source_mapping_is_enabled(
    stack: Stack, shell: Shell, setup: str
) -> None:
    """The runbook shows the state, and enables it."""
    mapping = disable(stack)
    look, enable = read_blocks(PAGE, "ReplayAgeAlarm")

    printed = shell.run(setup, look, enable)

    assert mapping in printed
    described = stack.client("lambda").get_event_source_mapping(UUID=mapping)
    assert described["State"] == "Enabled"
    assert "Disabled" in printed


def test_the_secret_is_created_without_the_command(stack: Stack, shell: Shell) -> None:
    """The key is the one that was pasted, and no other process sees a value."""
    ask, create = read_blocks(PAGE, "Create the secret without the command")[:2]

    shell.run(ask, create, typed="test_key\n")

    content = stack.secret()
    assert content.pop("hyperline_api_key") == "test_key"
    assert content.keys() == {"segment_shared_secret", "segment_bearer_token"}
    assert {len(value) for value in content.values()} == {64}
    (call,) = shell.calls()
    assert not {"test_key", *content.values()} & set(re.findall(r"\w+", " ".join(call)))
    stack.client("secretsmanager").delete_secret(
        SecretId=NAME, ForceDeleteWithoutRecovery=True
    )


@pytest.mark.usefixtures("secret")
def test_the_api_key_is_changed(
    stack: Stack, shell: Shell, setup: str, hyperline: FakeHyperline
) -> None:
    """Every other field is as before."""
    hyperline.key = "test_new"
    change = read_blocks(PAGE, "Change the secret")[0]

    printed = shell.run(setup, change, typed="test_new\n")

    assert stack.secret() == CONTENT | {"hyperline_api_key": "test_new"}
    assert "test_new" not in printed


@pytest.mark.usefixtures("secret")
def test_one_field_of_the_secret_is_changed(
    stack: Stack, shell: Shell, setup: str
) -> None:
    """Every other field is as before, and no other process sees the value."""
    _, define, ask, change, names = read_blocks(PAGE, "Change the secret")

    printed = shell.run(setup, define, ask, change, names, typed="prod_new\n")

    assert stack.secret() == CONTENT | {"hyperline_api_key": "prod_new"}
    assert printed.splitlines()[-1].split(" ") == list(CONTENT)
    assert "prod_new" not in printed
    assert not [call for call in shell.calls() if "prod_new" in " ".join(call)]
    assert not [path for path in shell.folder.iterdir() if path.name == "secret"]


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize(
    "broken", ["unset NEW", "SECRET=missing", "NEW=x python3() { false; }"]
)
def test_a_failure_leaves_the_secret_as_it_is(
    stack: Stack, shell: Shell, setup: str, broken: str
) -> None:
    """Without a new value, or without the old ones, nothing is stored."""
    _, define, _, change, _ = read_blocks(PAGE, "Change the secret")

    shell.run(setup, "NEW=x", broken, define, change)

    versions = stack.client("secretsmanager").list_secret_version_ids(SecretId=NAME)
    assert stack.secret() == CONTENT
    assert len(versions["Versions"]) == 1


@pytest.mark.usefixtures("secret")
def test_the_shared_secret_is_rotated_and_rolled_back(
    stack: Stack, shell: Shell, setup: str
) -> None:
    """The secret has both values until the last step, and the roll-back undoes it."""
    define = read_blocks(PAGE, "Change the secret")[1]
    add, show, used, remove, _ = read_blocks(PAGE, "Rotate secrets")
    (roll_back,) = read_blocks(PAGE, "Roll back the secret")

    (new,) = shell.run(setup, define, add, show).splitlines()[-1:]
    both = stack.secret()
    shell.run(setup, define, f"NEW={new}", used, remove)
    after = stack.secret()
    shell.run(setup, roll_back)

    old = CONTENT["segment_shared_secret"]
    assert len(new) == 64
    assert both == CONTENT | {"segment_shared_secret": [new, old]}
    assert after == CONTENT | {"segment_shared_secret": new}
    assert stack.secret() == both


@pytest.mark.usefixtures("secret")
def test_going_live_replaces_all_credentials_at_once(
    stack: Stack, shell: Shell, setup: str, hyperline: FakeHyperline
) -> None:
    """One version of the secret has the production key and new random values."""
    hyperline.key = "prod_new"
    change, show, _ = read_blocks(PAGE, "Go live")

    printed = shell.run(setup, change, show, typed="prod_new\n")

    changed = stack.secret()
    assert changed["hyperline_api_key"] == "prod_new"
    random = [changed["segment_shared_secret"], changed["segment_bearer_token"]]
    assert [len(value) for value in random] == [64, 64]
    assert [value for value in random if value in printed] == random
    assert "prod_new" not in printed
    assert changed["a_field_of_the_owner"] == CONTENT["a_field_of_the_owner"]


def test_the_outputs_are_printed(shell: Shell, setup: str) -> None:
    """Each is in one line, however long it is; the page describes all of them."""
    (block,) = read_blocks(PAGE, "Print the outputs")
    section = TEXT.partition("## Print the outputs\n")[2].partition("\n## ")[0]

    lines = shell.run(setup, block).splitlines()

    printed = dict(line.split("\t") for line in lines)
    assert printed.keys() == read_template()["Outputs"].keys()
    assert set(re.findall(r"^\| `(\w+)`(?:, `(\w+)`)?", section, re.MULTILINE)) == {
        ("WebhookUrl", ""),
        ("QuarantineArn", "ReplayArn"),
        ("Version", ""),
    }
    assert printed["WebhookUrl"].endswith("/segment")


def test_everything_is_deleted(stack: Stack, shell: Shell, setup: str) -> None:
    """Also what `sam delete`, which tests/upgrade.py runs, keeps, and SAM's bucket."""
    shell.add("sam", "#!/bin/bash\n")
    look, delete, *rest = read_blocks(PAGE, "Delete everything")
    sqs, logs, s3 = (stack.client(name) for name in ("sqs", "logs", "s3"))
    cloudformation, sns = stack.client("cloudformation"), stack.client("sns")
    queues = [
        sqs.create_queue(QueueName=f"deleted-{name}")["QueueUrl"] for name in "qr"
    ]
    logs.create_log_group(logGroupName="deleted")
    secrets = stack.client("secretsmanager")
    secrets.create_secret(Name="deleted", SecretString="{}")
    s3.create_bucket(Bucket="reports")
    s3.put_object(Bucket="reports", Key="a")
    sns.create_topic(Name=NAME)
    cloudformation.create_stack(
        StackName="aws-sam-cli-managed-default", TemplateBody=json.dumps(SAM_STACK)
    )
    for body in (b"1", b"2"):
        s3.put_object(Bucket="of-sam", Key="code", Body=body)
    ids = f"QUARANTINE={queues[0]} REPLAY={queues[1]} SECRET=deleted REPORTS=reports"

    printed = shell.run(setup, look, "echo $AUDIT", f"{ids} AUDIT=deleted", delete)
    more = shell.run(setup, ids, *rest)

    assert stack.resources["AuditLog"] in printed
    assert "rror" not in more, more
    assert not sqs.list_queues(QueueNamePrefix="deleted-").get("QueueUrls")
    assert not logs.describe_log_groups(logGroupNamePrefix="deleted")["logGroups"]
    assert secrets.describe_secret(SecretId="deleted")["DeletedDate"]
    assert not {"reports", "of-sam"} & {b["Name"] for b in s3.list_buckets()["Buckets"]}
    assert not sns.list_topics()["Topics"]


# The part of SAM's own stack that is used.
SAM_STACK = {
    "Resources": {
        "SamCliSourceBucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {
                "BucketName": "of-sam",
                "VersioningConfiguration": {"Status": "Enabled"},
            },
        }
    },
    "Outputs": {"SourceBucket": {"Value": {"Ref": "SamCliSourceBucket"}}},
}


def test_the_receiver_is_rolled_back(stack: Stack, shell: Shell, setup: str) -> None:
    """Requests go to the alias, and the alias to the older version."""
    functions, receiver = stack.client("lambda"), stack.resources["Receiver"]
    functions.update_function_configuration(FunctionName=receiver, MemorySize=512)
    newer = functions.publish_version(FunctionName=receiver)["Version"]
    functions.update_alias(FunctionName=receiver, Name="live", FunctionVersion=newer)
    look, roll_back, *_ = read_blocks(PAGE, "Roll back the code")

    printed = shell.run(setup, look, roll_back)

    assert f'"{newer}"' in printed
    alias = functions.get_alias(FunctionName=receiver, Name="live")
    assert alias["FunctionVersion"] == "1" != newer


def test_the_code_is_rolled_back_without_the_mapping(
    shell: Shell, tmp_path: Path
) -> None:
    """The previous version is deployed with the present mapping and its tests."""
    shell.add("sam", "#!/bin/bash\ncat function/* template.yaml\n")
    clone, names = tmp_path / "clone", ("function/mapping.toml", "template.yaml")
    tests = "function/mapping_tests.toml"
    (clone / "function").mkdir(parents=True)
    git = "git -c user.name=A -c user.email=a@example.com"
    for version in ("old", "new"):
        for name in (*names, tests):
            (clone / name).write_text(f"{version} {name}\n")
        commands = f"{git} init -q; git add .; {git} commit -qm {version}"
        subprocess.run(commands, cwd=clone, shell=True, check=True)
    *_, previous, keep, deploy = read_blocks(PAGE, "Roll back the code")

    printed = shell.run("cd clone", previous, keep, deploy)

    assert f"new {names[0]}\nnew {tests}\nold {names[1]}\n" in printed


def test_the_logs_are_searched(stack: Stack, shell: Shell, setup: str) -> None:
    """Both functions find what was logged within the hours.

    The local AWS has no patterns with alternatives, so this one is simpler than those
    of the runbooks.
    """
    logs = stack.client("logs")
    now = int(time.time() * 1000)
    for age, text in ((60, "ERROR recent"), (7200, "ERROR old"), (60, "fine")):
        logs.create_log_stream(
            logGroupName=stack.resources["ReceiverLog"], logStreamName=text
        )
        logs.put_log_events(
            logGroupName=stack.resources["ReceiverLog"],
            logStreamName=text,
            logEvents=[{"timestamp": now - age * 1000, "message": text}],
        )

    found = shell.run(setup, "search_log 1 ReceiverLog ERROR")
    queried = shell.run(setup, "query 1 'fields @message | filter @message like /E/'")

    assert found == "ERROR recent\n"
    assert queried == "@message=ERROR recent\n"


def test_saved_queries_exist() -> None:
    """Their names on the page are those in monitoring.yaml."""
    resources = read_template("monitoring.yaml")["Resources"].values()
    names = {
        resource["Properties"]["Name"].partition("/")[2]
        for resource in resources
        if resource["Type"] == "AWS::Logs::QueryDefinition"
    }
    used = set(re.findall(r'saved_query \d+ "([^"]+)"', TEXT)) - {"NAME"}

    assert used
    assert used <= names


def test_the_access_log_is_searched_as_it_is_counted() -> None:
    """A runbook finds the requests that have raised its alarm."""
    resources = read_template("monitoring.yaml")["Resources"].values()
    patterns = {
        " ".join(resource["Properties"]["FilterPattern"].split())
        for resource in resources
        if resource["Type"] == "AWS::Logs::MetricFilter"
    }
    (block,) = read_blocks(PAGE, "UnreachedAlarm")
    (pattern,) = re.findall(r"WebhookApiLog '([^']+)'", block)

    assert " ".join(pattern.split()) in patterns


def test_logical_names_are_those_of_the_template() -> None:
    """`resource NAME`, `output NAME` and `search_log HOURS NAME` find something."""
    template = read_template()
    resources = set(re.findall(r"(?:resource|search_log \d+) ([A-Z]\w+)", TEXT))
    outputs = set(re.findall(r"\(output (\w+)\)", TEXT))

    nested = read_template("daily_check.yaml")["Resources"].keys()
    assert resources - {"LOG"} <= template["Resources"].keys() | nested
    assert outputs <= template["Outputs"].keys()
    assert {"WebhookUrl"} <= outputs
    changed = set(re.findall(r"--parameter-overrides (\w+)=", TEXT))
    assert changed <= template["Parameters"].keys()


def test_a_runbook_with_commands_says_how_to_set_up_the_shell() -> None:
    """A notification links to the runbook; its commands are part of a list item."""
    for alarm in read_alarms():
        blocks = read_blocks(PAGE, alarm.name)
        section = TEXT.partition(f"### {alarm.name}\n")[2].partition("\n##")[0]
        section = section.partition("\n<!--")[0]
        assert len(blocks) == alarm.action.count("```") / 2
        assert "(#set-up-the-shell)" in section or not blocks
        assert section.count("\n  ```") == section.count("```")


def test_notifications_link_to_this_repository() -> None:
    """The address is a complete one, so that a mail program shows it as a link."""
    assert re.fullmatch(r"https://[\w.-]+/[\w.-]+/[\w.-]+", read_repository())


def test_a_customer_managed_key_is_allowed_for_each_function_with_the_secret() -> None:
    """The statement is valid, and belongs to every role that reads the secret."""
    section = TEXT.partition("### Use a customer managed key\n")[2].partition("\n## ")[
        0
    ]
    (block,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (statement,) = yaml.safe_load(block.replace("!Sub ", ""))
    readers = {
        name
        for name, resource in read_template()["Resources"].items()
        if "secretsmanager:GetSecretValue" in json.dumps(resource)
    }

    assert set(re.findall(r"`(\w+)`", section)) >= readers
    assert statement["Effect"] == "Allow"
    assert statement["Action"] == "kms:Decrypt"
    assert statement["Resource"].startswith("arn:aws:kms:")
    assert statement["Condition"] == {
        "StringEquals": {
            "kms:ViaService": "secretsmanager.${AWS::Region}.amazonaws.com"
        }
    }
