"""Call the webhook as Segment's Webhooks destination does.

As a command: reads an event, or an array of events, from standard input and writes the
API Gateway call for it, signed with the local example secret, for `sam local invoke`.

https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
"""

import hashlib
import hmac
import json
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

# What the local stack and events/ use in the place of a real secret.
SHARED_SECRET = "local-example-secret"
BEARER_TOKEN = "local-example-token"


class Webhook(NamedTuple):
    """A call as Segment sends it: the body, and the headers that prove it genuine."""

    body: str
    headers: dict[str, str]


def sign(text: str | bytes, secret: str = SHARED_SECRET) -> str:
    """Return the X-Signature for *text*: hex HMAC-SHA1."""
    message = text.encode() if isinstance(text, str) else text
    return hmac.new(secret.encode(), message, hashlib.sha1).hexdigest()


def single(event: str) -> Webhook:
    """Return the call for one *event*, given as JSON: the whole body is signed."""
    return Webhook(event, _headers(sign(event)))


def array(events: Sequence[str]) -> Webhook:
    """Return the call for several *events*: Segment signs only the first."""
    return Webhook(f"[{','.join(events)}]", _headers(sign(events[0])))


def extensible(events: Sequence[str]) -> Webhook:
    """Return the call that "Extensible Webhook" makes of several *events*."""
    wrapped = ",".join(f'{{"json":{event}}}' for event in events)
    return Webhook(f"[{wrapped}]", _headers(sign(events[0])))


def write(content: Any) -> str:
    """Return *content* as JSON with no space in it, as JSON.stringify writes it."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def to_api_gateway(webhook: Webhook) -> dict[str, Any]:
    """Return the event that API Gateway passes to the function for *webhook*."""
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


if __name__ == "__main__":
    content = json.load(sys.stdin)
    webhook = (
        array([write(event) for event in content])
        if isinstance(content, list)
        else single(write(content))
    )
    json.dump(to_api_gateway(webhook), sys.stdout, indent=2, ensure_ascii=False)
    print()
