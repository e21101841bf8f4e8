"""Build the requests that Segment's Webhooks destination sends.

Pure: no network, no environment, no clock.
https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from segment_to_hyperline.segment.authentication import sign

_USER_AGENT = "Segment (Actions)"
# These prove that a request is Segment's, so they are never shown.
SECRET_HEADERS = frozenset(("X-Signature", "Authorization"))


class Webhook(NamedTuple):
    """A request as Segment sends it."""

    body: str
    headers: dict[str, str]
    """The headers, which authenticate it."""


class Signer(NamedTuple):
    """The credentials that are entered in Segment, which sign requests."""

    shared_secret: str
    bearer_token: str | None
    """None if Segment sends no Authorization header."""

    @classmethod
    def create(cls, secrets: Sequence[str], tokens: Sequence[str]) -> Self:
        """Return the signer with the current credentials, which are the first ones."""
        return cls(secrets[0], tokens[0] if tokens else None)

    def single(self, event: str) -> Webhook:
        """Return the request for one *event*, a JSON text; the body is signed."""
        return self._sign(event, event)

    def array(self, events: Sequence[str]) -> Webhook:
        """Return the request for several *events*; Segment signs only the first."""
        return self._sign(f"[{','.join(events)}]", events[0])

    def extensible(self, events: Sequence[str]) -> Webhook:
        """Return the request for several *events* from the Extensible Webhook."""
        wrapped = (f'{{"json":{event}}}' for event in events)
        return self._sign(f"[{','.join(wrapped)}]", events[0])

    def _sign(self, body: str, signed: str) -> Webhook:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": _USER_AGENT,
            "X-Signature": sign(signed.encode(), self.shared_secret),
        }
        if self.bearer_token:
            headers["Authorization"] = f"Bearer {self.bearer_token}"
        return Webhook(body, headers)


def write(content: Any) -> str:
    """Return *content* as JSON without spaces, as JSON.stringify writes it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can only have escaped
        return json.dumps(content, separators=(",", ":"))
    return text
