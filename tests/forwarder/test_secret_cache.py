"""The cached secret: when it is read again, and when the copy is used instead."""

import json
import time
import tracemalloc

import pytest

from forwarder.deadline import Deadline
from forwarder.secret import Secret as Copy
from forwarder.secret import SecretError
from forwarder.secret_cache import read_secret, refresh_secret
from tests.conftest import Log, Secret, Send
from tests.fake_aws import FakeAws, Fault
from tests.samples import track
from tools.fake_hyperline import FakeHyperline
from tools.segment_requests import Webhook, sign, write


def expire(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let a copy expire immediately; *names* are further limits that are zero."""
    for name in ("_MAX_AGE_SECONDS", "_FRESH_SECONDS", *names):
        monkeypatch.setattr(f"forwarder.secret_cache.{name}", 0)


def test_the_secret_is_read_once(secret: Secret, aws: FakeAws) -> None:
    """Many requests share one copy of the secret; a refresh reads it again."""
    for _ in range(10):
        read_secret(Deadline(5))
    assert aws.requests == ["GetSecretValue"]
    secret.write(json.dumps(secret.content | {"hyperline_api_key": "test_new"}))
    aws.requests.clear()
    old = Copy({}, time.monotonic() - 11)

    refreshed = refresh_secret(old, Deadline(5))

    assert refreshed is not None
    assert refreshed.endpoint().api_key == "test_new"
    assert read_secret(Deadline(5)).endpoint().api_key == "test_new"
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
    expire(monkeypatch)

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


@pytest.mark.usefixtures("secret")
def test_a_copy_is_used_while_the_secret_cannot_be_read(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage of Secrets Manager doesn't stop the billing; a reason is reported."""
    copy = read_secret(Deadline(5))
    expire(monkeypatch)
    aws.fail("GetSecretValue", Fault())

    stale = read_secret(Deadline(5))

    assert stale.fields == copy.fields
    assert stale.stale_reason == "the secret can't be read: InternalServiceError"
    assert read_secret(Deadline(5)).stale_reason == ""


@pytest.mark.usefixtures("secret")
def test_a_copy_is_used_for_a_limited_time(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 24 hours it could be one that its owner has revoked."""
    read_secret(Deadline(5))
    expire(monkeypatch, "_MAX_STALE_SECONDS")
    aws.fail("GetSecretValue", Fault())

    with pytest.raises(SecretError):
        read_secret(Deadline(5))


@pytest.mark.usefixtures("secret")
def test_a_failed_attempt_is_remembered(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During an outage, there is one attempt in 10 seconds, with or without a copy."""
    copy = read_secret(Deadline(5))
    monkeypatch.setattr("forwarder.secret_cache._MAX_AGE_SECONDS", 0)
    old = Copy(copy.fields, time.monotonic() - 11)
    aws.fail("GetSecretValue", *[Fault()] * 5)
    aws.requests.clear()

    for _ in range(100):
        with pytest.raises(SecretError):
            refresh_secret(old, Deadline(5))

    assert aws.requests == ["GetSecretValue"]


def test_an_incomplete_secret_is_read_again_after_ten_seconds(
    secret: Secret, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner's correction is picked up, and not only after 5 minutes."""
    secret.put(hyperline_api_key=None)
    read_secret(Deadline(5))
    read_secret(Deadline(5))
    assert aws.requests.count("GetSecretValue") == 1
    secret.put(hyperline_api_key="test_1")
    monkeypatch.setattr("forwarder.secret_cache._FRESH_SECONDS", 0)

    assert read_secret(Deadline(5)).endpoint().api_key == "test_1"


def test_a_wrong_signature_is_retried_while_the_secret_is_stale(
    send: Send, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could be made with a new secret, so that a 401 would lose the event."""
    send(track())
    expire(monkeypatch)
    aws.fail("GetSecretValue", *[Fault()] * 2)
    text = write(track())

    response = send(Webhook(text, {"X-Signature": sign(text, "rotated-shared-secret")}))

    assert response.status == 503
    assert response.reasons == ["the secret can't be read: InternalServiceError"]


def test_a_stale_secret_bills_and_is_reported(
    send: Send,
    aws: FakeAws,
    hyperline: FakeHyperline,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The response is 200; the log has a warning, and a metric counts the request."""
    send(track(messageId="m-1"))
    expire(monkeypatch)
    aws.fail("GetSecretValue", Fault())
    log()

    response = send(track())

    assert (response.status, len(hyperline.store)) == (200, 2)
    (line,) = log()
    assert line["level"] == "WARN"
    assert line["warning"] == "the secret can't be read: InternalServiceError"
    assert line["StaleSecret"] == [1]


def test_a_failed_attempt_keeps_no_request_in_memory(
    send: Send, secret: Secret
) -> None:
    """An exception that is raised again would keep every request in its traceback."""
    secret.write("not JSON")
    text = "x" * 1_000_000
    tracemalloc.start()
    try:
        for _ in range(10):
            assert send(track(properties={"text": text})).status == 503
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 3_000_000
