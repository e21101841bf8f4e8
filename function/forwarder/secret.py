"""The fields of the secret in Secrets Manager."""

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from forwarder import config
from forwarder.hyperline.facts import PRODUCTION, SANDBOX, SANDBOX_KEY_PREFIX
from forwarder.hyperline.url import UrlError, choose_url

_MIN_RANDOM_LENGTH = 16


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

    @property
    def environment(self) -> str:
        """The environment that the key belongs to.

        A key with an unknown prefix, which requires `HYPERLINE_URL`, is one of
        production, because it may be that somebody is billed.
        """
        return SANDBOX if self.is_sandbox else PRODUCTION


@dataclass(frozen=True)
class Secret:
    """The fields of the secret, and when they were read (`time.monotonic`).

    A copy that is used because the secret can't be read has a *stale_reason*.
    """

    fields: dict[str, Any]
    read_at: float
    stale_reason: str = ""

    def credentials(self) -> Credentials:
        """Return what authenticates requests; raises `SecretError`."""
        tokens = self.fields.get("segment_bearer_token")
        return Credentials(
            tuple(
                _require_random("segment_shared_secret", value)
                for value in _as_list(self.fields.get("segment_shared_secret"))
            ),
            tuple(
                _require_header(
                    "segment_bearer_token",
                    _require_random("segment_bearer_token", value),
                )
                for value in ([] if tokens is None else _as_list(tokens))
            ),
        )

    def endpoint(self) -> Endpoint:
        """Return where to post and read events; raises `SecretError`.

        The host is the one that belongs to the key, unless `HYPERLINE_URL` is set.
        """
        value = self.fields.get("hyperline_api_key")
        key = _require_header(
            "hyperline_api_key", _require_string("hyperline_api_key", value)
        )
        try:
            return Endpoint(choose_url(key, config.hyperline_url()), key)
        except UrlError as error:
            raise SecretError(str(error)) from error

    @cached_property
    def environment(self) -> str:
        """The environment of the API key, or nothing if there is no valid key."""
        try:
            return self.endpoint().environment
        except SecretError:
            return ""

    @cached_property
    def is_complete(self) -> bool:
        """Whether no field is missing or invalid."""
        try:
            self.credentials()
            self.endpoint()
        except SecretError:
            return False
        return True

    def age(self) -> float:
        """Return how many seconds ago the secret was read."""
        return time.monotonic() - self.read_at


def _as_list(value: Any) -> list[Any]:
    """Return the values of a field, which is a list during a rotation."""
    return value if isinstance(value, list) and value else [value]


def _require_string(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise SecretError(f"the secret has no {name}: add it as a non-empty string")
    return value


def _require_random(name: str, value: Any) -> str:
    """Return *value* if it can be a random string; anyone who guesses it can bill."""
    text = _require_string(name, value)
    # HMAC treats trailing NUL characters of a key as absent.
    if not text.isprintable():
        raise SecretError(
            f"the secret's {name} contains a control character, for example a line"
            " break: remove it"
        )
    if len(text.strip()) < _MIN_RANDOM_LENGTH:
        raise SecretError(
            f"the secret's {name} is shorter than {_MIN_RANDOM_LENGTH} characters:"
            " create one with `openssl rand -hex 32`, and set it in Segment too"
        )
    return text


def _require_header(name: str, value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise SecretError(
            f"the secret's {name} contains characters that are not allowed in an HTTP"
            " header"
        )
    return value
