"""The command that creates the secret of a stack, and changes its API key."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import boto3
import pytest
from click.testing import CliRunner, Result

from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.cli.main import cli
from tests.fake_aws import FakeAws, Fault

REGION = "us-east-1"
RANDOM = {"segment_shared_secret", "segment_bearer_token"}
PRODUCTION = "prod_1"
OLD = {
    "hyperline_api_key": "test_old",
    "segment_shared_secret": ["the-new-shared-secret", "the-old-shared-secret"],
    "segment_bearer_token": "the-old-bearer-token",
    "a_field_of_the_owner": ["kept", "as it is"],
}
DENIED = Fault("400 Bad Request", b'{"__type":"AccessDeniedException"}')
pytestmark = pytest.mark.usefixtures("aws", "hyperline")

type Init = Callable[..., Result]


@pytest.fixture
def name() -> str:
    """The name of a secret that doesn't exist yet."""
    return f"billing-{uuid4()}"


@pytest.fixture
def init(name: str) -> Init:
    """Run the command with options, and what is typed."""

    def init(*options: str, typed: str = f"{KEY}\n") -> Result:
        arguments = ["init", "--secret-id", name, *options]
        return CliRunner().invoke(cli, arguments, input=typed)

    return init


def read(name: str) -> dict[str, Any]:
    """Return the fields of the secret."""
    secrets = boto3.client("secretsmanager")
    return dict(json.loads(secrets.get_secret_value(SecretId=name)["SecretString"]))


def count_versions(name: str) -> int:
    """Return how often the secret was written."""
    secrets: Any = boto3.client("secretsmanager")
    return len(secrets.list_secret_version_ids(SecretId=name)["Versions"])


def store(name: str, content: object) -> None:
    """Create the secret."""
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name=name, SecretString=json.dumps(content))


def test_the_secret_is_created(init: Init, name: str) -> None:
    """With the key and two random strings, none of which is printed."""
    done = init(typed=f"  {KEY}\n")

    content = read(name)
    assert done.exit_code == 0, done.output
    assert content.pop("hyperline_api_key") == KEY
    assert content.keys() == RANDOM
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in content.values())
    assert len(set(content.values())) == 2
    assert not [v for v in (KEY, *content.values()) if v in done.output]
    assert done.stdout == (
        f"Created the secret {name} in {REGION}, with a key of Hyperline's sandbox and"
        " two random strings.\n"
        "Next, deploy in this region, and print what to paste into Segment:\n\n"
        f"  export AWS_DEFAULT_REGION={REGION}\n"
        f"  sam build && sam deploy --stack-name {name}\n"
        f"  segment-to-hyperline doctor --show-segment-settings --stack {name}\n"
    )


def test_the_default_is_the_secret_of_the_documented_stack() -> None:
    """So the commands that it prints need no name."""
    try:
        done = CliRunner().invoke(cli, ["init"], input=f"{KEY}\n")

        assert read("segment-to-hyperline")["hyperline_api_key"] == KEY
        assert done.stdout.endswith(
            "  sam build && sam deploy\n"
            "  segment-to-hyperline doctor --show-segment-settings\n"
        )
    finally:
        boto3.client("secretsmanager").delete_secret(
            SecretId="segment-to-hyperline", ForceDeleteWithoutRecovery=True
        )


def test_a_secret_that_exists_is_not_changed(init: Init, name: str) -> None:
    """The key is not even asked for."""
    store(name, OLD)

    done = init(typed="")

    assert done.exit_code == 2
    assert "exists already: nothing was changed; use --api-key" in done.output
    assert read(name) == OLD
    assert count_versions(name) == 1


def test_a_secret_that_somebody_creates_meanwhile_is_not_changed(
    init: Init, name: str, aws: FakeAws
) -> None:
    """AWS rejects the second one."""
    store(name, OLD)
    missing = b'{"__type":"ResourceNotFoundException"}'
    aws.fail("DescribeSecret", Fault("400 Bad Request", missing))

    done = init()

    assert done.exit_code == 2
    assert "can't be used: it exists already" in done.output
    assert read(name) == OLD


def test_the_alarms_notify_an_address(init: Init, name: str) -> None:
    """The topic is created, and the command to deploy has it."""
    done = init("--email", "a@example.com")

    (arn,) = re.findall(r"AlarmTopicArn=(\S+)\n", done.stdout)
    sns: Any = boto3.client("sns")
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert arn.endswith(f":{name}")
    assert subscription["Protocol"] == "email"
    assert subscription["Endpoint"] == "a@example.com"
    assert "AWS sends a mail to a@example.com" in done.stdout


