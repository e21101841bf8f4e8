"""Hostile requests without a signature: what they cost, and that they are rejected."""

import base64
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import Webhook, sign, to_api_gateway
from tests.conftest import Secret, Send

# The largest payload that Lambda accepts.
SIZE = 6_000_000
MEGABYTE = 1_000_000


def repeat(element: str) -> str:
    """Return an array of as many *elements* as fit a request."""
    return f"[{','.join([element] * (SIZE // (len(element) + 1)))}]"


NESTED = '{"json":' * 900 + "1" + "}" * 900
BODIES = {
    "deeply nested wrappers": repeat(NESTED),
    "a single deeply nested element": '[{"json":' * (SIZE // 9),
    "many small elements": repeat("[]"),
    "many wrapped objects": repeat('{"json":{}}'),
    "a large element": f'[{{"json":{repeat("{}")}}}]',
    "brackets": "[" * SIZE,
    "spaces": f"[{' ' * SIZE}{{}}]",
    "a large object": f'{{"a":{repeat("[[]]")}}}',
    "a long text": f'["{"x" * SIZE}"]',
}


def measure_peak(send: Callable[[], Any]) -> int:
    """Return the most memory that Python allocates while *send* runs, in bytes."""
    tracemalloc.start()
    try:
        send()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("is_encoded", [False, True])
def test_an_unsigned_request_needs_little_memory(
    send: Send, hyperline: FakeHyperline, name: str, *, is_encoded: bool
) -> None:
    """The body is copied a few times, and not decoded, which needs 600 MB."""
    request = to_api_gateway(Webhook(BODIES[name], {"X-Signature": "0" * 40}))
    if is_encoded:
        encoded = base64.b64encode(BODIES[name].encode()).decode()
        request |= {"body": encoded, "isBase64Encoded": True}

    peak = measure_peak(lambda: send_rejected(send, request))

    assert peak < 30 * MEGABYTE
    assert hyperline.requests == []


def send_rejected(send: Send, request: dict[str, Any]) -> None:
    """Send *request*, which is rejected."""
    assert send(request).status == 401


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_with_the_token_is_rejected(
    send: Send, secret: Secret, name: str
) -> None:
    """Whoever has the token is trusted with memory, and still needs a signature."""
    secret.put(segment_bearer_token="t" * 16)
    headers = {"X-Signature": "0" * 40, "Authorization": f"Bearer {'t' * 16}"}

    assert send(Webhook(BODIES[name], headers)).status == 401


def test_an_event_after_the_decoded_part_is_not_smuggled_in(
    send: Send, hyperline: FakeHyperline
) -> None:
    """Without a token, a signed event is accepted alone, however much space follows."""
    event = json.dumps({"type": "track", "event": "A", "messageId": "m"})
    forged = json.dumps({"type": "track", "event": "B", "messageId": "n"})
    space = " " * 70_000
    headers = {"X-Signature": sign(event)}

    for body in (
        f"[{event},{space}{forged}]",
        f"[{event}{space},{forged}]",
        f"[{event},{' ' * (65_535 - len(event) - 2)}{forged}]",
        f"[{event}]{space}[{forged}]",
    ):
        assert send(Webhook(body, headers)).status in {400, 401}
    assert hyperline.requests == []
