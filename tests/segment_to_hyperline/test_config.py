"""The environment variables, and their defaults."""

from collections.abc import Callable

import pytest

from segment_to_hyperline import config

NAMES = (
    "HYPERLINE_URL",
    "TIME_BUDGET_SECONDS",
    "PARK_AFTER_SECONDS",
    "BACKOFF_SECONDS",
)


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_variable_has_its_default(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    """An empty variable is the same as a missing one."""
    for name in NAMES:
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)

    assert config.hyperline_url() is None
    assert config.time_budget_seconds() == 3
    assert config.park_after_seconds() == 15 * 60
    assert config.backoff_seconds() == 60


def test_a_variable_replaces_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """template.yaml and the tests set other values."""
    monkeypatch.setenv("HYPERLINE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "0.5")
    monkeypatch.setenv("PARK_AFTER_SECONDS", "60")
    monkeypatch.setenv("BACKOFF_SECONDS", "1")

    assert config.hyperline_url() == "http://127.0.0.1:1"
    assert config.time_budget_seconds() == 0.5
    assert config.park_after_seconds() == 60
    assert config.backoff_seconds() == 1


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("SECRET_ID", config.secret_id),
        ("QUARANTINE_QUEUE_URL", config.quarantine_queue_url),
        ("REPLAY_QUEUE_URL", config.replay_queue_url),
    ],
)
def test_the_secret_and_the_queues_are_required(
    monkeypatch: pytest.MonkeyPatch, name: str, read: Callable[[], str]
) -> None:
    """They have no default."""
    monkeypatch.setenv(name, "value")
    assert read() == "value"

    monkeypatch.delenv(name)
    with pytest.raises(KeyError):
        read()