@pytest.mark.parametrize("address", ["you", "you@example", "a@b.example c"])
def test_an_invalid_address(init: Init, name: str, address: str) -> None:
    """SNS would reject it when the secret has been created."""
    done = init("--email", address)

    assert done.exit_code == 2
    assert f"--email: '{address}' is not an email address" in done.output
    with pytest.raises(boto3.client("secretsmanager").exceptions.ClientError):
        read(name)


def test_the_topic_can_be_created_later(init: Init, name: str, aws: FakeAws) -> None:
    """For example if the first attempt had no permission for it."""
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    aws.fail("CreateTopic", Fault("403 Forbidden", denied))
    first = init("--email", "a@example.com")
    content = read(name)

    second = init("--email", "a@example.com", typed="")

    assert first.exit_code == 2
    assert "lack the permission sns:CreateTopic and sns:Subscribe" in first.output
    assert second.exit_code == 0, second.output
    assert "exists already, and was not changed" in second.stdout
    assert "AlarmTopicArn=arn:aws:sns:" in second.stdout
    assert read(name) == content


def test_the_api_key_is_changed(init: Init, name: str) -> None:
    """Every other field is as before."""
    store(name, OLD)

    done = init("--api-key")

    assert done.exit_code == 0, done.output
    assert read(name) == OLD | {"hyperline_api_key": KEY}
    assert KEY not in done.output
    assert done.stdout == f"Changed the API key in the secret {name} in {REGION}.\n"


@pytest.mark.parametrize("old", [{}, {"hyperline_api_key": ""}])
def test_a_missing_key_is_added(init: Init, name: str, old: dict[str, str]) -> None:
    """Whatever its environment is."""
    store(name, old)

    assert init("--api-key").exit_code == 0
    assert read(name) == {"hyperline_api_key": KEY}


@pytest.mark.parametrize(
    ("old", "new", "option", "problem"),
    [
        ("prod_old", KEY, "--api-key", "has a key of Hyperline's production, and this"),
        ("test_old", PRODUCTION, "--api-key", "use --go-live to move a stack from"),
        ("prod_old", PRODUCTION, "--go-live", "are keys of production and production"),
        ("test_old", KEY, "--go-live", "are keys of sandbox and sandbox"),
    ],
)
def test_the_environment_is_not_changed_by_mistake(
    init: Init,
    name: str,
    hyperline: FakeHyperline,
    old: str,
    new: str,
    option: str,
    problem: str,
) -> None:
    """Events of customers would be billed to nobody, or those of tests to customers."""
    store(name, OLD | {"hyperline_api_key": old})
    hyperline.key = new

    done = init(option, typed=f"{new}\n")

    assert done.exit_code == 2
    assert problem in done.output
    assert "nothing was changed" in done.output
    assert count_versions(name) == 1


def test_going_live_replaces_all_credentials_at_once(
    init: Init, name: str, hyperline: FakeHyperline
) -> None:
    """A request of the sandbox period is then not accepted any more."""
    store(name, OLD)
    hyperline.key = PRODUCTION

    done = init("--go-live", typed=f"{PRODUCTION}\n")

    content = read(name)
    assert done.exit_code == 0, done.output
    assert count_versions(name) == 2
    assert content["hyperline_api_key"] == PRODUCTION
    assert all(re.fullmatch("[0-9a-f]{64}", content[field]) for field in RANDOM)
    assert content["a_field_of_the_owner"] == OLD["a_field_of_the_owner"]
    assert not [v for v in RANDOM if content[v] in done.output]
    assert "doctor --show-segment-settings" in done.stdout


def test_going_live_adds_no_token(
    init: Init, name: str, hyperline: FakeHyperline
) -> None:
    """Segment's requests, which have none, would be rejected."""
    store(name, {n: OLD[n] for n in ("hyperline_api_key", "segment_shared_secret")})
    hyperline.key = PRODUCTION

    assert init("--go-live", typed=f"{PRODUCTION}\n").exit_code == 0
    assert read(name).keys() == {"hyperline_api_key", "segment_shared_secret"}


@pytest.mark.parametrize("option", ["--api-key", "--go-live"])
def test_a_secret_that_does_not_exist_is_not_changed(init: Init, option: str) -> None:
    """Its name and its region are shown."""
    done = init(option)

    assert done.exit_code == 2
    assert "there is no secret 'billing-" in done.output
    assert f"in the region {REGION}: create it without" in done.output


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", "no API key was typed"),
        ("\n", "no API key was typed"),
        ("test_\u2026\n", "characters that are not allowed in an HTTP header"),
        ("test_a\x00b\n", "characters that are not allowed in an HTTP header"),
        ("test_other\n", "Hyperline rejected the API key (401)"),
    ],
)
def test_an_invalid_key_is_not_stored(
    init: Init, aws: FakeAws, typed: str, problem: str
) -> None:
    """Neither a malformed one, nor one that Hyperline rejects."""
    done = init(typed=typed)

    assert done.exit_code == 2
    assert problem in done.output
    assert "test_other" not in done.output
    assert aws.requests == ["DescribeSecret"]


