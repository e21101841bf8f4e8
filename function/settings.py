"""Everything read from the environment and from Secrets Manager."""

import logging
import math
import os
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import (
    GetParameterError,
    TransformParameterError,
)
from botocore.config import Config

from deadline import Deadline, TimeUp

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

    def is_sandbox(self) -> bool:
        """Return whether what is posted is billed to nobody."""
        return self.key.startswith("test_")


@dataclass(frozen=True)
class Secret:
    """What the secret in Secrets Manager holds, and when it was read."""

    content: dict[str, Any]
    read_at: float

    def workspace(self) -> Workspace:
        """Return what to authenticate calls with; raises `Unreadable`."""
        shared = self.content.get("segment_shared_secret")
        bearer = self.content.get("segment_bearer_token")
        several = shared if isinstance(shared, list) and shared else [shared]
        return Workspace(
            tuple(_require("segment_shared_secret", value) for value in several),
            None if bearer is None else _require_token("segment_bearer_token", bearer),
        )

    def account(self) -> Account:
        """Return where to post and with which key; raises `Unreadable`.

        The host is the one the key belongs to, unless `HYPERLINE_URL` names another.
        """
        key = _require_token("hyperline_api_key", self.content.get("hyperline_api_key"))
        url = os.environ.get("HYPERLINE_URL") or _HOSTS.get(key[:5])
        if url is None:
            raise Unreadable(
                "hyperline_api_key begins with neither prod_ nor test_: put a Hyperline"
                " API key into the secret, or set HYPERLINE_URL"
            )
        return Account(url.rstrip("/"), key)

    def is_fresh(self) -> bool:
        """Return whether it was read so lately that reading it again is waste."""
        return time.monotonic() - self.read_at < _SECRET_FRESH_SECONDS


def read_secret(deadline: Deadline, *, refresh: bool = False) -> Secret:
    """Return the secret, not older than 5 minutes; raises `Unreadable`."""
    global _latest  # noqa: PLW0603 - tells how old Powertools' copy is
    try:
        content: Any = deadline.run(
            lambda: _secrets.get(
                os.environ["SECRET_ID"],
                max_age=_SECRET_MAX_AGE_SECONDS,
                transform="json",
                force_fetch=refresh,
            )
        )
    except GetParameterError as error:
        raise Unreadable(f"the secret can't be read: {_code(error)}") from error
    except TransformParameterError as error:
        raise Unreadable("the secret is not JSON") from error
    except TimeUp as error:
        raise Unreadable("the secret can't be read: the time ran out") from error
    if not isinstance(content, dict):
        raise Unreadable("the secret is not a JSON object")
    if content is not _latest.content:
        _latest = Secret(content, time.monotonic())
    return _latest


def quarantine_queue_url() -> str:
    """Return the URL of the queue that keeps what can't be billed."""
    return os.environ["QUARANTINE_QUEUE_URL"]


def time_budget_seconds() -> float:
    """Return within how many seconds a call is to be answered."""
    return float(os.environ.get("TIME_BUDGET_SECONDS") or 3)


def park_after_seconds() -> float:
    """Return how long Segment may have had an event before we stop relying on it."""
    return float(os.environ.get("PARK_AFTER_SECONDS") or 3 * 60 * 60)


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


# Or each start of the function would log where AWS's credentials were found.
logging.getLogger("botocore").setLevel(logging.WARNING)
_latest = Secret({}, -math.inf)
# One quick attempt: if it fails, the call is answered 503 and Segment sends it again.
_secrets = SecretsProvider(
    boto_config=Config(
        connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1}
    )
)
