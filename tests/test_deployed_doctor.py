"""The command `doctor`, about a stack that `sam` has deployed into a local AWS."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from local_stack.aws import ROOT, local_environment, receive_all
from local_stack.fake_api import KEY
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import find_customer_id
from local_stack.segment_requests import write
from local_stack.stack import ALARM_TOPIC, SECRET, STACK_NAME, LocalStack, deploy
from segment_to_hyperline.cli.main import cli
from tests.aws_proxy import DENIED, EXPIRED, PAGE, AwsProxy
from tests.aws_requests import FREE
from tests.policies import DOCTOR, read_policy
from tests.samples import track

type Lines = list[dict[str, str]]
MAPPING = ROOT / "function/mapping.toml"
# With which credentials doctor can be run. docs/doctor.md has the same table.
PERMISSIONS = {
    "DescribeStacks": "cloudformation",
    "ListStackResources": "cloudformation",
    "DescribeStackEvents": "cloudformation",
    "GetFunction": "lambda",
    "GetFunctionConcurrency": "lambda",
    "GetEventSourceMapping": "lambda",
    "GetAccountSettings": "lambda",
    "GetQueueAttributes": "sqs",
    "GetMetricStatistics": "cloudwatch",
    "DescribeAlarms": "cloudwatch",
    "GetTopicAttributes": "sns",
    "DescribeLogGroups": "logs",
    "GetSecretValue": "secretsmanager",
    "DescribeSecret": "secretsmanager",
}
# Without these, nothing is left out that another line doesn't say.
OPTIONAL = {"DescribeStackEvents", "GetMetricStatistics", "DescribeSecret"}


@dataclass
class Doctor:
    """A deployed stack, a proxy in front of its AWS, and the command."""

    stack: LocalStack
    core: FakeCoreApi
    proxy: AwsProxy
    events: Path
    """A file with examples."""

    def invoke(
        self, *options: str, answers: str = "", **environment: str | None
    ) -> Result:
        """Run the command about the stack, with *answers* to what it asks."""
        known = {
            **local_environment(self.proxy.url),
            "HYPERLINE_CORE_URL": self.core.url,
            "HYPERLINE_API_KEY": None,
            "AWS_ENDPOINT_URL_S3": self.stack.endpoint,
        }
        arguments = ("doctor", "--stack", STACK_NAME, *options)
        environment = {**known, **environment}
        done = CliRunner().invoke(cli, arguments, input=answers, env=environment)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def check(self, *options: str, **environment: str | None) -> Lines:
        """Return the lines that aren't "ok"."""
        done = self.invoke("--json", *options, answers="", **environment)
        lines: Lines = json.loads(done.stdout)["lines"]
        assert ("wrong" in {line["result"] for line in lines}) == done.exit_code
        return [line for line in lines if line["result"] != "ok"]

    def check_events(self) -> Lines:
        """Return the same with examples."""
        return self.check(str(self.events))


@pytest.fixture(scope="module")
def doctor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doctor]:
    """A new installation, in which all is well."""
    events = tmp_path_factory.mktemp("events") / "events.ndjson"
    events.write_text(f"{write(track())}\n")
    with FakeCoreApi(rate_limit=1_000_000) as core, deploy(quiet=True) as stack:
        topic = ALARM_TOPIC.rpartition(":")[2]
        sns = stack.client("sns")
        sns.create_topic(Name=topic)
        sns.subscribe(
            TopicArn=ALARM_TOPIC,
            Protocol="sqs",
            Endpoint="arn:aws:sqs:us-east-1:000000000000:alarms",
        )
        core.shows_links = True
        core.add_entity("ent_1")
        core.add_aggregator("agg_1", "Seats Added", "sum", property="seats")
        core.add_product("prd_1", "Seats", "agg_1")
        customer = find_customer_id("customer-42")
        core.add_customer(customer, "customer-42")
        core.add_subscription("sub_1", customer, "prd_1")
        with AwsProxy(stack.endpoint) as proxy:
            # The address of the API that the local AWS listens on.
            found = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)
            outputs = found["Stacks"][0]["Outputs"]
            urls = {each["OutputKey"]: each["OutputValue"] for each in outputs}
            proxy.replaced[urls["WebhookUrl"]] = f"{stack.api_url}/segment"
            yield Doctor(stack, core, proxy, events)


@pytest.fixture(autouse=True)
def _without_faults(doctor: Doctor) -> Iterator[None]:
    """Let AWS recover after each test."""
    yield
    doctor.proxy.faults.clear()


