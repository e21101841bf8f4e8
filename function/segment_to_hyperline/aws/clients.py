"""The AWS clients, created once, when the function starts."""

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from botocore.session import get_session

from segment_to_hyperline.deadline import Deadline, DeadlineExceeded
from segment_to_hyperline.errors import Error

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

# One attempt with timeouts of 1 second: callers decide how to handle a failure, and are
# short of time.
_CONFIG = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})

# Otherwise each start of the function logs where the AWS credentials were found.
logging.getLogger("botocore").setLevel(logging.WARNING)

# Without boto3, which creates the same clients, and takes a tenth of a cold start to
# import, because it imports what only S3 needs.
_session = get_session()
secrets_manager = cast(
    "SecretsManagerClient", _session.create_client("secretsmanager", config=_CONFIG)
)
sqs = cast("SQSClient", _session.create_client("sqs", config=_CONFIG))


class AwsError(Error):
    """Raised when a request to AWS failed; the message is AWS's code for the error."""


def send_request[Response](
    operation: Callable[..., Response], deadline: Deadline, **parameters: object
) -> Response:
    """Return the response of a client's *operation*; raises `AwsError`.

    It is retried once immediately if the connection broke, as a kept-alive connection
    does while Lambda freezes the function between requests.
    """
    send = partial(operation, **parameters)
    try:
        try:
            return deadline.run(send)
        except ConnectionClosedError:
            return deadline.run(send)
    except DeadlineExceeded as error:
        raise AwsError("deadline exceeded") from error
    except Exception as error:  # botocore raises any type for a malformed response
        raise AwsError(_error_code(error)) from error


def _error_code(error: Exception) -> str:
    # The message of the error could contain the account's id.
    response = getattr(error, "response", None)
    details = response.get("Error") if isinstance(response, dict) else None
    code = details.get("Code") if isinstance(details, dict) else None
    return str(code or type(error).__name__)
