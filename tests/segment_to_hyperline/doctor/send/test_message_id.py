"""The messageId, which decides whether the event can be billed."""

from typing import Any

import pytest

from segment_to_hyperline.doctor.send.message_id import create_message_id
from segment_to_hyperline.hyperline.facts import HOSTS, SANDBOX
from segment_to_hyperline.secret import Secret
from segment_to_hyperline.segment.events import is_test_id

PROXY = "https://proxy.example"


@pytest.mark.parametrize("url", [None, PROXY, *HOSTS.values(), "http://evil", ""])
@pytest.mark.parametrize(
    "key",
    [
        *("prod_1", "prod_test_1", "live_1", "1", "PROD_1", "Test_1", "TEST_1"),
        *(" test_1", "\ttest_1", '"test_1"', "test-1", "test", "tést_1", "test_1\n"),
        *("", None, 5, True, [], ["test_1"], {"key": "test_1"}),
    ],
)
def test_with_any_key_but_one_of_the_sandbox_it_is_a_test_event(
    key: Any, url: str | None
) -> None:
    """So it is never billed, also if the key isn't valid."""
    environment = Secret({"hyperline_api_key": key}, 0, url).environment

    message_id = create_message_id(environment, "1")

    assert message_id == "segment-test-message-doctor-1"
    assert is_test_id(message_id)


def test_a_secret_without_a_key() -> None:
    """It is a test event, too."""
    assert is_test_id(create_message_id(Secret({}, 0).environment, "1"))


def test_with_the_sandbox_key_for_the_production_host() -> None:
    """The stack bills nothing with it, and nobody knows where it would."""
    secret = Secret({"hyperline_api_key": "test_1"}, 0, HOSTS["prod_"])

    assert is_test_id(create_message_id(secret.environment, "1"))


@pytest.mark.parametrize("url", [None, PROXY, HOSTS["test_"]])
def test_with_a_sandbox_key_it_is_billed_like_any_event(url: str | None) -> None:
    """It is billed in the sandbox, which invoices nobody."""
    secret = Secret({"hyperline_api_key": "test_1"}, 0, url)

    assert secret.environment == SANDBOX
    assert create_message_id(secret.environment, "1") == "doctor-1"
