"""What is read from the environment and from the secret."""

import json
from typing import Any

import pytest

import settings
from conftest import Secret
from deadline import Deadline
from fake_aws import FakeAws, Fault


def account(*, refresh: bool = False) -> settings.Account:
    """Return the account in the secret."""
    return settings.read_secret(Deadline(5), refresh=refresh).account()


def workspace() -> settings.Workspace:
    """Return the workspace in the secret."""
    return settings.read_secret(Deadline(5)).workspace()


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("prod_1", "https://ingest.hyperline.co"),
        ("test_1", "https://sandbox.ingest.hyperline.co"),
    ],
)
def test_events_go_to_the_host_of_the_key(
    secret: Secret, monkeypatch: pytest.MonkeyPatch, key: str, url: str
) -> None:
    """A sandbox key never posts to production, nor the other way round."""
    monkeypatch.setenv("HYPERLINE_URL", "")
    secret.put(hyperline_api_key=key)

    assert account() == (url, key)


def test_another_host_can_be_named(
    secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HYPERLINE_URL goes before what the key says."""
    monkeypatch.setenv("HYPERLINE_URL", "http://127.0.0.1:1/")
    secret.put(hyperline_api_key="of another kind")

    assert account() == ("http://127.0.0.1:1", "of another kind")


def test_a_key_of_no_known_host_is_refused(
    secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To guess a host could send the key and the events to the wrong place."""
    monkeypatch.delenv("HYPERLINE_URL", raising=False)
    secret.put(hyperline_api_key="live_1")

    with pytest.raises(settings.Unreadable, match="neither prod_ nor test_"):
        account()


@pytest.mark.parametrize(
    ("shared", "secrets"),
    [("one", ("one",)), (["new", "old"], ("new", "old")), ("ü", ("ü",))],
)
def test_there_can_be_several_shared_secrets(
    secret: Secret, shared: Any, secrets: tuple[str, ...]
) -> None:
    """A list lets the old secret and the new one verify during a rotation."""
    secret.put(segment_shared_secret=shared, segment_bearer_token="token")

    assert workspace() == (secrets, ("token",))


@pytest.mark.parametrize(
    ("bearer", "tokens"), [(None, ()), ("one", ("one",)), (["a", "b"], ("a", "b"))]
)
def test_there_can_be_several_tokens(
    secret: Secret, bearer: Any, tokens: tuple[str, ...]
) -> None:
    """A list lets the old token and the new one in during a rotation."""
    secret.put(segment_bearer_token=bearer)

    assert workspace().bearer_tokens == tokens


@pytest.mark.parametrize("value", ["", [], [""], ["good", ""], 1, [None], {}])
def test_an_empty_shared_secret_is_refused(secret: Secret, value: Any) -> None:
    """Anybody can sign with an empty secret."""
    secret.put(segment_shared_secret=value)

    with pytest.raises(settings.Unreadable, match="has no segment_shared_secret"):
        workspace()


@pytest.mark.parametrize("value", ["", 1, [], [""], ["a", 1], "two\nlines", "ü"])
def test_a_token_that_no_header_can_carry_is_refused(
    secret: Secret, value: Any
) -> None:
    """An empty token would let every call in, another kind none."""
    secret.put(segment_bearer_token=value)

    with pytest.raises(settings.Unreadable, match="segment_bearer_token"):
        workspace()


@pytest.mark.parametrize("value", ["", 1, "prod_\n", "prod_ü"])
def test_a_key_that_no_header_can_carry_is_refused(secret: Secret, value: Any) -> None:
    """The copy in the secret is to blame, and the reason does not quote it."""
    secret.put(hyperline_api_key=value)

    with pytest.raises(settings.Unreadable, match="hyperline_api_key"):
        account()


@pytest.mark.parametrize(
    ("text", "reason"), [("rubbish", "not JSON"), ("[]", "not a JSON object")]
)
def test_a_secret_of_another_form_is_refused(
    secret: Secret, text: str, reason: str
) -> None:
    """The reason says what form is expected, and nothing of the secret."""
    secret.write(text)

    with pytest.raises(settings.Unreadable) as unreadable:
        account()

    assert reason in str(unreadable.value)
    assert "rubbish" not in str(unreadable.value)


def test_the_secret_is_read_once(secret: Secret, aws: FakeAws) -> None:
    """Many calls share one copy of the secret; a refresh reads it again."""
    for _ in range(10):
        workspace()
        account()
    assert aws.calls == ["GetSecretValue"]
    secret.write(json.dumps(secret.content | {"hyperline_api_key": "test_new"}))
    aws.calls.clear()

    assert account(refresh=True).key == "test_new"

    assert aws.calls == ["GetSecretValue"]


@pytest.mark.usefixtures("secret")
def test_a_secret_that_does_not_come_in_time_is_unreadable(aws: FakeAws) -> None:
    """Secrets Manager may hang for longer than a call can wait."""
    aws.fail("GetSecretValue", Fault(delay=0.5))

    with pytest.raises(settings.Unreadable, match="the time ran out"):
        settings.read_secret(Deadline(0.1))
