"""What operators read when AWS can't be used, and how it is reached in an office."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore import exceptions
from botocore.exceptions import ClientError

from segment_to_hyperline.archive.aws_access import (
    AWS_ERRORS,
    create_client,
    explain_failure,
    find_code,
)
from tests.fake_aws import FakeAws, Fault

PERMISSION = "secretsmanager:ListSecrets for everything"
USER = "User: arn:aws:iam::123456789012:user/a"
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def _office(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has no certificates or proxy of its own."""
    for name in (*CERTIFICATES, "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def explain(request: Callable[[], Any]) -> str:
    """Return how the failure of *request* is explained."""
    with pytest.raises(AWS_ERRORS) as caught:
        request()
    return explain_failure(caught.value, PERMISSION)


def list_secrets(region: str | None = None) -> Any:
    """Send a request."""
    return create_client("secretsmanager", region).list_secrets()


def fail(aws: FakeAws, code: str, message: str = "") -> str:
    """Return how a response with an error is explained."""
    body = f'{{"__type":"{code}","message":"{message}"}}'.encode()
    aws.fail("ListSecrets", Fault("400 Bad Request", body))
    return explain(list_secrets)


@pytest.mark.usefixtures("aws")
def test_requests_are_sent() -> None:
    """With the credentials and the region of the environment."""
    assert "SecretList" in list_secrets()


@pytest.mark.parametrize(
    ("code", "explanation"),
    [
        ("AccessDeniedException", f"lack the permission {PERMISSION}"),
        ("UnrecognizedClientException", "rejected the credentials"),
        ("ExpiredTokenException", "have expired: sign in"),
        ("RequestTimeTooSkewed", "the clock of this machine is wrong"),
        ("Weird", "AWS responded with the error Weird"),
    ],
)
def test_a_response_is_explained(aws: FakeAws, code: str, explanation: str) -> None:
    """In one line that says what to do."""
    assert explanation in fail(aws, code)


@pytest.mark.parametrize(
    ("message", "lacking"),
    [
        (f"{USER} is not authorized to perform: kms:Decrypt on b", "kms:Decrypt"),
        ("Access to KMS is not allowed", "kms:Decrypt"),
        (
            f"{USER} is not authorized to perform: secretsmanager:ListSecrets",
            PERMISSION,
        ),
    ],
)
def test_another_permission_can_be_missing(
    aws: FakeAws, message: str, lacking: str
) -> None:
    """For example the one to decrypt what a customer managed key encrypts."""
    explanation = fail(aws, "AccessDeniedException", message)

    assert explanation == f"the AWS credentials lack the permission {lacking}"


def test_a_code_is_only_in_a_response() -> None:
    """So that callers can handle a few codes on their own."""
    assert (
        find_code(ClientError({"Error": {"Code": "NoSuchKey"}}, "Get")) == "NoSuchKey"
    )
    assert not find_code(exceptions.NoCredentialsError())


def test_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither in the environment, nor in the files, nor from the machine."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    assert "there are no AWS credentials: set AWS_PROFILE" in explain(list_secrets)


def test_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a profile can be mistyped."""
    monkeypatch.setenv("AWS_PROFILE", "finanse")

    assert "the AWS profile doesn't exist" in explain(list_secrets)


@pytest.mark.parametrize(
    ("region", "explanation"),
    [("", "no AWS region is set: use --region"), ("eu west", "the AWS region is inv")],
)
def test_no_region(
    monkeypatch: pytest.MonkeyPatch, region: str, explanation: str
) -> None:
    """It is named with the ways to set it."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)

    assert explanation in explain(list_secrets)


@pytest.mark.parametrize(
    ("error", "explanation"),
    [
        (exceptions.SSOError(), "can't be renewed: sign in"),
        (exceptions.EndpointConnectionError(endpoint_url="x"), "can't be reached"),
        (exceptions.ReadTimeoutError(endpoint_url="x"), "connection to AWS was lost"),
        (exceptions.FlexibleChecksumError(error_msg="x"), "the data is damaged"),
        (exceptions.ParamValidationError(report="x"), "failed: ParamValidationError"),
    ],
)
def test_an_error_is_explained(error: Exception, explanation: str) -> None:
    """Also if AWS has not responded."""
    assert explanation in explain_failure(error, PERMISSION)


def test_the_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many offices have no other way out."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://secretsmanager.example")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")

    assert "the proxy can't be used: check HTTPS_PROXY" in explain(list_secrets)


@pytest.mark.parametrize(
    "name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"]
)
def test_an_offices_certificates_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Its proxy decrypts TLS with a certificate of the office's own authority."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    monkeypatch.setenv("AWS_ENDPOINT_URL", FakeAws(tls).url)
    assert "set REQUESTS_CA_BUNDLE to their file" in explain(list_secrets)

    monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    assert "SecretList" in list_secrets()
