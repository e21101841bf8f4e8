"""Inbound: which calls are genuine, and which events they carry."""

import base64
from pathlib import Path

import pytest

import payload
import segment
from segment_webhook import array, sign, single, to_api_gateway

CAPTURED = Path(__file__).parent / "captured"
SECRET = "sample-secret"
TOKEN = "token"
FIRST, SECOND = '{"messageId":"ü-1"}', '{"messageId":"2"}'
ARRAY = f"[{FIRST},{SECOND}]"


def captured(name: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a call that Segment's own client made."""
    head, _, body = (CAPTURED / name).read_bytes().partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines), body


def authenticate(
    body: str | bytes,
    *,
    secrets: tuple[str, ...] = (SECRET,),
    token: str | None = None,
    **headers: str,
) -> None:
    """Authenticate a call with *headers*, whose names have "_" for "-"."""
    raw = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    tokens = () if token is None else (token,)
    segment.authenticate({"headers": named}, raw, secrets, tokens)


def test_a_call_that_segment_made_is_genuine() -> None:
    """The call captured from Segment's client verifies with the secret it had."""
    headers, body = captured("single.http")

    authenticate(body, **headers)

    assert sign(body.decode(), SECRET) == headers["x-signature"]
    assert [event.text for event in payload.parse(body)] == [body.decode()]


def test_an_array_that_segment_made_is_genuine_with_a_token() -> None:
    """The array captured from Segment's client verifies by its first element."""
    headers, body = captured("batch.http")

    authenticate(body, token=TOKEN, authorization=f"Bearer {TOKEN}", **headers)

    types = [event.data["type"] for event in payload.parse(body)]
    assert types == ["track", "identify", "group"]


def test_an_array_that_segment_made_is_refused_without_a_token() -> None:
    """Anybody could add events to an array of which only the first is signed."""
    headers, body = captured("batch.http")

    with pytest.raises(segment.Forged, match="set the Authorization header"):
        authenticate(body, **headers)


@pytest.mark.parametrize(
    "body",
    [FIRST, ARRAY, f"[{FIRST}]", f" {FIRST}\n", "[]", "", "rubbish", "ü", "[" * 9_999],
)
def test_a_signature_over_the_whole_body_is_genuine(body: str) -> None:
    """Whatever was signed as a whole was signed by Segment."""
    authenticate(body, x_signature=sign(body, SECRET))


@pytest.mark.parametrize("body", [f"[{FIRST}]", f" [ {FIRST} ]\n"])
def test_a_signature_over_the_only_element_is_genuine(body: str) -> None:
    """An array of one needs no token, since nothing in it is unsigned."""
    authenticate(body, x_signature=sign(FIRST, SECRET))


def test_an_extensible_array_is_signed_inside_its_wrapping() -> None:
    """Extensible Webhook signs the event and sends it as {"json": event}."""
    authenticate(f'[{{"json":{FIRST}}}]', x_signature=sign(FIRST, SECRET))


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
def test_a_signature_over_something_else_is_refused(body: str) -> None:
    """The signature of one event proves nothing about any other body."""
    with pytest.raises(segment.Forged, match="X-Signature"):
        authenticate(body, x_signature=sign(FIRST, SECRET))


@pytest.mark.parametrize("body", [FIRST, ARRAY, "[]", "[", "rubbish"])
def test_a_signature_over_nothing_proves_nothing(body: str) -> None:
    """The signature of an empty body, should one be seen, opens no other body."""
    with pytest.raises(segment.Forged):
        authenticate(body, x_signature=sign("", SECRET))


def test_a_body_that_is_no_text_is_refused() -> None:
    """Bytes that are not UTF-8 do not break the search for a first element."""
    with pytest.raises(segment.Forged):
        authenticate(b"[\xff]", x_signature=sign(FIRST, SECRET))


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
def test_a_wrong_signature_is_refused(signature: str) -> None:
    """No header value but the one signature passes, and none crashes."""
    with pytest.raises(segment.Forged):
        authenticate(FIRST, x_signature=signature)


def test_a_missing_signature_is_refused() -> None:
    """A call with no headers at all is refused."""
    with pytest.raises(segment.Forged):
        segment.authenticate({}, FIRST.encode(), [SECRET], [])


