"""The secret: which fields are valid."""

from typing import Any

import pytest

from forwarder.deadline import Deadline
from forwarder.secret import Credentials, Endpoint, SecretError
from forwarder.secret_cache import read_secret
from tests.conftest import Secret


def endpoint() -> Endpoint:
    """Return the endpoint in the secret."""
    return read_secret(Deadline(5)).endpoint()


def credentials() -> Credentials:
    """Return the credentials in the secret."""
    return read_secret(Deadline(5)).credentials()


@pytest.mark.parametrize(
    ("key", "url", "is_sandbox"),
    [
        ("prod_1", "https://ingest.hyperline.co", False),
        ("test_1", "https://sandbox.ingest.hyperline.co", True),
    ],
)
def test_events_are_posted_to_the_host_of_the_key(
    secret: Secret,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    url: str,
    *,
    is_sandbox: bool,
) -> None:
    """A sandbox key is never sent to production, and the other way round."""
    monkeypatch.setenv("HYPERLINE_URL", "")
    secret.put(hyperline_api_key=key)

    assert endpoint() == (url, key)
    assert endpoint().is_sandbox == is_sandbox


def test_hyperline_url_replaces_the_host_of_the_key(
    secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With HYPERLINE_URL, the key can have any prefix."""
    monkeypatch.setenv("HYPERLINE_URL", "http://127.0.0.1:1/")
    secret.put(hyperline_api_key="another prefix")

    assert endpoint() == ("http://127.0.0.1:1", "another prefix")
    assert not endpoint().is_sandbox


def test_a_key_with_an_unknown_prefix_is_rejected(
    secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a guessed host, the key and the events could go to the wrong place."""
    monkeypatch.delenv("HYPERLINE_URL", raising=False)
    secret.put(hyperline_api_key="live_1")

    with pytest.raises(SecretError, match="neither prod_ nor test_"):
        endpoint()


@pytest.mark.parametrize(
    ("shared", "secrets"),
    [("one", ("one",)), (["new", "old"], ("new", "old")), ("ü", ("ü",))],
)
def test_several_shared_secrets_can_be_valid(
    secret: Secret, shared: Any, secrets: tuple[str, ...]
) -> None:
    """During a rotation, a list has the old and the new one."""
    secret.put(segment_shared_secret=shared, segment_bearer_token="token")

    assert credentials() == (secrets, ("token",))


@pytest.mark.parametrize(
    ("bearer", "tokens"), [(None, ()), ("one", ("one",)), (["a", "b"], ("a", "b"))]
)
def test_several_bearer_tokens_can_be_valid(
    secret: Secret, bearer: Any, tokens: tuple[str, ...]
) -> None:
    """During a rotation, a list has the old and the new one; a token is optional."""
    secret.put(segment_bearer_token=bearer)

    assert credentials().bearer_tokens == tokens


@pytest.mark.parametrize("value", ["", [], [""], ["good", ""], 1, [None], {}])
def test_an_empty_shared_secret_is_rejected(secret: Secret, value: Any) -> None:
    """Anybody can sign with an empty secret."""
    secret.put(segment_shared_secret=value)

    with pytest.raises(SecretError, match="has no segment_shared_secret"):
        credentials()


@pytest.mark.parametrize("value", ["", 1, [], [""], ["a", 1], "two\nlines", "ü"])
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
