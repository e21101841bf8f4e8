"""Create the request as Segment does, and send it.

https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from segment_to_hyperline.doctor.send.replies import NoResponse, Response
from segment_to_hyperline.reconciliation.api.client import create_session
from segment_to_hyperline.reconciliation.api.failures import explain_error
from segment_to_hyperline.secret import Secret
from segment_to_hyperline.segment.authentication import sign
from segment_to_hyperline.segment.facts import RESPONSE_TIMEOUT_SECONDS

_USER_AGENT = "Segment (Actions)"
# These prove that a request is Segment's, so they are never shown.
SECRET_HEADERS = frozenset(("X-Signature", "Authorization"))


class Request(NamedTuple):
    """A POST request, as Segment sends it."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def create_request(url: str, event: Mapping[str, Any], secret: Secret) -> Request:
    """Return the signed request for one event; raises `SecretError`."""
    secrets, tokens, _warnings = secret.credentials
    body = _write(event)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": _USER_AGENT,
        "X-Signature": sign(body, secrets[0]),
    }
    if tokens:
        headers["Authorization"] = f"Bearer {tokens[0]}"
    return Request(url, headers, body)


def post(request: Request) -> Response | NoResponse:
    """Send *request* once, and wait for the response as long as Segment does.

    Redirects are not followed.
    """
    try:
        with create_session(request.url) as session:
            response = session.post(
                request.url,
                request.body,
                headers=request.headers,
                timeout=RESPONSE_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
            return Response(response.status_code, response.content)
    except (OSError, ValueError, TypeError) as error:
        return NoResponse(explain_error(error).describe())


def _write(event: Mapping[str, Any]) -> bytes:
    """Return the JSON of *event* as JSON.stringify writes it."""
    try:
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can only have escaped
        return json.dumps(event, separators=(",", ":")).encode()
