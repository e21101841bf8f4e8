"""The request is one of Segment's, and is sent once."""

import json
from typing import Any

import pytest

from local_stack.fake_api import Ending, FakeResponse
from local_stack.segment_requests import BEARER_TOKEN, SHARED_SECRET, single, write
from segment_to_hyperline.doctor.send.replies import NoResponse, Response
from segment_to_hyperline.doctor.send.request import Request, create_request, post
from segment_to_hyperline.secret import Secret, SecretError
from tests.samples import track
from tests.segment_to_hyperline.doctor.send.gateway import FakeGateway

URL = "http://127.0.0.1:9/segment"


def create_secret(**changes: Any) -> Secret:
    """Return a secret with *changes*."""
    fields = {
        "segment_shared_secret": SHARED_SECRET,
        "segment_bearer_token": BEARER_TOKEN,
    }
    return Secret(fields | changes, 0)


@pytest.mark.parametrize("event", [track(), track(userId="ü \u2028 \U0001f600")])
def test_the_request_is_that_of_segment(event: dict[str, Any]) -> None:
    """Its bytes, its headers, and its signature."""
    request = create_request(URL, event, create_secret())

    webhook = single(write(event))
    assert request == (URL, webhook.headers, webhook.body.encode())


def test_the_current_credentials_are_used() -> None:
    """During a rotation, the first ones; without a token, there is no header."""
    secret = create_secret(
        segment_shared_secret=[SHARED_SECRET, "an-older-shared-secret"],
        segment_bearer_token=None,
    )

    headers = create_request(URL, track(), secret).headers

    expected = single(write(track())).headers
    del expected["Authorization"]
    assert headers == expected


def test_an_event_with_a_lone_surrogate() -> None:
    """It is escaped, because UTF-8 has none."""
    body = create_request(URL, track(userId="\ud800"), create_secret()).body

    assert json.loads(body)["userId"] == "\ud800"


def test_a_secret_without_a_shared_secret() -> None:
    """Nothing can be signed."""
    with pytest.raises(SecretError):
        create_request(URL, track(), create_secret(segment_shared_secret=None))


def test_it_is_sent_once(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """The URL receives these bytes and headers, whatever .netrc says."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    request = create_request(f"{gateway.url}/segment", track(), create_secret())

    response = post(request)

    assert isinstance(response, Response)
    assert response.status == 200
    assert json.loads(response.body)["delivered"] == 1
    (received,) = gateway.requests
    assert received.body == request.body
    assert request.headers.items() <= received.headers.items()


def test_a_redirect_is_not_followed(gateway: FakeGateway) -> None:
    """Another URL must not receive the token."""
    gateway.respond(
        FakeResponse(307, b"", headers={"Location": f"{gateway.url}/other"})
    )

    response = post(Request(f"{gateway.url}/segment", {}, b"{}"))

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

    response = post(Request(url, {}, b"{}"))

    assert isinstance(response, NoResponse)
    assert reason in response.reason


def test_a_lost_connection(gateway: FakeGateway) -> None:
    """The request is not repeated, since Segment decides about retries."""
    gateway.respond(FakeResponse(ending=Ending.CLOSED))

    response = post(Request(f"{gateway.url}/segment", {}, b"{}"))

    assert response == NoResponse("the connection was lost")
    assert len(gateway.requests) == 1
