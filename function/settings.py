"""Everything read from the environment and from Secrets Manager."""

import json
import os
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

import aws
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
    bearer_tokens: tuple[str, ...]


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
        name, other = "segment_shared_secret", "segment_bearer_token"
        shared, bearer = self.content.get(name), self.content.get(other)
        tokens = [] if bearer is None else _several(bearer)
        return Workspace(
            tuple(_require(name, value) for value in _several(shared)),
            tuple(_require_token(other, value) for value in tokens),
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
        return self.age() < _SECRET_FRESH_SECONDS

    def age(self) -> float:
        """Return how many seconds ago it was read."""
        return time.monotonic() - self.read_at


def read_secret(deadline: Deadline, *, refresh: bool = False) -> Secret:
    """Return the secret, not older than 5 minutes; raises `Unreadable`."""
    name = os.environ["SECRET_ID"]
    copy = _copies.get(name)
    if copy is None or refresh or copy.age() > _SECRET_MAX_AGE_SECONDS:
        copy = _copies[name] = Secret(_fetch(name, deadline), time.monotonic())
    return copy


def _fetch(name: str, deadline: Deadline) -> dict[str, Any]:
    try:
        read = partial(aws.secrets_manager.get_secret_value, SecretId=name)
        content = json.loads(deadline.run(read).get("SecretString", ""))
    except (BotoCoreError, ClientError) as error:
        raise Unreadable(f"the secret can't be read: {aws.code(error)}") from error
    except TimeUp as error:
        raise Unreadable("the secret can't be read: the time ran out") from error
    except (ValueError, RecursionError) as error:
        raise Unreadable("the secret is not JSON") from error
    if not isinstance(content, dict):
        raise Unreadable("the secret is not a JSON object")
    return content


def quarantine_queue_url() -> str:
    """Return the URL of the queue that keeps what can't be billed."""
    return os.environ["QUARANTINE_QUEUE_URL"]


def time_budget_seconds() -> float:
    """Return within how many seconds a call is to be answered."""
    return float(os.environ.get("TIME_BUDGET_SECONDS") or 3)


def park_after_seconds() -> float:
    """Return how long Segment may have had an event before we stop relying on it."""
    return float(os.environ.get("PARK_AFTER_SECONDS") or 3 * 60 * 60)


def _several(value: Any) -> list[Any]:
    """Return the values while one is rotated: a list of them; else the only one."""
    return value if isinstance(value, list) and value else [value]


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


_copies: dict[str, Secret] = {}
