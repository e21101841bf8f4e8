"""Authenticate requests: read the body and verify Segment's signature.

Pure: no network, no environment, no clock.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from forwarder.elements import MalformedBody
from forwarder.segment.events import parse_first_element


class AuthenticationError(Exception):
    """Raised when a request doesn't prove that it comes from our Segment workspace."""


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
) -> None:
    """Raise `AuthenticationError` unless Segment sent this *request* with this *body*.

    The signature must be made with one of *shared_secrets*. If there are
    *bearer_tokens*, the request must also have one of them, because the signature of an
    array covers only its first element.
    """
    # https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
    if bearer_tokens and not _has_token(request, bearer_tokens):
        raise AuthenticationError(
            "the Authorization header is missing or wrong: in Segment's mapping, set it"
            " to 'Bearer ' followed by the segment_bearer_token of the secret"
        )
    signature = _header(request, "x-signature")
    if _is_signed(body, signature, shared_secrets):
        return
    first, more = parse_first_element(body, trusted=bool(bearer_tokens))
    if first is None or not _is_signed(first, signature, shared_secrets):
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


def _encode(text: str) -> bytes:
    # A request can contain lone surrogates. They match no signature and no token, and
    # must not raise an exception here.
    return text.encode("utf-8", "surrogatepass")


def _header(request: Mapping[str, Any], name: str) -> bytes:
    """Return header *name*, repeated values joined by commas as API Gateway does."""
    headers = request.get("headers") or {}
    return _encode(",".join(v for k, v in headers.items() if k.lower() == name))


def _has_token(request: Mapping[str, Any], bearer_tokens: Sequence[str]) -> bool:
    scheme, _, token = _header(request, "authorization").partition(b" ")
    # A list and not a generator, so that the time doesn't show which token matched.
    matches = [hmac.compare_digest(token, _encode(t)) for t in bearer_tokens]
    return scheme.lower() == b"bearer" and any(matches)


def _is_signed(message: bytes, signature: bytes, secrets: Sequence[str]) -> bool:
    digests = (hmac.new(_encode(s), message, hashlib.sha1).hexdigest() for s in secrets)
    # A list here too, for the same reason.
    matches = [hmac.compare_digest(d.encode(), signature.lower()) for d in digests]
    return any(matches)
