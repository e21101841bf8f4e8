"""Authentication: which requests are from our Segment workspace."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from local_stack.segment_requests import array, sign, single, to_api_gateway
from segment_to_hyperline.elements import MalformedBody
from segment_to_hyperline.segment import authentication
from segment_to_hyperline.segment.authentication import (
    AuthenticationError,
    read_body,
    verify_request,
)
from segment_to_hyperline.segment.events import parse_body

CAPTURED = Path(__file__).parents[2] / "captured"
SECRET = "sample-secret"
TOKEN = "token"
FIRST, SECOND = '{"messageId":"ü-1"}', '{"messageId":"2"}'
ARRAY = f"[{FIRST},{SECOND}]"


def captured(name: str) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a request that Segment's client sent."""
    head, _, body = (CAPTURED / name).read_bytes().partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines), body


def verify(
    body: str | bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str] = (SECRET,),
    tokens: Sequence[str] = (),
) -> None:
    """Verify a request with *headers*."""
    raw = body.encode() if isinstance(body, str) else body
    verify_request({"headers": headers}, raw, secrets, tokens)


def test_a_request_that_segment_sent_is_authentic() -> None:
    """The request captured from Segment's client was signed with this secret."""
    headers, body = captured("single.http")

    verify(body, headers)

    assert sign(body.decode(), SECRET) == headers["x-signature"]
    assert [event.text for event, _ in parse_body(body)] == [body.decode()]


def test_a_signature_is_an_hmac_with_sha1() -> None:
    """The example is a test case of RFC 2202."""
    # https://www.rfc-editor.org/rfc/rfc2202#section-3
    signature = authentication.sign(b"what do ya want for nothing?", "Jefe")

    assert signature == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"


def test_an_array_that_segment_sent_is_authentic_with_a_token() -> None:
    """In the array captured from Segment's client, only the first event is signed."""
    headers, body = captured("batch.http")

    verify(body, headers | {"authorization": f"Bearer {TOKEN}"}, tokens=(TOKEN,))

    types = [data["type"] for _, data in parse_body(body)]
    assert types == ["track", "identify", "group"]


def test_an_array_that_segment_sent_is_rejected_without_a_token() -> None:
    """Anybody could add events to an array of which only the first is signed."""
    headers, body = captured("batch.http")

    with pytest.raises(AuthenticationError, match="set the Authorization header"):
        verify(body, headers)


@pytest.mark.parametrize(
    "body",
    [FIRST, ARRAY, f"[{FIRST}]", f" {FIRST}\n", "[]", "", "rubbish", "ü", "[" * 9_999],
)
def test_a_signature_over_the_whole_body_is_accepted(body: str) -> None:
    """It doesn't matter whether the body can be parsed."""
    verify(body, {"x-signature": sign(body, SECRET)})


@pytest.mark.parametrize("body", [f"[{FIRST}]", f" [ {FIRST} ]\n"])
def test_a_signature_over_the_only_element_is_accepted(body: str) -> None:
    """An array with one element requires no token, because all of it is signed."""
    verify(body, {"x-signature": sign(FIRST, SECRET)})


def test_a_signature_over_a_wrapped_event_is_accepted() -> None:
    """Extensible Webhook signs the event and sends it as {"json": event}."""
    verify(f'[{{"json":{FIRST}}}]', {"x-signature": sign(FIRST, SECRET)})


@pytest.mark.parametrize(
    "body",
    [
        f"[{FIRST}",
        f"[{FIRST}]]",
        f"[{FIRST},]",
        f"[{FIRST} {SECOND}]",
        f'[{{"json":{FIRST},"forged":1}}]',
        f"[{SECOND},{FIRST}]",
        f'{{"forged":[{FIRST}]}}',
        SECOND,
        "[]",
        "",
        "[" * 100_000,
        "[NaN]",
    ],
)
def test_a_signature_over_another_body_is_rejected(body: str) -> None:
    """The signature of one event is valid for no other body."""
    with pytest.raises(AuthenticationError, match=r"X-Signature|only the first event"):
        verify(body, {"x-signature": sign(FIRST, SECRET)})


@pytest.mark.parametrize("body", [FIRST, ARRAY, "[]", "[", "rubbish"])
def test_a_signature_over_an_empty_body_is_rejected(body: str) -> None:
    """Somebody who has seen such a signature can't use it for another body."""
    with pytest.raises(AuthenticationError):
        verify(body, {"x-signature": sign("", SECRET)})


def test_a_body_that_is_not_utf_8_is_rejected() -> None:
    """Such bytes don't raise another exception while the first element is parsed."""
    with pytest.raises(AuthenticationError):
        verify(b"[\xff]", {"x-signature": sign(FIRST, SECRET)})


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "ü",
        "\ud800",
        "0" * 40,
        sign(FIRST, "another"),
        sign(FIRST, SECRET)[:-1],
        f"sha1={sign(FIRST, SECRET)}",
        f"{sign(FIRST, SECRET)},{sign(FIRST, SECRET)}",
    ],
)
def test_a_wrong_signature_is_rejected(signature: str) -> None:
    """No value of the header raises another exception."""
    with pytest.raises(AuthenticationError):
        verify(FIRST, {"x-signature": signature})


