"""A request is sent once, and a problem is a result."""

import json
from typing import Any

import pytest

from local_stack.fake_api import Ending, FakeResponse
from local_stack.segment_requests import Webhook, single, write
from segment_to_hyperline.sending.posting import post
from segment_to_hyperline.sending.responses import NoResponse, Response
from tests.samples import track
from tests.segment_to_hyperline.sending.gateway import FakeGateway

URL = "http://127.0.0.1:9/segment"


def test_it_is_sent_once(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """The URL receives these bytes and headers, whatever .netrc says."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    webhook = single(write(track()))

    response = post(f"{gateway.url}/segment", webhook)

    assert isinstance(response, Response)
    assert response.status == 200
    assert json.loads(response.body)["delivered"] == 1
    (received,) = gateway.requests
    assert received.body.decode() == webhook.body
    assert webhook.headers.items() <= received.headers.items()


def test_a_redirect_is_not_followed(gateway: FakeGateway) -> None:
    """Another URL must not receive the token."""
    gateway.respond(
        FakeResponse(307, b"", headers={"Location": f"{gateway.url}/other"})
    )

    response = post(f"{gateway.url}/segment", Webhook("{}", {}))

    assert response == Response(307, b"")
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (URL, "the connection is refused"),
        ("http://host.invalid/segment", "the host name is unknown"),
        ("https://", ""),
        ("none", ""),
    ],
)
def test_no_response(url: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a result, and no exception."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    response = post(url, Webhook("{}", {}))

    assert isinstance(response, NoResponse)
    assert reason in response.reason


def test_a_lost_connection(gateway: FakeGateway) -> None:
    """The request is not repeated, since Segment decides about retries."""
    gateway.respond(FakeResponse(ending=Ending.CLOSED))

    response = post(f"{gateway.url}/segment", Webhook("{}", {}))

    assert response == NoResponse("the connection was lost")
    assert len(gateway.requests) == 1
