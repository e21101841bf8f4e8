"""The AWS clients: how errors are named."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from forwarder.aws.clients import error_code


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
    ],
)
def test_an_error_is_named_by_its_code_or_its_class(
    error: Exception, code: str
) -> None:
    """Its message is not used, because it can contain the account's id."""
    assert error_code(error) == code
