"""Everything read from the environment and from Secrets Manager."""

import math
import os
import time
from typing import Any, NamedTuple

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import (
    GetParameterError,
    TransformParameterError,
)
from botocore.config import Config

# The host that takes the events of a key, by how the key begins.
# https://docs.hyperline.co/api-reference/docs/authentication
_HOSTS = {
    "prod_": "https://ingest.hyperline.co",
    "test_": "https://sandbox.ingest.hyperline.co",
}
# A secret that was rotated is picked up within this time.
_SECRET_MAX_AGE_SECONDS = 300
# A copy this young is not read again, so that a stranger's unsigned calls can't become
# a call to Secrets Manager each.
_SECRET_FRESH_SECONDS = 10


class Unreadable(Exception):
    """Let Segment send the call again: the secret is out of reach, or incomplete."""


class Workspace(NamedTuple):
    """What a call from our Segment workspace proves itself with."""

    shared_secrets: tuple[str, ...]
    bearer_token: str | None


class Account(NamedTuple):
    """Where our billable events go, and the API key that opens the door."""

    url: str
    key: str


def workspace(*, refresh: bool = False) -> Workspace:
    """Return what to authenticate calls with; raises `Unreadable`."""
    secret = _read_secret(refresh=refresh)
    shared = secret.get("segment_shared_secret")
    bearer = secret.get("segment_bearer_token")
    return Workspace(
        tuple(
            _require("segment_shared_secret", value)
            for value in (shared if isinstance(shared, list) and shared else [shared])
        ),
        None if bearer is None else _require_token("segment_bearer_token", bearer),
    )


def account(*, refresh: bool = False) -> Account:
    """Return where to post and with which key; raises `Unreadable`.

    The host is the one the key belongs to, unless `HYPERLINE_URL` names another.
    """
    secret = _read_secret(refresh=refresh)
    key = _require_token("hyperline_api_key", secret.get("hyperline_api_key"))
    url = os.environ.get("HYPERLINE_URL") or _HOSTS.get(key[:5])
    if url is None:
        raise Unreadable(
            "hyperline_api_key begins with neither prod_ nor test_: put a Hyperline API"
            " key into the secret, or set HYPERLINE_URL"
        )
    return Account(url.rstrip("/"), key)


def quarantine_queue_url() -> str:
    """Return the URL of the queue that keeps what can't be billed."""
    return os.environ["QUARANTINE_QUEUE_URL"]


def time_budget_seconds() -> float:
    """Return within how many seconds a call is to be answered."""
    return float(os.environ.get("TIME_BUDGET_SECONDS") or 3)


def is_secret_fresh() -> bool:
    """Return whether the secret was read so lately that reading it again is waste."""
    return time.monotonic() - _latest.read_at < _SECRET_FRESH_SECONDS


def _read_secret(*, refresh: bool) -> dict[str, Any]:
    global _latest  # noqa: PLW0603 - how old the copy is, beside Powertools' cache
    try:
        content: Any = _secrets.get(
            os.environ["SECRET_ID"],
            max_age=_SECRET_MAX_AGE_SECONDS,
            transform="json",
            force_fetch=refresh,
        )
    except GetParameterError as error:
        raise Unreadable(f"the secret can't be read: {_code(error)}") from error
    except TransformParameterError as error:
        raise Unreadable("the secret is not JSON") from error
    if not isinstance(content, dict):
        raise Unreadable("the secret is not a JSON object")
    if content is not _latest.content:
        _latest = _Reading(content, time.monotonic())
    return content


def _require(name: str, value: Any) -> str:
    # An empty secret would let everybody in.
    if not isinstance(value, str) or not value:
        raise Unreadable(f"the secret has no {name}: add it, as text that is not empty")
    return value


def _require_token(name: str, value: Any) -> str:
    token = _require(name, value)
    if not token.isascii() or not token.isprintable():
        raise Unreadable(f"the secret's {name} holds what no HTTP header can carry")
    return token


def _code(error: GetParameterError) -> str:
    """Return AWS's code for what went wrong; its message could name the account."""
    cause = error.__context__
    response = getattr(cause, "response", {})
    return str(response.get("Error", {}).get("Code", type(cause).__name__))


class _Reading(NamedTuple):
    content: dict[str, Any]
    read_at: float


_latest = _Reading({}, -math.inf)
# One quick attempt: if it fails, the call is answered 503 and Segment sends it again.
_secrets = SecretsProvider(
    boto_config=Config(
        connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1}
    )
)
