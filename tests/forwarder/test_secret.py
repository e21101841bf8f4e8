"""The secret: which fields are valid."""

from typing import Any

import pytest

from forwarder.deadline import Deadline
from forwarder.hyperline.facts import READ_HOSTS
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


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("prod_1", "https://api.hyperline.co"),
        ("test_1", "https://sandbox.api.hyperline.co"),
    ],
)
def test_events_are_read_from_another_host_of_the_key(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, key: str, url: str
) -> None:
    """It is that of the core API."""
    monkeypatch.setenv("HYPERLINE_URL", "")
    secret.put(hyperline_api_key=key)

    assert read_secret(Deadline(5)).endpoint(READ_HOSTS).url == url


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


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://ingest.hyperline.co",
            "http://127.0.0.1.example.com",
            "ftp://localhost.x",
        ),
        *("http://localhost@example.com", "ingest.hyperline.co", "http://[", "//", "x"),
    ],
)
def test_the_api_key_is_only_sent_encrypted(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Only to this machine it can be sent over plain HTTP."""
    assert secret
    monkeypatch.setenv("HYPERLINE_URL", url)

    with pytest.raises(SecretError, match="https://"):
        endpoint()


@pytest.mark.parametrize(
    "url",
    ["https://example.com", "http://localhost:1", "http://host.docker.internal:1"],
)
def test_hyperline_url_can_be_local(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """A test posts to a fake Hyperline on this machine."""
    assert secret
    monkeypatch.setenv("HYPERLINE_URL", url)

    assert endpoint().url == url


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
