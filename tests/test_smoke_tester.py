"""The SmokeTester: what it sends to a new version, and what it reports."""

import json
import logging
from typing import Any

import pytest

import receiver
import smoke_tester
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from local_stack.segment_requests import BEARER_TOKEN
from segment_to_hyperline.reasons import Code
from tests.conftest import Secret
from tests.fake_aws import FakeAws, Fault

HOOK = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "hook-1"}
# What prevents every event from being billed, and is fixed by the owner.
FATAL = {Code.SECRET_UNUSABLE, Code.KEY_REJECTED, Code.MAPPING_FAILED}
REPORTED = Fault("200 OK", b"{}")


def responding(*codes: Code) -> Fault:
    """Return the response of a new version to a test event."""
    errors = [{"code": code, "reason": "a sentence"} for code in codes]
    body = json.dumps({"errors": errors})
    return Fault("200 OK", json.dumps({"statusCode": 200, "body": body}).encode())


@pytest.fixture
def version(aws: FakeAws, secret: Secret, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """The AWS in which the new version is invoked, and the result reported."""
    assert secret
    monkeypatch.setenv("RECEIVER_VERSION", "receiver:2")
    aws.fail("PutLifecycleEventHookExecutionStatus", REPORTED)
    return aws


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (responding(), "Succeeded"),
        *((responding(code), "Failed") for code in FATAL),
        *((responding(code), "Succeeded") for code in Code if code not in FATAL),
        (responding(Code.UNMAPPABLE, Code.KEY_REJECTED), "Failed"),
        (Fault("200 OK", b'{"statusCode": 200, "body": "{}"}'), "Failed"),
        (Fault("200 OK", b'{"statusCode": 401, "body": "{}"}'), "Failed"),
        (Fault("200 OK", b'{"statusCode": 503, "body": "{}"}'), "Failed"),
        (Fault("200 OK", b'{"errorType": "Runtime.ImportModuleError"}'), "Failed"),
        (Fault("200 OK", b"null"), "Failed"),
        (Fault("200 OK", b"not JSON"), "Failed"),
        (Fault("403 Forbidden"), "Failed"),
    ],
)
def test_the_status_of_the_response_is_reported(
    version: FakeAws, response: Fault, status: str
) -> None:
    """CodeDeploy keeps the old version unless the new one can bill."""
    version.fail("Invoke", response)

    smoke_tester.lambda_handler(HOOK, Context())

    report = json.loads(version.bodies["PutLifecycleEventHookExecutionStatus"])
    assert report == {
        "deploymentId": "d-1",
        "lifecycleEventHookExecutionId": "hook-1",
        "status": status,
    }


@pytest.mark.usefixtures("send")
@pytest.mark.parametrize(
    ("fields", "url", "status"),
    [
        ({}, None, "Succeeded"),
        ({"hyperline_api_key": "prod_1"}, None, "Succeeded"),
        ({"hyperline_api_key": "test_revoked"}, None, "Failed"),
        ({"hyperline_api_key": None}, None, "Failed"),
        ({"hyperline_api_key": "unknown"}, "", "Failed"),
        ({}, "http://example.com", "Failed"),
        ({}, "https://ingest.hyperline.co/v1", "Failed"),
    ],
)
def test_a_version_that_can_bill_nothing_fails(
    version: FakeAws,
    secret: Secret,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, Any],
    url: str | None,
    status: str,
) -> None:
    """Its response is the one of the real Receiver."""
    secret.put(**fields)
    if url is not None:
        monkeypatch.setenv("HYPERLINE_URL", url)
    response = receiver.lambda_handler(smoke_tester.create_request(), Context())
    version.fail("Invoke", Fault("200 OK", json.dumps(response).encode()))

    smoke_tester.lambda_handler(HOOK, Context())

    report = json.loads(version.bodies["PutLifecycleEventHookExecutionStatus"])
    assert report["status"] == status


@pytest.mark.usefixtures("send")
def test_a_mistake_in_the_secret_is_a_warning(
    version: FakeAws, secret: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    """The new version accepts what is meant, so it can bill."""
    logger = logging.getLogger(smoke_tester.logger.name)
    logger.addHandler(caplog.handler)
    secret.put(segment_shared_secret=json.dumps(["a-new-random-value"] * 2))
    response = receiver.lambda_handler(smoke_tester.create_request(), Context())
    version.fail("Invoke", Fault("200 OK", json.dumps(response).encode()))

    smoke_tester.lambda_handler(HOOK, Context())

    report = json.loads(version.bodies["PutLifecycleEventHookExecutionStatus"])
    assert report["status"] == "Succeeded"
    logger.removeHandler(caplog.handler)
    assert (
        "the secret's segment_shared_secret is a list stored as a string: store it as a"
        " JSON array"
    ) in caplog.messages


def test_a_secret_that_cannot_be_read_fails_the_deployment(
    version: FakeAws, secret: Secret
) -> None:
    """The new version could not read it either."""
    secret.write("not JSON")

    smoke_tester.lambda_handler(HOOK, Context())

    assert "Invoke" not in version.requests
    report = json.loads(version.bodies["PutLifecycleEventHookExecutionStatus"])
    assert report["status"] == "Failed"


@pytest.mark.usefixtures("send")
@pytest.mark.parametrize("token", [None, BEARER_TOKEN])
def test_the_request_is_accepted_and_bills_nobody(
    secret: Secret,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
) -> None:
    """It is signed with the current secret, and its event is a test event."""
    monkeypatch.setenv("HYPERLINE_URL", hyperline.url)
    secret.put(hyperline_api_key="prod_1", segment_bearer_token=token)

    response = receiver.lambda_handler(smoke_tester.create_request(), Context())

    assert response["statusCode"] == 200
    assert json.loads(response["body"])["previewed"] == 1
    assert hyperline.requests == []
