"""The functions get from the template what their code needs."""

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from local_stack.aws import ROOT
from tests.deployment.transformed import Stack
from tests.segment_to_hyperline.test_imports import PACKAGE, reach

FUNCTIONS = ["Receiver", "Replayer", "SmokeTester", "DailyCheck"]


class Need(NamedTuple):
    """The permission for a request to AWS, and the roles of those that send it."""

    action: str
    roles: tuple[str, ...]


RECEIVER, REPLAYER = "ReceiverRole", "ReplayerRole"
SMOKE_TESTER, DAILY_CHECK = "SmokeTesterRole", "DailyCheckRole"
# Each request to AWS in the code, by the names of the client and of its method.
REQUESTS = {
    "secrets_manager.get_secret_value": Need(
        "secretsmanager:GetSecretValue",
        (RECEIVER, REPLAYER, SMOKE_TESTER, DAILY_CHECK),
    ),
    "sqs.send_message_batch": Need(
        "sqs:SendMessage", (RECEIVER, REPLAYER, DAILY_CHECK)
    ),
    "sqs.change_message_visibility_batch": Need(
        "sqs:ChangeMessageVisibility", (REPLAYER,)
    ),
    "lambda_client.invoke": Need("lambda:InvokeFunction", (SMOKE_TESTER,)),
    "codedeploy.put_lifecycle_event_hook_execution_status": Need(
        "codedeploy:PutLifecycleEventHookExecutionStatus", (SMOKE_TESTER,)
    ),
}
# What Lambda needs to read a queue for a function.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
POLLING = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


def read_sources() -> Iterator[str]:
    """Yield the source of each module that the functions use."""
    package = ROOT / "function/segment_to_hyperline"
    operators = [
        package / name for name in ("archive", "cli", "reconciliation", "closing")
    ]
    for path in (ROOT / "function").rglob("*.py"):
        if any(folder in operators for folder in path.parents):
            continue
        yield path.read_text("utf-8")


def find_requests() -> Iterator[str]:
    """Yield the requests to AWS in the code."""
    clients = {request.partition(".")[0] for request in REQUESTS}
    for source in read_sources():
        assert set(re.findall(r"(\w+) = boto3\.client", source)) <= clients
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Attribute(ast.Name(client), method) if client in clients:
                    yield f"{client}.{method}"


def test_every_request_to_aws_is_known() -> None:
    """Each has a row in `REQUESTS`."""
    assert set(find_requests()) == set(REQUESTS)


@pytest.mark.parametrize("role", [RECEIVER, REPLAYER, SMOKE_TESTER])
def test_a_role_permits_what_its_function_needs(stack: Stack, role: str) -> None:
    """Neither less, which the local AWS wouldn't notice, nor more."""
    needed = {need.action for need in REQUESTS.values() if role in need.roles}

    assert find_permitted(stack, role) == needed | (
        POLLING if role == REPLAYER else set()
    )


def find_permitted(stack: Stack, role: str) -> set[str]:
    """Return the actions that a role permits."""
    return {
        path.removeprefix("Allow ")
        for resource, path in stack.rows
        if resource == role and path.startswith("Allow ")
    } - {"sts:AssumeRole"}


def test_the_role_of_the_daily_check_permits_what_its_messages_name(
    stacks: Mapping[str, Stack],
) -> None:
    """A message has the permission that its request needs; boto3's names vary."""
    package = ROOT / "function/segment_to_hyperline"
    named = {
        action
        for folder in ("archive", "daily_check")
        for path in (package / folder).glob("*.py")
        for action in re.findall(r'"((?:s3|sns):\w+)', path.read_text("utf-8"))
    }
    logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
    needed = {need.action for need in REQUESTS.values() if DAILY_CHECK in need.roles}

    everything = find_permitted(stacks["everything"], DAILY_CHECK)
    assert everything == needed | named | logs
    least = find_permitted(stacks["all resources"], DAILY_CHECK)
    assert least == everything - {"sns:Publish", "sqs:SendMessage"}


def test_the_code_reads_the_variables_that_the_template_sets(stack: Stack) -> None:
    """A misspelled variable would be a function that fails, or ignores a parameter."""
    pattern = re.compile(r'(?:environ(?:\.get\(|\[)|_read\()"(\w+)"')
    read = {name for source in read_sources() for name in pattern.findall(source)}
    set_ = {
        path.removeprefix("Environment.Variables.")
        for _, path in stack.rows
        if path.startswith("Environment.Variables.")
    }

    # boto3 and SQLite read these.
    assert set_ - read == {
        *("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SQS"),
        "SQLITE_TMPDIR",
    }
    assert read <= set_


@pytest.mark.parametrize("function", FUNCTIONS)
def test_handlers_exist(stack: Stack, function: str) -> None:
    """The build copies the module, and the handler has an event and a context."""
    handler = stack.rows[function, "Handler"]
    module, _, name = handler.partition(".")

    makefile = (ROOT / "function/Makefile").read_text("utf-8")
    (others,) = re.findall(r"^OTHERS = (.+)", makefile, re.MULTILINE)
    (check,) = re.findall(r"^CHECK = (.+)", makefile, re.MULTILINE)
    copied = check if function == "DailyCheck" else others
    assert f"{module}.py" in copied.split()
    signature = inspect.signature(getattr(importlib.import_module(module), name))
    assert signature.bind({}, None)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_an_artifact_has_what_its_function_imports(stack: Stack, function: str) -> None:
    """The build leaves out packages that it doesn't need, and no others."""
    makefile = (ROOT / "function/Makefile").read_text("utf-8")
    lists = dict(re.findall(r"^(\w+_PACKAGES) = (.+)", makefile, re.MULTILINE))
    removed = set(lists["COMMAND_PACKAGES"].split())
    if function != "DailyCheck":
        removed |= set(lists["CHECK_PACKAGES"].split())

    handler = stack.rows[function, "Handler"].partition(".")[0]
    used = {module.partition(".")[0] for module in reach(f"entry.{handler}")}

    packages = {
        path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()
    }
    assert removed <= packages
    assert used & removed == set()
    if function == "DailyCheck":
        assert set(lists["CHECK_PACKAGES"].split()) <= used


def test_the_runtime_is_that_of_the_tests(stack: Stack) -> None:
    """The version of Python is that of the group `dev` in pyproject.toml."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    required = tools["uv"]["dependency-groups"]["dev"]["requires-python"]
    version = required.removeprefix("==").removesuffix(".*")

    for function in FUNCTIONS:
        runtime = stack.rows[function, "Runtime"]
        assert runtime == f"python{version}"
