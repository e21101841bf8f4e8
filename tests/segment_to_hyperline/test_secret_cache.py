"""The cached secret: when it is read again, and when the copy is used instead."""

import tracemalloc

import pytest

from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import Webhook, sign, write
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.secret import SecretError
from segment_to_hyperline.secret_cache import (
    read_previous_credentials,
    read_secret,
    refresh_credentials,
    refresh_secret,
)
from tests.clock import Clock
from tests.conftest import Log, Secret, Send
from tests.fake_aws import FakeAws, Fault
from tests.samples import track

HOUR = 3600


def put_production_key(secret: Secret) -> None:
    """Put a production key into *secret*, whose copies are used for 5 minutes."""
    secret.put(hyperline_api_key="prod_1")


def test_the_secret_is_read_once(secret: Secret, aws: FakeAws, clock: Clock) -> None:
    """Many requests share one copy of the secret; a refresh reads it again."""
    put_production_key(secret)
    aws.requests.clear()
    for _ in range(10):
        clock.wait(29)
        copy = read_secret(Deadline(5))
    assert aws.requests == ["GetSecretValue"]
    secret.put(hyperline_api_key="prod_new")
    aws.requests.clear()

    refreshed = refresh_secret(copy, Deadline(5))

    assert refreshed is not None
    assert refreshed.endpoint.api_key == "prod_new"
    assert read_secret(Deadline(5)).endpoint.api_key == "prod_new"
    assert aws.requests == ["GetSecretValue"]


@pytest.mark.usefixtures("secret")
def test_a_fresh_copy_is_not_refreshed(aws: FakeAws, clock: Clock) -> None:
    """Otherwise each rejected key, or each forged request, would read the secret."""
    fresh = read_secret(Deadline(5))

    clock.wait(0.9)
    assert refresh_credentials(fresh, Deadline(5)) is fresh
    clock.wait(9)
    assert refresh_secret(fresh, Deadline(5)) is None

    assert aws.requests == ["GetSecretValue"]


@pytest.mark.parametrize(("seconds", "reads"), [(299, 1), (301, 2)])
def test_an_old_copy_is_read_again(
    secret: Secret, aws: FakeAws, clock: Clock, seconds: float, reads: int
) -> None:
    """A rotated secret is picked up even if nobody rejects the old one."""
    put_production_key(secret)
    aws.requests.clear()
    read_secret(Deadline(5))
    clock.wait(seconds)

    read_secret(Deadline(5))

    assert aws.requests == ["GetSecretValue"] * reads


@pytest.mark.parametrize("seconds", [301, 9 * HOUR, -1, -HOUR])
def test_the_age_of_a_copy_is_that_of_the_wall_clock(
    secret: Secret, aws: FakeAws, clock: Clock, seconds: float
) -> None:
    """The other clock stands still while Lambda freezes the function.

    If the wall clock is set back, the age of the copy is unknown.
    """
    put_production_key(secret)
    copy = read_secret(Deadline(5))
    clock.freeze(seconds)
    aws.requests.clear()

    refreshed = refresh_secret(copy, Deadline(5))
    read_secret(Deadline(5))

    assert refreshed is not None
    assert aws.requests == ["GetSecretValue"]


def test_a_sandbox_key_is_read_again_after_ten_seconds(
    secret: Secret, clock: Clock
) -> None:
    """After going live, events that are posted to the sandbox are billed to nobody."""
    secret.put(hyperline_api_key="test_1")
    assert read_secret(Deadline(5)).endpoint.is_sandbox
    put_production_key(secret)
    clock.wait(9)
    assert read_secret(Deadline(5)).endpoint.is_sandbox
    clock.wait(1)

    assert read_secret(Deadline(5)).endpoint.api_key == "prod_1"


@pytest.mark.usefixtures("secret")
def test_a_secret_that_is_not_read_in_time_is_an_error(aws: FakeAws) -> None:
    """Secrets Manager may take longer to respond than a request can wait."""
    aws.fail("GetSecretValue", Fault(delay=6))

    with pytest.raises(SecretError, match="deadline exceeded"):
        read_secret(Deadline(5))


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
    aws: FakeAws, clock: Clock
) -> None:
    """An outage of Secrets Manager doesn't stop the billing; a reason is reported."""
    copy = read_secret(Deadline(5))
    clock.wait(HOUR)
    aws.fail("GetSecretValue", Fault())

    stale = read_secret(Deadline(5))

    assert stale.fields == copy.fields
    assert stale.stale_reason == "the secret can't be read: InternalServiceError"
    clock.wait(10)
    assert read_secret(Deadline(5)).stale_reason == ""


