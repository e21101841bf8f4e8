"""Requests to AWS: every failure is one exception, named by its code."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
)

from segment_to_hyperline.aws.clients import AwsError, secrets_manager, send_request
from segment_to_hyperline.deadline import Deadline
from tests.conftest import Secret
from tests.fake_aws import FakeAws, Fault


class Operation:
    """An operation of a client that raises *errors* one after the other."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        """Raise the next error, or return a response."""
        if self.errors:
            raise self.errors.pop(0)
        return "response"


CLOSED = ConnectionClosedError(endpoint_url="http://x")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            ClientError({"Error": {"Code": "Throttling", "Message": "123456"}}, "x"),
            "Throttling",
        ),
        (ClientError({}, "x"), "ClientError"),
        (EndpointConnectionError(endpoint_url="http://x"), "EndpointConnectionError"),
        (TimeoutError("123456"), "TimeoutError"),
        (AttributeError("123456"), "AttributeError"),
    ],
)
def test_an_error_is_named_by_its_code_or_its_class(
    error: Exception, code: str
) -> None:
    """Its message is not used, because it can contain the account's id."""
    with pytest.raises(AwsError) as raised:
        send_request(Operation(error), Deadline(5))

    assert str(raised.value) == code


def test_a_broken_connection_is_retried_once() -> None:
    """A kept-alive connection can break while the function is frozen."""
    assert send_request(Operation(CLOSED), Deadline(5)) == "response"
    with pytest.raises(AwsError, match="ConnectionClosedError"):
        send_request(Operation(CLOSED, CLOSED), Deadline(5))


GARBAGE = [
    b"",
    b"not JSON",
    b"null",
    b"1",
    b"[]",
    b'"text"',
    b'{"SecretString": 1}',
    b'{"SecretString": []}',
    b"\xff\xfe",
    b"<html>",
]


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "500 Error", "999 ?"])
@pytest.mark.parametrize("body", GARBAGE)
def test_a_malformed_response_is_an_error_or_harmless(
    secret: Secret, aws: FakeAws, status: str, body: bytes
) -> None:
    """Whatever the service returns, no other exception is raised."""
    aws.fail("GetSecretValue", Fault(status, body))

    try:
        response = send_request(
            secrets_manager.get_secret_value, Deadline(5), SecretId=secret.name
        )
    except AwsError:
        return
    assert status == "200 OK"
    assert not isinstance(response.get("SecretString"), str)
