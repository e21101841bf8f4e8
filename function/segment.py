"""Inbound: is the call genuine.

Pure: no network, no environment, no clock.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from payload import Malformed, first_element


class Forged(Exception):
    """Refuse the call: it does not prove that it comes from our Segment workspace."""


def read_body(call: Mapping[str, Any]) -> bytes:
    """Return the bytes Segment sent, from an API Gateway call (payload format 2.0).

    Raises `Malformed` for a body that is flagged as base64 and is not.
    """
    body = call.get("body") or ""
    if not call.get("isBase64Encoded"):
        return _encode(body)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("the body is not base64, as API Gateway says it is") from error


def authenticate(
    call: Mapping[str, Any],
    body: bytes,
    shared_secrets: Sequence[str],
    bearer_tokens: Sequence[str],
) -> None:
    """Raise `Forged` unless *call* proves that Segment sent this *body* for us.

    Any of the *shared_secrets* may have made the signature, and the call must carry any
    of the *bearer_tokens*, if there are some. For an array Segment signs only the first
    element, so what follows it is proved by the token alone.
    """
    # https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
    if bearer_tokens and not _carries(call, bearer_tokens):
        raise Forged(
            "the Authorization header is missing or wrong: in Segment's mapping, set it"
            " to 'Bearer ' and the segment_bearer_token of the secret"
        )
    signature = _header(call, "x-signature")
    if _is_signed(body, signature, shared_secrets):
        return
    first, more = first_element(body)
    if first is None or not _is_signed(first, signature, shared_secrets):
        raise Forged(
            "the X-Signature header is missing or wrong: the shared secret in Segment's"
            " settings must be the segment_shared_secret of the secret"
        )
    if more and not bearer_tokens:
        raise Forged(
            "the signature covers only the first event of the array: put a"
            " segment_bearer_token into the secret and, in Segment's mapping, set the"
            " Authorization header to 'Bearer ' and that token; or turn batching off"
        )


def _encode(text: str) -> bytes:
    # A call may hold lone surrogates, which no signature or token matches and which
    # must not crash the comparison.
    return text.encode("utf-8", "surrogatepass")


def _header(call: Mapping[str, Any], name: str) -> bytes:
    """Return header *name*, repeated values joined by commas as API Gateway does it."""
    headers = call.get("headers") or {}
    return _encode(",".join(v for k, v in headers.items() if k.lower() == name))


def _carries(call: Mapping[str, Any], bearer_tokens: Sequence[str]) -> bool:
    scheme, _, token = _header(call, "authorization").partition(b" ")
    # A list, so that the time taken does not tell which token it was.
    known = [hmac.compare_digest(token, _encode(t)) for t in bearer_tokens]
    return scheme.lower() == b"bearer" and any(known)


def _is_signed(message: bytes, signature: bytes, secrets: Sequence[str]) -> bool:
    digests = (hmac.new(_encode(s), message, hashlib.sha1).hexdigest() for s in secrets)
    # A list, so that the time taken does not tell which secret matched.
    return any([hmac.compare_digest(d.encode(), signature.lower()) for d in digests])  # noqa: C419
