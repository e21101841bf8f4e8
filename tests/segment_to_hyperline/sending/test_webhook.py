"""Requests are those of Segment, whoever builds them."""

import json

import pytest

from segment_to_hyperline.segment.authentication import sign
from segment_to_hyperline.sending.webhook import Signer, write
from tests.samples import track

SECRET = "a-shared-secret"
EVENT = write(track(userId="ü \u2028 \U0001f600"))


def test_the_body_of_an_event_is_signed() -> None:
    """The headers are those of Segment's client."""
    webhook = Signer(SECRET, "token").single(EVENT)

    assert webhook.body == EVENT
    assert webhook.headers == {
        "Content-Type": "application/json",
        "User-Agent": "Segment (Actions)",
        "X-Signature": sign(EVENT.encode(), SECRET),
        "Authorization": "Bearer token",
    }


@pytest.mark.parametrize(
    ("kind", "body"), [("array", "[{},1]"), ("extensible", '[{"json":{}},{"json":1}]')]
)
def test_the_first_event_of_an_array_is_signed(kind: str, body: str) -> None:
    """As Segment does, although it wraps the events of the Extensible Webhook."""
    webhook = getattr(Signer(SECRET, "token"), kind)(["{}", "1"])

    assert webhook.body == body
    assert webhook.headers["X-Signature"] == sign(b"{}", SECRET)


def test_the_current_credentials_are_used() -> None:
    """During a rotation, the first ones; without a token, there is no header."""
    signer = Signer.create([SECRET, "an-older-secret"], [])

    headers = signer.single(EVENT).headers

    assert headers["X-Signature"] == sign(EVENT.encode(), SECRET)
    assert "Authorization" not in headers
    assert Signer.create([SECRET], ["new", "old"]).bearer_token == "new"


def test_an_event_with_a_lone_surrogate() -> None:
    """It is escaped, because UTF-8 has none."""
    text = write(track(userId="\ud800"))

    assert json.loads(text.encode())["userId"] == "\ud800"
