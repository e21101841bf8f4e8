"""The fields of the secret in Secrets Manager."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any, NamedTuple

from segment_to_hyperline.credential_forms import is_same_name, read_form
from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.url import Endpoint, UrlError, choose_url

API_KEY = "hyperline_api_key"
SHARED_SECRET = "segment_shared_secret"  # noqa: S105 - the name of the field
BEARER_TOKEN = "segment_bearer_token"  # noqa: S105
_MIN_RANDOM_LENGTH = 16


class SecretError(Error):
    """Raised when the secret can't be read, or lacks a field; Segment then retries."""


class Credentials(NamedTuple):
    """What authenticates a request from our Segment workspace.

    The values of a field are in its order, each as it is meant. Those that are probably
    written by mistake follow as they are written, because Segment may have the same
    string.
    """

    shared_secrets: tuple[str, ...]
    bearer_tokens: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    """What to correct in the secret."""


@dataclass(frozen=True)
class Secret:
    """The fields of the secret, as they were read."""

    fields: dict[str, Any]
    read_at: float
    """When they were read (`time.time`)."""
    hyperline_url: str | None = None
    """The host to use instead of the one that belongs to the API key."""
    stale_reason: str = ""
    """Why this copy is used although it is too old; empty if it isn't."""
    version: str = ""
    """The id that Secrets Manager gave to this content."""

    @cached_property
    def credentials(self) -> Credentials:
        """What authenticates requests; raises `SecretError`."""
        shared = read_shared_secrets(self.fields)
        tokens = read_bearer_tokens(self.fields)
        warnings = (*shared.warnings, *tokens.warnings)
        return Credentials(shared.accepted, tokens.accepted, warnings)

    @cached_property
    def endpoint(self) -> Endpoint:
        """Where to post and read events; raises `SecretError`."""
        return find_endpoint(self.fields, self.hyperline_url)

    @cached_property
    def environment(self) -> str:
        """The environment of the API key, or nothing if there is no valid key."""
        try:
            return self.endpoint.environment
        except SecretError:
            return ""

    @cached_property
    def is_settled(self) -> bool:
        """Whether it can be used for minutes before it is read again.

        It can't if a field is missing or invalid. It can't either if the API key is for
        the sandbox: after a production key has replaced it, events posted with the old
        one are billed to nobody.
        """
        try:
            _ = self.credentials
            is_sandbox = self.endpoint.is_sandbox
        except SecretError:
            return False
        return not is_sandbox

    def age(self) -> float:
        """Return how many seconds ago the secret was read."""
        return seconds_since(self.read_at)


class Values(NamedTuple):
    """The values of a field."""

    accepted: tuple[str, ...]
    """In the order of the field, each as it is meant, and then as it is written."""
    warnings: tuple[str, ...]
    """What to correct."""


def read_shared_secrets(fields: Mapping[str, Any]) -> Values:
    """Return the shared secrets in the *fields* of a secret; raises `SecretError`."""
    name = SHARED_SECRET
    values = [_require_random(name, value) for value in _as_list(fields.get(name))]
    return Values(_accept(values), tuple(_warn(name, values)))


def read_bearer_tokens(fields: Mapping[str, Any]) -> Values:
    """Return the bearer tokens, of which there can be none; raises `SecretError`."""
    name = BEARER_TOKEN
    written = fields.get(name)
    if written is None:
        return Values((), tuple(_warn_of_name(name, fields)))
    values = [
        _require_header(name, _require_random(name, value))
        for value in _as_list(written)
    ]
    return Values(_accept(values), tuple(_warn(name, values)))


def find_endpoint(fields: Mapping[str, Any], url: str | None) -> Endpoint:
    """Return where to post and read events with the API key of *fields*.

    The host is *url*, or the one that belongs to the key. Raises `SecretError`.
    """
    name = API_KEY
    key = _require_header(name, _require_string(name, fields.get(name)))
    try:
        return Endpoint(choose_url(key, url), key)
    except UrlError as error:
        raise SecretError(str(error)) from error


def seconds_since(moment: float) -> float:
    """Return the seconds since *moment* (`time.time`), infinite if it is in the future.

    The monotonic clock is reported to stand still while Lambda freezes a sandbox. This
    one can be set back; then it is unknown how long ago *moment* was.
    """
    # https://github.com/hashicorp/vault-lambda-extension/pull/150
    elapsed = time.time() - moment
    return elapsed if elapsed >= 0 else inf


def _as_list(value: Any) -> list[Any]:
    """Return the values of a field, which is a list during a rotation."""
    return value if isinstance(value, list) and value else [value]


def _require_string(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise SecretError(f"the secret has no {name}: add it as a non-empty string")
    return value


def _accept(values: list[str]) -> tuple[str, ...]:
    """Return the *values* as they are meant, and then as they are written.

    What can be guessed is left out, such as a short string of a list that is stored as
    a string.
    """
    meant = [part for value in values for part in read_form(value).values]
    accepted = [v for v in meant if v.isprintable() and _is_long(v)]
    return tuple(dict.fromkeys([*accepted, *values]))


def _warn(name: str, values: list[str]) -> list[str]:
    """Return what is probably wrong with the *values* of a field, once each."""
    problems = [problem for v in values for problem in read_form(v).problems]
    return [f"the secret's {name} {problem}" for problem in dict.fromkeys(problems)]


def _warn_of_name(name: str, fields: Mapping[str, Any]) -> list[str]:
    """Return a warning if a field that is not used is almost called *name*."""
    similar = [n for n in fields if n != name and is_same_name(n, name)]
    return [f"the secret has a field {n!r}: rename it to {name}" for n in similar[:1]]


def _is_long(text: str) -> bool:
    return len(text.strip()) >= _MIN_RANDOM_LENGTH


def _require_random(name: str, value: Any) -> str:
    """Return *value* if it can be a random string; anyone who guesses it can bill."""
    text = _require_string(name, value)
    # HMAC treats trailing NUL characters of a key as absent.
    if not text.isprintable():
        raise SecretError(
            f"the secret's {name} contains a control character, for example a line"
            " break: remove it"
        )
    if not _is_long(text):
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
