"""Read the secret from Secrets Manager, and cache it."""

import json
import time
from dataclasses import replace
from typing import Any, NamedTuple

from forwarder import config
from forwarder.aws.clients import AwsError, secrets_manager, send_request
from forwarder.deadline import Deadline
from forwarder.secret import Secret, SecretError

# A rotated secret is picked up within this time, or as soon as the old one fails.
_MAX_AGE_SECONDS = 5 * 60
# A copy younger than this is not read again, and neither is a secret that could not be
# read. Otherwise each unsigned request would be a request to Secrets Manager.
_FRESH_SECONDS = 10
# If the secret can't be read, the cached copy is used for this time.
_MAX_STALE_SECONDS = 24 * 60 * 60


class _Attempt(NamedTuple):
    """The last time that the secret could not be read."""

    failed_at: float
    reason: str


_copies: dict[str, Secret] = {}
_failures: dict[str, _Attempt] = {}


def read_secret(deadline: Deadline) -> Secret:
    """Return the secret, at most 5 minutes old; raises `SecretError`.

    If it can't be read, the cached copy is returned for up to 24 hours. A copy that
    lacks a field is read again after 10 seconds.
    """
    copy = _copies.get(config.secret_id())
    if copy is None:
        return _fetch(deadline)
    age = copy.age()
    if age < _FRESH_SECONDS or (age <= _MAX_AGE_SECONDS and copy.is_complete):
        return copy
    try:
        return _fetch(deadline)
    except SecretError as error:
        if age > _MAX_STALE_SECONDS:
            raise
        return replace(copy, stale_reason=str(error))


def refresh_secret(secret: Secret, deadline: Deadline) -> Secret | None:
    """Return the secret as it is now, after *secret* was rejected.

    Returns None if *secret* was read within the last 10 seconds, so that it can't have
    been the cached copy that was at fault. Raises `SecretError`.
    """
    return None if secret.age() < _FRESH_SECONDS else _fetch(deadline)


def _fetch(deadline: Deadline) -> Secret:
    name = config.secret_id()
    last = _failures.get(name)
    if last and time.monotonic() - last.failed_at < _FRESH_SECONDS:
        raise SecretError(last.reason)
    try:
        fields = _parse(_get_value(name, deadline))
    except SecretError as error:
        _failures[name] = _Attempt(time.monotonic(), str(error))
        raise
    _copies[name] = Secret(fields, time.monotonic())
    return _copies[name]


def _get_value(name: str, deadline: Deadline) -> Any:
    try:
        response = send_request(
            secrets_manager.get_secret_value, deadline, SecretId=name
        )
    except AwsError as error:
        raise SecretError(f"the secret can't be read: {error}") from error
    return response.get("SecretString")


def _parse(text: Any) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise SecretError("the secret is not JSON") from error
    if not isinstance(fields, dict):
        raise SecretError("the secret is not a JSON object")
    return fields
