"""Read the secret from Secrets Manager, and cache it."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from segment_to_hyperline import config
from segment_to_hyperline.aws.clients import AwsError, secrets_manager, send_request
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.secret import Credentials, Secret, SecretError, seconds_since

# A rotated secret is picked up within this time, or as soon as the old one fails.
_MAX_AGE_SECONDS = 5 * 60
# The secret is not read again within this time, even if it could not be read. Otherwise
# each request would be a request to Secrets Manager.
_FRESH_SECONDS = 10
# The same after a wrong signature or token. It is shorter, because an event that is
# signed with a new secret is lost if it is rejected.
_RECENT_SECONDS = 1
# The previous version changes only when the secret does, which is noticed.
_PREVIOUS_SECONDS = 60
# If the secret can't be read, the cached copy is used for this time.
_MAX_STALE_SECONDS = 24 * 60 * 60


class _Attempt(NamedTuple):
    """The last time that the secret could not be read."""

    failed_at: float
    """When (`time.time`)."""
    reason: str


class _Previous(NamedTuple):
    """The previous version of the secret."""

    successor: str
    """The id of the version that has replaced it."""
    read_at: float
    """When it was read, or could not be read (`time.time`)."""
    credentials: Credentials | None = None
    """None if there is no valid previous version."""
    error: str = ""
    """Why it can't be read; otherwise empty."""


_copies: dict[str, Secret] = {}
_failures: dict[str, _Attempt] = {}
_previous: dict[str, _Previous] = {}


def read_secret(deadline: Deadline) -> Secret:
    """Return the secret, at most 5 minutes old; raises `SecretError`.

    If it can't be read, the cached copy is returned for up to 24 hours. A copy that
    lacks a field or has a sandbox key is read again after 10 seconds.
    """
    copy = _copies.get(config.secret_id())
    if copy is None:
        return _fetch(deadline)
    age = copy.age()
    if age < _FRESH_SECONDS or (age <= _MAX_AGE_SECONDS and copy.is_settled):
        return copy
    try:
        return _fetch(deadline)
    except SecretError as error:
        if age > _MAX_STALE_SECONDS:
            raise
        return replace(copy, stale_reason=str(error))


def refresh_secret(secret: Secret, deadline: Deadline) -> Secret | None:
    """Return the secret as it is now, after Hyperline rejected the API key of *secret*.

    Returns None if *secret* was read within the last 10 seconds: then it is not the
    cached copy that is at fault. Raises `SecretError`.
    """
    return None if secret.age() < _FRESH_SECONDS else _fetch(deadline)


def refresh_credentials(secret: Secret, deadline: Deadline) -> Secret:
    """Return the secret as it is now, after *secret* didn't authenticate a request.

    Returns *secret* if it was read within the last second. Raises `SecretError`.
    """
    return secret if secret.age() < _RECENT_SECONDS else _fetch(deadline)


def read_previous_credentials(
    current: Secret, deadline: Deadline
) -> Credentials | None:
    """Return the credentials of the version that *current* has replaced.

    Returns None if there is no valid previous version. It is read at most once a
    minute, unless the secret has changed since. Raises `SecretError`.
    """
    name = config.secret_id()
    last = _previous.get(name)
    if (
        last is None
        or last.successor != current.version
        or seconds_since(last.read_at) >= _PREVIOUS_SECONDS
    ):
        last = _previous[name] = _fetch_previous(name, current.version, deadline)
    if last.error:
        raise SecretError(last.error)
    return last.credentials


def _fetch(deadline: Deadline) -> Secret:
    name = config.secret_id()
    last = _failures.get(name)
    if last and seconds_since(last.failed_at) < _FRESH_SECONDS:
        raise SecretError(last.reason)
    began = time.time()  # a change while the secret is read may not be in the copy
    try:
        secret = _parse(_get_value(name, deadline), began)
    except AwsError as error:
        reason = f"the secret can't be read: {error}"
        _failures[name] = _Attempt(time.time(), reason)
        raise SecretError(reason) from error
    except SecretError as error:
        _failures[name] = _Attempt(time.time(), str(error))
        raise
    _copies[name] = secret
    return secret


def _fetch_previous(name: str, successor: str, deadline: Deadline) -> _Previous:
    # Secrets Manager gives this label to the version that a new one has replaced.
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    now = time.time()
    try:
        response = _get_value(name, deadline, VersionStage="AWSPREVIOUS")
        return _Previous(successor, now, _parse(response, now).credentials)
    except AwsError as error:
        if str(error) == "ResourceNotFoundException":
            return _Previous(successor, now)  # the secret has never been changed
        reason = f"the previous version of the secret can't be read: {error}"
        return _Previous(successor, now, error=reason)
    except SecretError:
        return _Previous(successor, now)


def _get_value(name: str, deadline: Deadline, **version: str) -> Mapping[str, Any]:
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
    return send_request(
        secrets_manager.get_secret_value, deadline, SecretId=name, **version
    )


def _parse(response: Mapping[str, Any], read_at: float) -> Secret:
    """Return the secret in a *response* of Secrets Manager; raises `SecretError`."""
    if "SecretBinary" in response:
        raise SecretError("the secret is binary: store it as text (SecretString)")
    fields = _decode(response.get("SecretString"))
    if isinstance(fields, str):
        raise SecretError(
            "the secret is a JSON string and not an object, perhaps because it was"
            " encoded as JSON twice: store the object itself"
        )
    if not isinstance(fields, dict):
        raise SecretError("the secret is not a JSON object")
    url, version = config.hyperline_url(), str(response.get("VersionId"))
    return Secret(fields, read_at, hyperline_url=url, version=version)


def _decode(text: Any) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.doc.startswith("\ufeff"):
            reason = "the secret begins with a byte order mark: store it without one"
        else:
            place = f"line {error.lineno}, column {error.colno}"
            reason = f"the secret is not JSON: {error.msg} ({place})"
        raise SecretError(reason) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise SecretError("the secret is not JSON") from error
