"""Build the requests that Segment's Webhooks destination sends.

https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segment_to_hyperline.segment import authentication

# Used by the local stack and events/ instead of real secrets.
SHARED_SECRET = "local-example-secret"
BEARER_TOKEN = "local-example-token"


class Webhook(NamedTuple):
    """A request as Segment sends it."""

    body: str
    headers: dict[str, str]
    """The headers, which authenticate it."""


def sign(text: str | bytes, secret: str = SHARED_SECRET) -> str:
    """Return the X-Signature for *text*, by default with the example secret."""
    body = text.encode() if isinstance(text, str) else text
    return authentication.sign(body, secret)


def single(event: str) -> Webhook:
    """Return the request for one *event*, given as JSON; the whole body is signed."""
    return Webhook(event, _headers(sign(event)))


def array(events: Sequence[str]) -> Webhook:
    """Return the request for several *events*; Segment signs only the first."""
    return Webhook(f"[{','.join(events)}]", _headers(sign(events[0])))


def extensible(events: Sequence[str]) -> Webhook:
    """Return the request for several *events* from the Extensible Webhook."""
    wrapped = ",".join(f'{{"json":{event}}}' for event in events)
    return Webhook(f"[{wrapped}]", _headers(sign(events[0])))


def write(content: Any) -> str:
    """Return *content* as JSON without spaces, as JSON.stringify writes it."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def read_sdk_events() -> list[str]:
    """Return 60 events that Segment's SDKs created, each as JSON."""
    text = Path(__file__).with_name("segment-events.ndjson").read_text("utf-8")
    # JSON strings can contain line separators at which splitlines would split.
    return text.removesuffix("\n").split("\n")


def to_api_gateway(webhook: Webhook) -> dict[str, Any]:
    """Return the request that API Gateway passes to the function for *webhook*."""
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    return {
        "version": "2.0",
        "routeKey": "POST /segment",
        "rawPath": "/segment",
        "rawQueryString": "",
        "headers": {name.lower(): value for name, value in webhook.headers.items()},
        "requestContext": {
            "http": {"method": "POST", "path": "/segment", "protocol": "HTTP/1.1"},
            "routeKey": "POST /segment",
            "stage": "$default",
        },
        "body": webhook.body,
        "isBase64Encoded": False,
    }


def _headers(signature: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "Segment (Actions)",
        "X-Signature": signature,
        "Authorization": f"Bearer {BEARER_TOKEN}",
    }
