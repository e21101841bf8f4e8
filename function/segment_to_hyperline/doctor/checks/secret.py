"""Check the fields of the secret."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from segment_to_hyperline.credential_forms import is_same_name
from segment_to_hyperline.doctor.findings import (
    Finding,
    accept,
    doubt,
    reject,
    split,
    warn,
)
from segment_to_hyperline.doctor.installation import STACK_SECRET, Installation
from segment_to_hyperline.secret import (
    API_KEY,
    BEARER_TOKEN,
    SHARED_SECRET,
    SecretError,
    Values,
    read_bearer_tokens,
    read_shared_secrets,
)

_FIELDS = (API_KEY, SHARED_SECRET, BEARER_TOKEN)
_LATER = "remove the other one from the secret when Segment uses the new one"


def check_secret(found: Installation) -> Iterator[Finding]:
    """Whether it can be read, also by the functions, and has no unused field."""
    secret = found.aws.secret.get()
    yield accept(f"the secret '{secret.name}' can be read")
    if secret.key is None:
        yield doubt(
            "whether a customer managed key encrypts it, which the functions may not"
            " use",
            "add the permission secretsmanager:DescribeSecret",
        )
    elif secret.key:
        yield warn(
            f"it is encrypted with the key {secret.key}",
            "the functions need kms:Decrypt for it:"
            " docs/operations.md#use-a-customer-managed-key",
        )
    for name in secret.fields:
        similar = [f for f in _FIELDS if f != name and is_same_name(f, name)]
        for field in similar:
            yield reject(f"it has a field {name!r}", f"rename it to {field}")


def check_api_key(found: Installation) -> Iterator[Finding]:
    """Whether there is an API key, and of which environment."""
    endpoint, source = found.hyperline.access.get()
    shown = f"a key of Hyperline's {endpoint.environment}, for {endpoint.url}"
    if source == STACK_SECRET:
        yield accept(shown)
    else:
        yield doubt(f"{shown}, from {source}", "see what the secret has")


def check_shared_secret(found: Installation) -> Iterator[Finding]:
    """Whether Segment's signatures can be checked."""
    yield from _check(SHARED_SECRET, read_shared_secrets, found.aws.secret.get().fields)


def check_bearer_token(found: Installation) -> Iterator[Finding]:
    """Whether batches can be authenticated, which Segment doesn't sign."""
    fields = found.aws.secret.get().fields
    if fields.get(BEARER_TOKEN) is None:
        yield warn(
            f"there is no {BEARER_TOKEN}, so batches get 401",
            "add it, and the header Authorization in Segment, before you enable"
            " batches there",
        )
    else:
        yield from _check(BEARER_TOKEN, read_bearer_tokens, fields)


def _check(
    name: str,
    read: Callable[[Mapping[str, Any]], Values],
    fields: Mapping[str, Any],
) -> Iterator[Finding]:
    try:
        values = read(fields)
    except SecretError as error:
        yield reject(*split(str(error)))
        return
    for warning in values.warnings:
        yield reject(*split(warning))
    number = len(fields[name]) if isinstance(fields[name], list) else 1
    if number > 1:
        yield warn(f"{number} values are accepted during a rotation", _LATER)
    elif not values.warnings:
        yield accept(f"{name} is set")