def test_a_key_of_something_else_is_not_stored(
    init: Init, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hyperline's keys begin with their environment; it is not sent anywhere."""
    monkeypatch.delenv("HYPERLINE_URL")

    done = init(typed="sk_live_1\n")

    assert done.exit_code == 2
    assert "begins with neither prod_ nor test_" in done.output
    assert "sk_live_1" not in done.output
    assert aws.requests == ["DescribeSecret"]


def test_a_key_without_the_scope_to_read_is_stored(
    init: Init, name: str, hyperline: FakeHyperline
) -> None:
    """It can bill; what needs the scope is said."""
    hyperline.limited_key = "test_limited"

    done = init(typed="test_limited\n")

    assert done.exit_code == 0, done.output
    assert "Note: the key can't read billable events" in done.stderr
    assert read(name)["hyperline_api_key"] == "test_limited"


def test_a_key_that_cannot_be_tried_is_stored(
    init: Init, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some networks don't reach Hyperline, and AWS does."""
    monkeypatch.setenv("HYPERLINE_URL", "http://127.0.0.1:9")

    done = init()

    assert done.exit_code == 0, done.output
    assert "Note: the key could not be tried: http://127.0.0.1:9" in done.stderr
    assert read(name)["hyperline_api_key"] == KEY


@pytest.mark.parametrize("options", [(), ("--api-key",), ("--email", "a@example.com")])
def test_a_deleted_secret_is_not_used(
    init: Init, name: str, options: tuple[str, ...]
) -> None:
    """It says how to restore it, before it asks for a key."""
    store(name, OLD)
    boto3.client("secretsmanager").delete_secret(SecretId=name)

    done = init(*options, typed="")

    assert done.exit_code == 2
    assert "is scheduled for deletion: restore it with `aws secretsmanager" in (
        done.output
    )
    assert f"restore-secret --secret-id {name}`" in done.output


@pytest.mark.parametrize(
    ("operation", "options"),
    [
        ("DescribeSecret", ()),
        ("CreateSecret", ()),
        ("DescribeSecret", ("--api-key",)),
        ("GetSecretValue", ("--api-key",)),
        ("PutSecretValue", ("--api-key",)),
    ],
)
def test_a_missing_permission_is_named(
    init: Init, name: str, aws: FakeAws, operation: str, options: tuple[str, ...]
) -> None:
    """And nothing is changed."""
    if options:
        store(name, OLD)
    aws.fail(operation, DENIED)

    done = init(*options)

    assert done.exit_code == 2
    assert f"lack the permission secretsmanager:{operation}" in done.output
    assert KEY not in done.output


def test_no_region(init: Init, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is missing before the key is asked for."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "")

    done = init(typed="")

    assert done.exit_code == 2
    assert "no AWS region is set: use --region or AWS_DEFAULT_REGION" in done.output


def test_options_exclude_each_other(init: Init, aws: FakeAws) -> None:
    """An option without an effect is an error."""
    done = init("--api-key", "--email", "a@example.com")

    assert done.exit_code == 2
    assert "use one of --email, --api-key and --go-live" in done.output
    assert aws.requests == []


class Terminal(io.BytesIO):
    """What a person types."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


def test_a_person_is_asked_for_the_key(name: str) -> None:
    """The prompt isn't part of the result."""
    typed = Terminal(f"{KEY}\n".encode())

    done = CliRunner().invoke(cli, ["init", "--secret-id", name], input=typed)

    assert done.exit_code == 0, done.output
    assert "Hyperline API key: " in done.stderr
    assert "Hyperline API key" not in done.stdout


def test_the_key_is_not_shown_on_a_terminal(name: str) -> None:
    """What is typed doesn't appear; the prompt does."""
    terminal, of_command = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "segment_to_hyperline", "init", "--secret-id", name],
        stdin=of_command,
        stdout=of_command,
        stderr=of_command,
        start_new_session=True,
    ):
        os.close(of_command)
        shown = read_until(terminal, b"key: ")
        os.write(terminal, f"{KEY}\n".encode())
        shown += read_until(terminal, b"--stack")
    os.close(terminal)

    assert b"Hyperline API key: " in shown
    assert KEY.encode() not in shown
    assert read(name)["hyperline_api_key"] == KEY


def read_until(terminal: int, end: bytes) -> bytes:
    """Return what a terminal shows, until it shows *end* or is closed."""
    shown = b""
    while end not in shown:
        try:
            shown += os.read(terminal, 1024)
        except OSError:  # Linux raises it when the command has ended
            break
    return shown