def test_a_new_installation_is_right(doctor: Doctor) -> None:
    """Only what needs a post isn't known."""
    assert [line["check"] for line in doctor.check_events()] == ["ingestion API"]


def test_following_the_lines_puts_an_installation_right(doctor: Doctor) -> None:
    """Five mistakes of a new installation; what each line says removes it."""
    stack, core = doctor.stack, doctor.core
    secrets, sns = stack.client("secretsmanager"), stack.client("sns")
    wrong = {**SECRET, "segment_shared_secret": f"{SECRET['segment_shared_secret']} "}
    secrets.put_secret_value(SecretId=STACK_NAME, SecretString=json.dumps(wrong))
    (subscription,) = sns.list_subscriptions()["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    source = stack.resources["ReplayerMessages"]
    stack.client("lambda").update_event_source_mapping(UUID=source, Enabled=False)
    core.aggregators[0]["entity"] = "Seats added"
    core.customers[0]["external_id"] = "customer-24"

    found = {line["check"]: line for line in doctor.check_events()}

    assert found["shared secret"]["remedy"] == "remove it"
    secrets.put_secret_value(SecretId=STACK_NAME, SecretString=json.dumps(SECRET))
    assert found["alarm topic"]["remedy"].startswith("subscribe to it")
    sns.subscribe(
        TopicArn=ALARM_TOPIC,
        Protocol="sqs",
        Endpoint="arn:aws:sqs:us-east-1:000000000000:alarms",
    )
    assert found["event source"]["remedy"].startswith("enable the trigger")
    stack.client("lambda").update_event_source_mapping(UUID=source, Enabled=True)
    assert found["event types"]["remedy"].startswith("write the same name")
    core.aggregators[0]["entity"] = "Seats Added"
    assert "with this external id" in found["existence"]["remedy"]
    core.customers[0]["external_id"] = "customer-42"
    assert [line["check"] for line in doctor.check_events()] == ["ingestion API"]


@pytest.mark.parametrize("operation", sorted(PERMISSIONS))
def test_a_missing_permission_is_named(doctor: Doctor, operation: str) -> None:
    """What needs it is unknown; nothing else is wrong because of it."""
    doctor.proxy.faults[operation] = DENIED
    name = f"{PERMISSIONS[operation]}:{operation}"

    lines = doctor.check_events()

    named = [line for line in lines if name in line["evidence"]]
    assert {line["result"] for line in lines} == {"unknown"}
    assert len(named) == (operation not in OPTIONAL)


def test_all_permissions_are_known(doctor: Doctor) -> None:
    """Nothing else is asked of AWS, also if an event waits in Quarantine."""
    doctor.proxy.operations.clear()
    doctor.proxy.arrived.clear()
    sqs, url = doctor.stack.client("sqs"), doctor.stack.resources["Quarantine"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")

    lines = doctor.check_events()

    assert [line["check"] for line in lines] == ["queues", "ingestion API"]
    assert receive_all(sqs, url) == ["{}"]
    assert doctor.proxy.operations - {"GetCallerIdentity"} == PERMISSIONS.keys()
    policy = read_policy("on-call")
    assert [each for each in doctor.proxy.arrived if not policy.permits(each)] == []
    names = {each.permission for each in doctor.proxy.arrived} - FREE
    assert names | {"logs:FilterLogEvents"} == DOCTOR


def test_the_permissions_are_documented() -> None:
    """The page has each of them."""
    page = (ROOT / "docs/doctor.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z]+:[A-Z][A-Za-z]+)`", page))

    named -= {"logs:FilterLogEvents"}  # for --send
    assert named == {f"{service}:{name}" for name, service in PERMISSIONS.items()}


def test_expired_credentials(doctor: Doctor) -> None:
    """The first line says so, and the others aren't wrong too."""
    doctor.proxy.faults["*"] = EXPIRED

    lines = doctor.check()

    assert [line["check"] for line in lines if line["result"] == "wrong"] == [
        *("credentials", "stack")
    ]
    assert lines[0]["evidence"] == "the AWS credentials have expired"
    assert lines[0]["remedy"].startswith("sign in")


def test_a_proxy_that_asks_to_sign_in(doctor: Doctor) -> None:
    """A web page instead of AWS's response is no traceback."""
    doctor.proxy.faults["*"] = PAGE

    lines = doctor.check()

    assert lines[0]["result"] == "wrong"
    assert "AWS" in lines[0]["evidence"]


@pytest.mark.parametrize("operation", sorted(PERMISSIONS))
def test_a_web_page_instead_of_a_response(doctor: Doctor, operation: str) -> None:
    """A proxy can allow some of AWS's hosts: the rest is unknown, and never wrong."""
    doctor.proxy.faults[operation] = PAGE

    lines = doctor.check_events()

    wrong = [line["evidence"] for line in lines if line["result"] == "wrong"]
    assert all("the response isn't AWS's" in evidence for evidence in wrong)
    assert len(wrong) <= 1


def test_no_such_stack(doctor: Doctor) -> None:
    """The line says what to do, and the key in the environment is used."""
    lines = doctor.check("--stack", "other", HYPERLINE_API_KEY=KEY)

    found = {line["check"]: line for line in lines}
    assert found["stack"]["evidence"] == (
        "there is no stack 'other' in the region us-east-1"
    )
    assert found["stack"]["remedy"].startswith("run `sam build` and `sam deploy`")


def test_another_mapping_is_deployed(doctor: Doctor, tmp_path: Path) -> None:
    """As downloaded from Lambda."""
    path = tmp_path / "mapping.toml"
    path.write_bytes(MAPPING.read_bytes() + b"# changed\n")

    lines = doctor.check("--mapping", str(path), str(doctor.events))

    assert [line["check"] for line in lines] == ["deployed mapping", "ingestion API"]


def test_settings_for_segment(doctor: Doctor) -> None:
    """They are what the Receiver accepts, and only printed if they are asked for."""
    shown = doctor.invoke("--show-segment-settings").stdout

    assert shown.splitlines()[1:] == [
        "Method:         POST",
        f"Header:         Authorization: Bearer {SECRET['segment_bearer_token']}",
        f"Shared secret:  {SECRET['segment_shared_secret']}",
    ]
    usual = doctor.invoke().stdout
    assert not [value for value in SECRET.values() if value in usual]


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ({"segment_shared_secret": "short"}, "shorter than 16 characters: create one"),
        (None, "there is no stack 'other'"),
    ],
)
def test_settings_that_can_not_be_shown(
    doctor: Doctor, secret: dict[str, str] | None, problem: str
) -> None:
    """What is wrong is said, and nothing else."""
    client = doctor.stack.client("secretsmanager")
    text = json.dumps(SECRET | (secret or {}))
    client.put_secret_value(SecretId=STACK_NAME, SecretString=text)
    stack = () if secret else ("--stack", "other")

    done = doctor.invoke("--show-segment-settings", *stack)

    client.put_secret_value(SecretId=STACK_NAME, SecretString=json.dumps(SECRET))
    assert done.exit_code == 2
    assert problem in done.stderr
    assert not done.stdout


