"""The secret: which fields are valid."""

from typing import Any

import pytest

from forwarder.deadline import Deadline
from forwarder.secret import Credentials, Endpoint, SecretError
from forwarder.secret_cache import read_secret
from tests.conftest import Secret

OLD = "0123456789abcdef"
NEW = "fedcba9876543210"


def endpoint() -> Endpoint:
    """Return the endpoint in the secret."""
    return read_secret(Deadline(5)).endpoint()


def credentials() -> Credentials:
    """Return the credentials in the secret."""
    return read_secret(Deadline(5)).credentials()


@pytest.mark.parametrize(
    ("shared", "secrets"),
    [
        (OLD, (OLD,)),
        ([NEW, OLD], (NEW, OLD)),
        ("ü" * 16, ("ü" * 16,)),
        (f" {OLD} ", (f" {OLD} ",)),
    ],
)
def test_several_shared_secrets_can_be_valid(
    secret: Secret, shared: Any, secrets: tuple[str, ...]
) -> None:
    """During a rotation, a list has the old and the new one."""
    secret.put(segment_shared_secret=shared, segment_bearer_token=NEW)

    assert credentials() == (secrets, (NEW,))


@pytest.mark.parametrize(
    ("bearer", "tokens"), [(None, ()), (NEW, (NEW,)), ([NEW, OLD], (NEW, OLD))]
)
def test_several_bearer_tokens_can_be_valid(
    secret: Secret, bearer: Any, tokens: tuple[str, ...]
) -> None:
    """During a rotation, a list has the old and the new one; a token is optional."""
    secret.put(segment_bearer_token=bearer)

    assert credentials().bearer_tokens == tokens


@pytest.mark.parametrize("value", ["", [], [""], [OLD, ""], 1, [None], {}])
def test_an_empty_shared_secret_is_rejected(secret: Secret, value: Any) -> None:
    """Anybody can sign with an empty secret."""
    secret.put(segment_shared_secret=value)

    with pytest.raises(SecretError, match="has no segment_shared_secret"):
        credentials()


@pytest.mark.parametrize("value", ["a", " ", " " * 16, "…", f"{OLD[:15]} ", [NEW, "a"]])
@pytest.mark.parametrize("name", ["segment_shared_secret", "segment_bearer_token"])
def test_a_short_secret_is_rejected(secret: Secret, name: str, value: Any) -> None:
    """It can be guessed, and whoever guesses it can send events that are billed."""
    secret.put(**{name: value})

    with pytest.raises(SecretError, match=f"{name} is shorter than 16") as error:
        credentials()

    assert "openssl rand -hex 32" in str(error.value)


@pytest.mark.parametrize("value", ["\0" * 16, f"{OLD}\n", f"{OLD}\0", [OLD, "\t" * 16]])
@pytest.mark.parametrize("name", ["segment_shared_secret", "segment_bearer_token"])
def test_a_control_character_is_rejected(secret: Secret, name: str, value: Any) -> None:
    """HMAC ignores NUL characters at the end of a key; a line break is a mistake."""
    secret.put(**{name: value})

    with pytest.raises(SecretError, match=f"{name} contains a control character"):
        credentials()


@pytest.mark.parametrize("value", ["", 1, [], [""], [OLD, 1], f"{OLD}ü"])
def test_a_token_that_no_header_can_contain_is_rejected(
    secret: Secret, value: Any
) -> None:
    """An empty token would authenticate every request, and the others none."""
    secret.put(segment_bearer_token=value)

    with pytest.raises(SecretError, match="segment_bearer_token"):
        credentials()


@pytest.mark.parametrize("value", ["", 1, "prod_\n", "prod_ü"])
def test_a_key_that_no_header_can_contain_is_rejected(
    secret: Secret, value: Any
) -> None:
    """The reason names the field, and doesn't quote the key."""
    secret.put(hyperline_api_key=value)

    with pytest.raises(SecretError, match="hyperline_api_key") as error:
        endpoint()

    assert "prod_" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rubbish", "not JSON"),
        ("[" * 9_999, "not JSON"),
        ("[]", "not a JSON object"),
    ],
)
def test_a_secret_in_another_format_is_rejected(
    secret: Secret, text: str, reason: str
) -> None:
    """The reason names the expected format, and doesn't quote the secret."""
    secret.write(text)

    with pytest.raises(SecretError) as error:
        endpoint()

    assert reason in str(error.value)
    assert "rubbish" not in str(error.value)
