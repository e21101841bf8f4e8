"""Authenticate requests: read the body and verify Segment's signature."""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from segment_to_hyperline.elements import MalformedBody
from segment_to_hyperline.errors import Error
from segment_to_hyperline.segment.events import parse_first_element
from segment_to_hyperline.segment.facts import USER_AGENT_PREFIX

# The hexadecimal form of an HMAC-SHA1, as Segment writes it.
_SIGNATURE = re.compile(rb"[0-9a-fA-F]{40}")
_USER_AGENT = USER_AGENT_PREFIX.encode()


class AuthenticationError(Error):
    """Raised when a request doesn't prove that it comes from our Segment workspace."""


class Match(NamedTuple):
    """What authenticated a request."""

    secret: int
    """The number of the shared secret, from 1."""
    token: int
    """The number of the bearer token, from 1; 0 if none is required."""


def read_body(request: Mapping[str, Any]) -> bytes:
    """Return the body of an API Gateway *request* (payload format 2.0), as sent.

    Raises `MalformedBody` if the body is flagged as base64 and isn't.
    """
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    body = request.get("body") or ""
    if not request.get("isBase64Encoded"):
        return _encode(body)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedBody(
            "the body is not base64, although API Gateway flagged it as such"
        ) from error


def verify_request(
    request: Mapping[str, Any],
    body: bytes,
    shared_secrets: Sequence[str],
    bearer_tokens: Sequence[str],
) -> Match:
    """Return which credentials prove that Segment sent *request* with this *body*.

    Raises `AuthenticationError` if none do.

    The signature must be made with one of *shared_secrets*. If there are
    *bearer_tokens*, the request must also have one of them, because the signature of an
    array covers only its first element.
    """
    # https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
    token = _find_token(request, bearer_tokens)
    if bearer_tokens and not token:
        raise AuthenticationError(
            "the Authorization header is missing or wrong: in Segment's mapping, set it"
            " to 'Bearer ' followed by the segment_bearer_token of the secret"
        )
    signature = _header(request, "x-signature")
    if secret := _find_secret(body, signature, shared_secrets):
        return Match(secret, token)
    first, more = parse_first_element(body, trusted=bool(bearer_tokens))
    secret = 0 if first is None else _find_secret(first, signature, shared_secrets)
    if not secret:
        raise AuthenticationError(
            "the X-Signature header is missing or wrong: the shared secret in Segment's"
            " settings must be the segment_shared_secret of the secret"
        )
    if more and not bearer_tokens:
        raise AuthenticationError(
            "the signature covers only the first event of the array: add a"
            " segment_bearer_token to the secret and, in Segment's mapping, set the"
            " Authorization header to 'Bearer ' followed by that token; or disable"
            " batching"
        )
    return Match(secret, token)


def is_plausible(request: Mapping[str, Any]) -> bool:
    """Return whether *request* has a signature that some shared secret could match."""
    return _SIGNATURE.fullmatch(_header(request, "x-signature")) is not None


def is_probably_segments(request: Mapping[str, Any]) -> bool:
    """Return whether *request* has a signature or Segment's user agent.

    Both can be forged, but requests of those who scan the internet have neither.
    """
    agent = _header(request, "user-agent")
    return bool(_header(request, "x-signature")) or agent.startswith(_USER_AGENT)


def sign(body: bytes, secret: str) -> str:
    """Return the X-Signature for *body*: the hexadecimal digits of its HMAC-SHA1."""
    return hmac.digest(_encode(secret), body, "sha1").hex()


def _encode(text: str) -> bytes:
    # A request can contain lone surrogates. They match no signature and no token, and
    # must not raise an exception here.
    return text.encode("utf-8", "surrogatepass")


def _header(request: Mapping[str, Any], name: str) -> bytes:
    """Return header *name*, repeated values joined by commas as API Gateway does."""
    headers = request.get("headers") or {}
    return _encode(",".join(v for k, v in headers.items() if k.lower() == name))


def _find_token(request: Mapping[str, Any], bearer_tokens: Sequence[str]) -> int:
    """Return the number of the token that *request* has, or 0."""
    scheme, _, token = _header(request, "authorization").partition(b" ")
    # All are compared, so that the time doesn't show which token matched.
    matches = [hmac.compare_digest(token, _encode(t)) for t in bearer_tokens]
    return _find_true(matches) if scheme.lower() == b"bearer" else 0


def _find_secret(message: bytes, signature: bytes, secrets: Sequence[str]) -> int:
    """Return the number of the secret with which *message* is signed, or 0."""
    digests = (sign(message, secret).encode() for secret in secrets)
    # All are compared here too, for the same reason.
    matches = [hmac.compare_digest(digest, signature.lower()) for digest in digests]
    return _find_true(matches)


def _find_true(matches: Sequence[bool]) -> int:
    return matches.index(True) + 1 if any(matches) else 0