def test_a_missing_signature_is_rejected() -> None:
    """A request can even have no headers at all."""
    with pytest.raises(AuthenticationError):
        verify_request({}, FIRST.encode(), [SECRET], [])


@pytest.mark.parametrize("name", ["X-Signature", "x-signature", "X-SIGNATURE"])
def test_case_makes_no_difference(name: str) -> None:
    """Neither in the header's name nor in the signature's digits."""
    headers = {name: sign(FIRST, SECRET).upper()}

    verify_request({"headers": headers}, FIRST.encode(), [SECRET], [])


def test_two_signatures_in_different_case_are_rejected() -> None:
    """The sender can't choose which of several signatures is verified."""
    headers = {"X-Signature": "0" * 40, "x-signature": sign(FIRST, SECRET)}

    with pytest.raises(AuthenticationError):
        verify_request({"headers": headers}, FIRST.encode(), [SECRET], [])


@pytest.mark.parametrize("secret", ["old", "new", "ü"])
def test_each_of_several_secrets_is_accepted(secret: str) -> None:
    """During a rotation, requests signed with the old secret are accepted."""
    signature = sign(FIRST, secret)

    verify(FIRST, {"x-signature": signature}, secrets=("old", "new", "ü"))


def test_without_a_secret_every_signature_is_rejected() -> None:
    """No secret is not the same as an empty one."""
    with pytest.raises(AuthenticationError):
        verify(FIRST, {"x-signature": sign(FIRST, "")}, secrets=())


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_is_accepted(scheme: str) -> None:
    """The scheme's name is not case-sensitive."""
    headers = {"x-signature": sign(FIRST, SECRET), "authorization": f"{scheme} {TOKEN}"}

    verify(FIRST, headers, tokens=(TOKEN,))


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        "Bearer ü",
        "Bearer \ud800",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer  {TOKEN}",
        f"Bearer {TOKEN},Bearer {TOKEN}",
    ],
)
def test_a_request_without_the_token_is_rejected(authorization: str) -> None:
    """If there is a token, every request must have it, even if all of it is signed."""
    headers = {"x-signature": sign(FIRST, SECRET), "authorization": authorization}

    with pytest.raises(AuthenticationError, match="Authorization header"):
        verify(FIRST, headers, tokens=(TOKEN,))


def test_a_token_does_not_replace_the_signature() -> None:
    """If there is a token, a request must have both."""
    with pytest.raises(AuthenticationError, match="X-Signature"):
        verify(FIRST, {"authorization": f"Bearer {TOKEN}"}, tokens=(TOKEN,))


@pytest.mark.parametrize("token", ["new", "old"])
def test_each_of_several_tokens_is_accepted(token: str) -> None:
    """During a rotation, Segment sends the old or the new token."""
    headers = {"x-signature": sign(FIRST, SECRET), "authorization": f"Bearer {token}"}

    verify(FIRST, headers, tokens=("new", "old"))


@pytest.mark.parametrize("token", ["other", ""])
def test_a_token_that_is_none_of_several_is_rejected(token: str) -> None:
    """A list of tokens is not less strict than a single one."""
    headers = {"x-signature": sign(FIRST, SECRET), "authorization": f"Bearer {token}"}

    with pytest.raises(AuthenticationError, match="Authorization"):
        verify(FIRST, headers, tokens=("new", "old"))


def test_a_base64_body_is_decoded() -> None:
    """API Gateway may encode the body; the signature covers the original bytes."""
    encoded = base64.b64encode(FIRST.encode()).decode()

    body = read_body({"body": encoded, "isBase64Encoded": True})

    assert body == FIRST.encode()


@pytest.mark.parametrize("body", ["%%%", "ü", "A"])
def test_a_body_that_is_flagged_as_base64_and_is_not_is_malformed(body: str) -> None:
    """Invalid base64 is not decoded to some other body."""
    with pytest.raises(MalformedBody, match="base64"):
        read_body({"body": body, "isBase64Encoded": True})


@pytest.mark.parametrize("content", [{}, {"body": None}, {"body": ""}])
def test_a_missing_body_is_read_as_an_empty_one(
    content: dict[str, str | None],
) -> None:
    """API Gateway omits the body of a request that has none."""
    assert read_body(content) == b""


def test_the_signatures_of_these_tests_are_those_of_segment() -> None:
    """`segment_requests` generates what was captured from Segment's client."""
    headers, body = captured("batch.http")
    texts = [event.text for event, _ in parse_body(body)]

    assert sign(texts[0], SECRET) == headers["x-signature"]
    assert array(texts).body.encode() == body
    assert to_api_gateway(single(FIRST))["body"] == FIRST


def test_a_request_without_headers_is_rejected() -> None:
    """Headers that are null are the same as missing ones."""
    with pytest.raises(AuthenticationError):
        verify_request({"headers": None}, FIRST.encode(), [SECRET], [])