@pytest.mark.parametrize("name", ["X-Signature", "x-signature", "X-SIGNATURE"])
def test_a_header_is_found_in_any_case(name: str) -> None:
    """HTTP header names have no case."""
    segment.authenticate(
        {"headers": {name: sign(FIRST, SECRET).upper()}}, FIRST.encode(), [SECRET], []
    )


def test_a_header_in_two_cases_is_refused() -> None:
    """Of two signatures it is not for the caller to choose which one counts."""
    headers = {"X-Signature": "0" * 40, "x-signature": sign(FIRST, SECRET)}

    with pytest.raises(segment.Forged):
        segment.authenticate({"headers": headers}, FIRST.encode(), [SECRET], [])


@pytest.mark.parametrize("secret", ["old", "new", "ü"])
def test_each_of_several_secrets_verifies(secret: str) -> None:
    """While a secret is rotated, calls signed with the old one stay genuine."""
    signature = sign(FIRST, secret)

    authenticate(FIRST, secrets=("old", "new", "ü"), x_signature=signature)


def test_no_secret_verifies_nothing() -> None:
    """With no secret there is no signature that could be right."""
    with pytest.raises(segment.Forged):
        authenticate(FIRST, secrets=(), x_signature=sign(FIRST, ""))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_is_accepted(scheme: str) -> None:
    """The name of the scheme has no case."""
    headers = {"x_signature": sign(FIRST, SECRET), "authorization": f"{scheme} {TOKEN}"}

    authenticate(FIRST, token=TOKEN, **headers)


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
def test_a_call_without_the_configured_token_is_refused(authorization: str) -> None:
    """Once there is a token every call must carry it, also a well signed one."""
    headers = {"x_signature": sign(FIRST, SECRET), "authorization": authorization}

    with pytest.raises(segment.Forged, match="Authorization header"):
        authenticate(FIRST, token=TOKEN, **headers)


def test_the_token_does_not_stand_in_for_the_signature() -> None:
    """A call needs both where both are configured."""
    with pytest.raises(segment.Forged, match="X-Signature"):
        authenticate(FIRST, token=TOKEN, authorization=f"Bearer {TOKEN}")


def test_a_base64_body_is_read_as_the_bytes_it_stands_for() -> None:
    """API Gateway may pass the body as base64; the signature is over what it was."""
    encoded = base64.b64encode(FIRST.encode()).decode()

    body = segment.read_body({"body": encoded, "isBase64Encoded": True})

    assert body == FIRST.encode()


@pytest.mark.parametrize("body", ["%%%", "ü", "A"])
def test_a_body_that_is_not_the_base64_it_claims_is_malformed(body: str) -> None:
    """Rubbish in the place of base64 is told apart from an empty body."""
    with pytest.raises(payload.Malformed, match="base64"):
        segment.read_body({"body": body, "isBase64Encoded": True})


@pytest.mark.parametrize("call", [{}, {"body": None}, {"body": ""}])
def test_a_call_without_a_body_has_an_empty_one(call: dict[str, str | None]) -> None:
    """An absent body is an empty one, and no error by itself."""
    assert segment.read_body(call) == b""


def test_the_sender_used_by_the_tests_signs_as_segment_does() -> None:
    """The helper that signs for the other tests makes the captured signatures."""
    headers, body = captured("batch.http")
    texts = [event.text for event in payload.parse(body)]

    assert sign(texts[0], SECRET) == headers["x-signature"]
    assert array(texts).body.encode() == body
    assert to_api_gateway(single(FIRST))["body"] == FIRST


@pytest.mark.parametrize("carried", ["new", "old", "other", ""])
def test_each_of_several_tokens_opens(carried: str) -> None:
    """While one is rotated, Segment may send the former or the new one."""
    headers = {
        "x-signature": sign(FIRST, SECRET),
        "authorization": f"Bearer {carried}",
    }
    call = {"headers": headers}

    if carried in ("new", "old"):
        segment.authenticate(call, FIRST.encode(), [SECRET], ["new", "old"])
    else:
        with pytest.raises(segment.Forged, match="Authorization"):
            segment.authenticate(call, FIRST.encode(), [SECRET], ["new", "old"])