@pytest.mark.usefixtures("secret")
def test_a_copy_is_used_for_a_limited_time(aws: FakeAws, clock: Clock) -> None:
    """After 24 hours it could be one that its owner has revoked."""
    read_secret(Deadline(5))
    aws.fail("GetSecretValue", *[Fault()] * 2)

    clock.wait(24 * HOUR - 1)
    assert read_secret(Deadline(5)).stale_reason
    clock.wait(11)
    with pytest.raises(SecretError):
        read_secret(Deadline(5))


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize("seconds", [10, 9 * HOUR, -1, -9 * HOUR])
def test_a_failed_attempt_is_remembered(
    aws: FakeAws, clock: Clock, seconds: float
) -> None:
    """During an outage, there is one attempt in 10 seconds, with or without a copy.

    Their age is that of the wall clock too.
    """
    copy = read_secret(Deadline(5))
    clock.wait(HOUR)
    aws.fail("GetSecretValue", Fault())
    aws.requests.clear()

    for _ in range(100):
        with pytest.raises(SecretError):
            refresh_secret(copy, Deadline(5))
    assert aws.requests == ["GetSecretValue"]

    clock.freeze(seconds)
    assert refresh_secret(copy, Deadline(5)) is not None


def test_an_incomplete_secret_is_read_again_after_ten_seconds(
    secret: Secret, aws: FakeAws, clock: Clock
) -> None:
    """The owner's correction is picked up, and not only after 5 minutes."""
    secret.put(hyperline_api_key=None)
    read_secret(Deadline(5))
    read_secret(Deadline(5))
    assert aws.requests.count("GetSecretValue") == 1
    secret.put(hyperline_api_key="test_1")
    clock.wait(10)

    assert read_secret(Deadline(5)).endpoint.api_key == "test_1"


@pytest.mark.usefixtures("secret")
def test_a_secret_without_a_previous_version_has_none(aws: FakeAws) -> None:
    """It is not an error if the secret was never changed."""
    current = read_secret(Deadline(5))

    for _ in range(10):
        assert read_previous_credentials(current, Deadline(5)) is None

    assert aws.requests == ["GetSecretValue"] * 2


@pytest.mark.parametrize("text", ["not JSON", "{}"])
def test_an_invalid_previous_version_is_none(secret: Secret, text: str) -> None:
    """It has authenticated no request."""
    content = secret.content
    secret.write(text)
    secret.put(**content)

    assert read_previous_credentials(read_secret(Deadline(5)), Deadline(5)) is None


def test_the_previous_version_is_read_once_a_minute(
    secret: Secret, aws: FakeAws, clock: Clock
) -> None:
    """Also if it can't be read; the reason names it."""
    secret.put(hyperline_api_key="prod_1")
    current = read_secret(Deadline(5))
    aws.requests.clear()
    aws.fail("GetSecretValue", Fault())

    for _ in range(60):
        with pytest.raises(SecretError, match="the previous version of the secret"):
            read_previous_credentials(current, Deadline(5))
        clock.wait(0.99)
    assert aws.requests == ["GetSecretValue"]

    clock.wait(1)
    assert read_previous_credentials(current, Deadline(5)) is not None


def test_the_previous_version_is_read_again_after_a_change(
    secret: Secret, clock: Clock
) -> None:
    """Within that minute, the secret can be rotated."""
    secret.put(segment_shared_secret="first-random-value")
    current = read_secret(Deadline(5))
    read_previous_credentials(current, Deadline(5))
    secret.put(segment_shared_secret="second-random-value")
    clock.wait(1)
    current = refresh_credentials(current, Deadline(5))

    previous = read_previous_credentials(current, Deadline(5))

    assert previous is not None
    assert previous.shared_secrets == ("first-random-value",)


def test_a_wrong_signature_is_retried_while_the_secret_is_stale(
    send: Send, aws: FakeAws, clock: Clock
) -> None:
    """It could be made with a new secret, so that a 401 would lose the event."""
    send(track())
    clock.wait(HOUR)
    aws.fail("GetSecretValue", Fault())
    text = write(track())

    response = send(Webhook(text, {"X-Signature": sign(text, "rotated-shared-secret")}))

    assert response.status == 503
    assert response.reasons == ["the secret can't be read: InternalServiceError"]


def test_a_stale_secret_bills_and_is_reported(
    send: Send, aws: FakeAws, hyperline: FakeHyperline, log: Log, clock: Clock
) -> None:
    """The response is 200; the log has a warning, and a metric counts the request."""
    send(track(messageId="m-1"))
    clock.wait(HOUR)
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
