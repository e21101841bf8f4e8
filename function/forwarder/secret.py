"""The secret in Secrets Manager: what it contains, and how it is cached."""

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from forwarder import config
from forwarder.aws.clients import error_code, secrets_manager
from forwarder.deadline import Deadline, DeadlineExceeded
from forwarder.hyperline.facts import HOSTS, SANDBOX_KEY_PREFIX

# A rotated secret is picked up within this time, or as soon as the old one fails.
_MAX_AGE_SECONDS = 300
# A copy younger than this is not read again. Otherwise each unsigned request would be a
# request to Secrets Manager.
_FRESH_SECONDS = 10

_copies: dict[str, "Secret"] = {}


class SecretError(Exception):
    """Raised when the secret can't be read, or lacks a field; Segment then retries."""


class Credentials(NamedTuple):
    """What authenticates a request from our Segment workspace."""

    shared_secrets: tuple[str, ...]
    bearer_tokens: tuple[str, ...]


class Endpoint(NamedTuple):
    """Hyperline's host, and the API key for it."""

    url: str
    api_key: str

    @property
    def is_sandbox(self) -> bool:
        """Whether events posted there are billed to nobody."""
        return self.api_key.startswith(SANDBOX_KEY_PREFIX)


@dataclass(frozen=True)
class Secret:
    """The fields of the secret, and when they were read (`time.monotonic`)."""

    fields: dict[str, Any]
    read_at: float

    def credentials(self) -> Credentials:
        """Return what authenticates requests; raises `SecretError`."""
        tokens = self.fields.get("segment_bearer_token")
        return Credentials(
            tuple(
                _require_string("segment_shared_secret", value)
                for value in _as_list(self.fields.get("segment_shared_secret"))
            ),
            tuple(
                _require_token("segment_bearer_token", value)
                for value in ([] if tokens is None else _as_list(tokens))
            ),
        )

    def endpoint(self) -> Endpoint:
        """Return where to post events; raises `SecretError`.

        The host is the one that belongs to the key, unless `HYPERLINE_URL` is set.
        """
        key = _require_token("hyperline_api_key", self.fields.get("hyperline_api_key"))
        hosts = (host for prefix, host in HOSTS.items() if key.startswith(prefix))
        url = config.hyperline_url() or next(hosts, None)
        if url is None:
            raise SecretError(
                "hyperline_api_key begins with neither prod_ nor test_: put a Hyperline"
                " API key into the secret, or set HYPERLINE_URL"
            )
        return Endpoint(url.rstrip("/"), key)

    def age(self) -> float:
        """Return how many seconds ago the secret was read."""
        return time.monotonic() - self.read_at


def read_secret(deadline: Deadline) -> Secret:
    """Return the secret, at most 5 minutes old; raises `SecretError`."""
    copy = _copies.get(config.secret_id())
    return copy if copy and copy.age() <= _MAX_AGE_SECONDS else _fetch(deadline)


def refresh_secret(secret: Secret, deadline: Deadline) -> Secret | None:
    """Return the secret as it is now, after *secret* was rejected by somebody.

    Returns None if *secret* was read within the last 10 seconds, so that it can't have
    been the cached copy that was at fault. Raises `SecretError`.
    """
    return None if secret.age() < _FRESH_SECONDS else _fetch(deadline)


def _fetch(deadline: Deadline) -> Secret:
    name = config.secret_id()
    try:
        read = partial(secrets_manager.get_secret_value, SecretId=name)
        fields = json.loads(deadline.run(read).get("SecretString", ""))
    except (BotoCoreError, ClientError) as error:
        raise SecretError(f"the secret can't be read: {error_code(error)}") from error
    except DeadlineExceeded as error:
        raise SecretError("the secret can't be read: deadline exceeded") from error
    except (ValueError, RecursionError) as error:
        raise SecretError("the secret is not JSON") from error
    if not isinstance(fields, dict):
        raise SecretError("the secret is not a JSON object")
    _copies[name] = Secret(fields, time.monotonic())
    return _copies[name]


def _as_list(value: Any) -> list[Any]:
    """Return the values of a field, which is a list during a rotation."""
    return value if isinstance(value, list) and value else [value]


def _require_string(name: str, value: Any) -> str:
    # An empty shared secret would authenticate everybody.
    if not isinstance(value, str) or not value:
        raise SecretError(f"the secret has no {name}: add it as a non-empty string")
    return value


def _require_token(name: str, value: Any) -> str:
    token = _require_string(name, value)
    if not token.isascii() or not token.isprintable():
        raise SecretError(
            f"the secret's {name} contains characters that an HTTP header can't"
        )
    return token
