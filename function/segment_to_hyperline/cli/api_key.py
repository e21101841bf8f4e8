"""Find the API key of Hyperline, and the host for it."""

import json
import os
from importlib import import_module
from typing import Any

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.secret import SecretError, find_endpoint


def read_endpoint(secret_id: str) -> Endpoint:
    """Return the host, and the key in HYPERLINE_API_KEY or in the secret.

    HYPERLINE_URL sets the host. Raises `InputError`.
    """
    url = os.environ.get("HYPERLINE_URL") or None
    try:
        return find_endpoint(_read_fields(secret_id), url)
    except SecretError as error:
        raise InputError(str(error)) from error


def _read_fields(secret_id: str) -> dict[str, Any]:
    """Return the fields of the secret, or only the key in HYPERLINE_API_KEY."""
    if key := os.environ.get("HYPERLINE_API_KEY"):
        return {"hyperline_api_key": key}
    # It is slow to import, and most users have the key in the environment.
    boto3 = import_module("boto3")
    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=secret_id)
        fields = json.loads(text["SecretString"])
    except Exception as error:
        raise InputError(
            "no API key: set HYPERLINE_API_KEY; the secret can't be read either:"
            f" {type(error).__name__}"
        ) from error
    return fields if isinstance(fields, dict) else {}
