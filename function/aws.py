"""The AWS clients: made once, when the function starts, out of one session."""

import logging

import boto3
from botocore.config import Config

# One quick attempt each: who calls decides what a failure means, and has little time.
_CONFIG = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})

# Or each start of the function would log where AWS's credentials were found.
logging.getLogger("botocore").setLevel(logging.WARNING)
secrets_manager = boto3.client("secretsmanager", config=_CONFIG)
sqs = boto3.client("sqs", config=_CONFIG)


def code(error: Exception) -> str:
    """Return AWS's code for what went wrong; its message could name the account."""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", type(error).__name__))
