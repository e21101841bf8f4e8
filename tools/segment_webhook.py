"""Sign a body as Segment's Webhooks destination does, and send it.

https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
"""

import hashlib
import hmac
from collections.abc import Sequence

# What the local stack, the demo and events/ use in the place of a real secret.
SHARED_SECRET = "local-example-secret"  # noqa: S105
BEARER_TOKEN = "local-example-token"  # noqa: S105


def sign(body: str, secret: str = SHARED_SECRET) -> str:
    """Return the X-Signature of a call whose body is *body*."""
    return hmac.new(secret.encode(), body.encode(), hashlib.sha1).hexdigest()


def single(event: str) -> tuple[str, dict[str, str]]:
    """Return body and headers of a call that carries one event, given as JSON."""
    return event, {"X-Signature": sign(event)}
