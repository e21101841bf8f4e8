"""Authenticate a request, and reject it only if no version of the secret accepts it.

Segment doesn't retry after 401, so a mistake in the secret must not lead to one.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.errors import Error
from segment_to_hyperline.secret import Secret, SecretError
from segment_to_hyperline.secret_cache import (
    read_previous_credentials,
    read_secret,
    refresh_credentials,
)
from segment_to_hyperline.segment.authentication import (
    AuthenticationError,
    is_plausible,
    verify_request,
)
from segment_to_hyperline.telemetry import LogLine


class PreviousSecretError(Error):
    """Raised when only the previous version of the secret authenticates a request."""


def authenticate(
    request: Mapping[str, Any], body: bytes, deadline: Deadline, line: LogLine
) -> Secret:
    """Return the secret that authenticates *request*; raise `AuthenticationError`.

    Before a request with a signature is rejected, a cached secret is read again,
    because it may have been rotated. `SecretError` and `PreviousSecretError`, after
    which Segment retries, are raised if the secret can be at fault.
    """
    secret = read_secret(deadline)
    try:
        return _verify(request, body, secret, line)
    except AuthenticationError:
        if not is_plausible(request):
            raise
    refreshed = refresh_credentials(secret, deadline)
    try:
        return _verify(request, body, refreshed, line)
    except AuthenticationError as error:
        _check_previous(request, body, refreshed, deadline)
        if warnings := refreshed.credentials.warnings:
            raise SecretError(
                f"the request is not authentic, perhaps because {'; '.join(warnings)}"
            ) from error
        raise


def _verify(
    request: Mapping[str, Any], body: bytes, secret: Secret, line: LogLine
) -> Secret:
    """Return *secret* if it authenticates *request*; raise `AuthenticationError`.

    If a field has several values, the number of the one that Segment uses is added to
    *line*, so that the owner knows when another one can be removed.
    """
    secrets, tokens, _warnings = secret.credentials
    match = verify_request(request, body, secrets, tokens)
    if len(secrets) > 1:
        line.add_fields(shared_secret_number=match.secret)
    if len(tokens) > 1:
        line.add_fields(bearer_token_number=match.token)
    return secret


def _check_previous(
    request: Mapping[str, Any], body: bytes, current: Secret, deadline: Deadline
) -> None:
    """Raise `PreviousSecretError` if the previous secret authenticates *request*.

    The signature and the token may belong to different versions. A version without a
    token requires none.
    """
    previous = read_previous_credentials(current, deadline)
    if previous is None:
        return
    secrets, tokens, _warnings = current.credentials
    secrets += previous.shared_secrets
    accepted = [tokens + previous.bearer_tokens]
    if tokens and not previous.bearer_tokens:
        accepted.append(())
    for either in accepted:
        with suppress(AuthenticationError):
            verify_request(request, body, secrets, either)
            raise PreviousSecretError(
                "the signature or the token is that of the previous version of the"
                " secret: set the current one in Segment, or put the previous one back"
            )
