"""Requests of Segment to the local stack, and what API Gateway makes of them."""

from pathlib import Path
from typing import Any

from segment_to_hyperline.segment import authentication
from segment_to_hyperline.sending.local import BEARER_TOKEN, SHARED_SECRET, SIGNER
from segment_to_hyperline.sending.webhook import Webhook, write

# What creates and signs a request is in the installed package.
__all__ = ["BEARER_TOKEN", "SHARED_SECRET", "Webhook", "write"]

single = SIGNER.single
array = SIGNER.array
extensible = SIGNER.extensible


def sign(text: str | bytes, secret: str = SHARED_SECRET) -> str:
    """Return the X-Signature for *text*, by default with the example secret."""
    body = text.encode() if isinstance(text, str) else text
    return authentication.sign(body, secret)


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
