"""What to paste into Segment's Webhook destination.

https://www.twilio.com/docs/segment/connections/destinations/catalog/actions-webhook
"""

from collections.abc import Iterator

from segment_to_hyperline.doctor.findings import Unread, split
from segment_to_hyperline.doctor.installation import Installation
from segment_to_hyperline.secret import (
    SecretError,
    read_bearer_tokens,
    read_shared_secrets,
)


def describe_settings(found: Installation) -> Iterator[str]:
    """Yield the settings, with the secrets; raises `Unread`."""
    outputs = found.aws.stack.get().outputs
    fields = found.aws.secret.get().fields
    try:
        shared, tokens = read_shared_secrets(fields), read_bearer_tokens(fields)
    except SecretError as error:
        raise Unread(*split(str(error))) from error
    yield f"URL:            {outputs.get('WebhookUrl', 'the stack has none')}"
    yield "Method:         POST"
    if tokens.accepted:
        yield f"Header:         Authorization: Bearer {tokens.accepted[0]}"
    yield f"Shared secret:  {shared.accepted[0]}"