def test_settings_without_a_token(doctor: Doctor) -> None:
    """No header is needed."""
    client = doctor.stack.client("secretsmanager")
    text = json.dumps({"segment_shared_secret": SECRET["segment_shared_secret"]})
    client.put_secret_value(SecretId=STACK_NAME, SecretString=text)

    shown = doctor.invoke("--show-segment-settings").stdout

    client.put_secret_value(SecretId=STACK_NAME, SecretString=json.dumps(SECRET))
    assert "Header" not in shown


@pytest.mark.parametrize(
    ("options", "environment", "check", "evidence"),
    [
        (("missing.ndjson",), {}, "examples", "'missing.ndjson'"),
        (("--mapping", "{invalid}"), {}, "event types", "invalid.toml: no rules"),
        (("--mapping", "/proc/self/mem"), {}, "deployed mapping", "/proc/self/mem: "),
        ((), {"HYPERLINE_CORE_URL": "http://x"}, "core API", "HYPERLINE_CORE_URL"),
        ((), {"HYPERLINE_URL": "ftp://x"}, "API key", "HYPERLINE_URL must be https"),
    ],
)
def test_bad_input_has_a_line(
    doctor: Doctor,
    options: tuple[str, ...],
    environment: dict[str, str],
    check: str,
    evidence: str,
) -> None:
    """The other checks don't suffer from it."""
    invalid = doctor.events.with_name("invalid.toml")
    invalid.write_text("")
    given = [option.format(invalid=invalid) for option in options]

    lines = doctor.check(*given, **environment)

    found = [line for line in lines if line["check"] == check]
    assert evidence in found[0]["evidence"]
    assert found[0]["result"] == "wrong"
    assert not [line for line in lines if line["group"] == "AWS"][1:]


