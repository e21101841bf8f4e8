"""The secret: which fields are valid, and when it is read."""

import json
import time
from typing import Any

import pytest

from forwarder.deadline import Deadline
from forwarder.secret import (
    Credentials,
    Endpoint,
    SecretError,
    read_secret,
    refresh_secret,
)
from forwarder.secret import Secret as Copy
from tests.conftest import Secret
from tests.fake_aws import FakeAws, Fault


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


def test_the_secret_is_read_once(secret: Secret, aws: FakeAws) -> None:
    """Many requests share one copy of the secret; a refresh reads it again."""
    for _ in range(10):
        credentials()
        endpoint()
    assert aws.requests == ["GetSecretValue"]
    secret.write(json.dumps(secret.content | {"hyperline_api_key": "test_new"}))
    aws.requests.clear()
    old = Copy({}, time.monotonic() - 11)

    refreshed = refresh_secret(old, Deadline(5))

    assert refreshed is not None
    assert refreshed.endpoint().api_key == "test_new"
    assert endpoint().api_key == "test_new"
    assert aws.requests == ["GetSecretValue"]


@pytest.mark.usefixtures("secret")
def test_a_fresh_copy_is_not_refreshed(aws: FakeAws) -> None:
    """Otherwise each unsigned request would read the secret."""
    fresh = read_secret(Deadline(5))

    assert refresh_secret(fresh, Deadline(5)) is None

    assert aws.requests == ["GetSecretValue"]


@pytest.mark.usefixtures("secret")
def test_an_old_copy_is_read_again(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotated secret is picked up even if nobody rejects the old one."""
    monkeypatch.setattr("forwarder.secret._MAX_AGE_SECONDS", 0)

    read_secret(Deadline(5))
    read_secret(Deadline(5))

    assert aws.requests == ["GetSecretValue", "GetSecretValue"]


@pytest.mark.usefixtures("secret")
def test_a_secret_that_is_not_read_in_time_is_an_error(aws: FakeAws) -> None:
    """Secrets Manager may take longer to respond than a request can wait."""
    aws.fail("GetSecretValue", Fault(delay=0.5))

    with pytest.raises(SecretError, match="deadline exceeded"):
        read_secret(Deadline(0.1))


def test_the_code_of_aws_is_part_of_the_reason(
    secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message of AWS is not, because it can contain the account's id."""
    monkeypatch.setenv("SECRET_ID", f"{secret.name}-missing")

    with pytest.raises(SecretError) as error:
        read_secret(Deadline(5))

    assert str(error.value) == "the secret can't be read: ResourceNotFoundException"
