"""The AWS clients, created once, when the function starts."""

import logging

import boto3
from botocore.config import Config

# One attempt with short timeouts: callers decide how to handle a failure, and are short
# of time.
_CONFIG = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})

# Otherwise each start of the function logs where the AWS credentials were found.
logging.getLogger("botocore").setLevel(logging.WARNING)

secrets_manager = boto3.client("secretsmanager", config=_CONFIG)
sqs = boto3.client("sqs", config=_CONFIG)


def error_code(error: Exception) -> str:
    """Return AWS's code for *error*; its message could contain the account's id."""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", type(error).__name__))