def test_lines_for_people(doctor: Doctor) -> None:
    """Each has a result, what was found, and what to do."""
    doctor.core.customers[0]["status"] = "automatically_created"

    done = doctor.invoke(str(doctor.events))

    doctor.core.customers[0]["status"] = "active"
    assert done.exit_code == 1
    assert "\nCustomers\n  wrong     existence           customer-42: created by" in (
        done.stdout
    )
    assert "\n                                → correct customer_id" in done.stdout
    assert done.stderr == "Failed: 1 line of the checklist is wrong.\n"


def test_an_event_is_sent_followed_and_deleted(doctor: Doctor) -> None:
    """It is created for the first rule, and billed for the customer."""
    hyperline = doctor.stack.hyperline

    done = doctor.invoke("--send", "--customer", "customer-42", answers="y\ny\n")

    assert done.exit_code == 0, done.output
    ((key, (body,)),) = hyperline.writes.items()
    assert json.loads(body)["customer_id"] == "customer-42"
    assert key[1].startswith("segment-test-message-doctor-")
    assert "log: the line of the event: status 200 delivered" in done.stdout
    assert hyperline.store == {}


def test_one_of_the_examples_is_sent(doctor: Doctor, tmp_path: Path) -> None:
    """The first one that is billed, and nothing if the answer is no."""
    before = dict(doctor.stack.hyperline.writes)
    path = tmp_path / "events.ndjson"
    path.write_text(f"5\n{doctor.events.read_text()}")

    done = doctor.invoke("--send", str(path), answers="n\n")

    assert done.exit_code == 1
    assert "event: Seats Added" in done.stdout
    assert doctor.stack.hyperline.writes == before


def test_the_sandbox_is_probed(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key of the secret; each experiment can be declined."""
    monkeypatch.chdir(tmp_path)

    done = doctor.invoke("--probe", "--customer", "customer-42", answers="n\n" * 30)

    assert done.exit_code == 0, done.output
    findings = json.loads((tmp_path / "doctor-probe.json").read_text())["findings"]
    assert {finding["found"] for finding in findings} == {"not tried"}


def test_hyperline_behaves_in_another_way(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command fails, and says what to set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(doctor.stack.hyperline.behaviour, "paths", "v2")

    done = doctor.invoke("--probe", answers="y\n" * 30)

    assert done.exit_code == 1
    assert "set the parameter IngestionVersion to v2" in done.stdout


@pytest.mark.parametrize(
    "options", [("--send", "--probe"), ("--json", "--send"), ("--customer", "x")]
)
def test_options_without_an_effect(doctor: Doctor, options: tuple[str, ...]) -> None:
    """They are errors, and nothing is read."""
    doctor.proxy.operations.clear()

    done = doctor.invoke(*options)

    assert done.exit_code == 2
    assert "GetCallerIdentity" not in doctor.proxy.operations


@pytest.mark.parametrize(
    ("text", "evidence", "remedy"),
    [
        ("[]", "isn't a JSON object", "store it as"),
        (
            json.dumps({**SECRET, "hyperline_api_key": ""}),
            *("has no hyperline_api_key", "add it"),
        ),
        (
            json.dumps({**SECRET, "segment_shared_secret": "short"}),
            *("shorter than 16", "openssl rand"),
        ),
    ],
)
def test_a_secret_with_a_mistake(
    doctor: Doctor, text: str, evidence: str, remedy: str
) -> None:
    """The first line that needs the field says what is wrong."""
    client = doctor.stack.client("secretsmanager")
    client.put_secret_value(SecretId=STACK_NAME, SecretString=text)

    lines = doctor.check()

    client.put_secret_value(SecretId=STACK_NAME, SecretString=json.dumps(SECRET))
    (wrong,) = [line for line in lines if line["result"] == "wrong"]
    assert evidence in wrong["evidence"]
    assert remedy in wrong["remedy"]


def test_a_secret_that_is_gone(doctor: Doctor) -> None:
    """It can be restored, or created."""
    client = doctor.stack.client("secretsmanager")
    client.delete_secret(SecretId=STACK_NAME)

    lines = doctor.check()

    client.restore_secret(SecretId=STACK_NAME)
    (wrong,) = [line for line in lines if line["result"] == "wrong"]
    assert wrong["evidence"] == f"the secret '{STACK_NAME}' is marked for deletion"
    assert "restore-secret" in wrong["remedy"]
