"""The environment variables, and their defaults."""

import pytest

from forwarder import config


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_variable_has_its_default(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    """An empty variable is the same as a missing one."""
    for name in ("HYPERLINE_URL", "TIME_BUDGET_SECONDS", "PARK_AFTER_SECONDS"):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)

    assert config.hyperline_url() is None
    assert config.time_budget_seconds() == 3
    assert config.park_after_seconds() == 3 * 60 * 60


def test_a_variable_replaces_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """template.yaml and the tests set other values."""
    monkeypatch.setenv("HYPERLINE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "0.5")
    monkeypatch.setenv("PARK_AFTER_SECONDS", "60")

    assert config.hyperline_url() == "http://127.0.0.1:1"
    assert config.time_budget_seconds() == 0.5
    assert config.park_after_seconds() == 60


def test_the_secret_and_the_queue_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no default."""
    monkeypatch.setenv("SECRET_ID", "secret")
    monkeypatch.setenv("QUARANTINE_QUEUE_URL", "http://queue")
    assert config.secret_id() == "secret"
    assert config.quarantine_queue_url() == "http://queue"

    monkeypatch.delenv("SECRET_ID")
    monkeypatch.delenv("QUARANTINE_QUEUE_URL")
    with pytest.raises(KeyError):
        config.secret_id()
    with pytest.raises(KeyError):
        config.quarantine_queue_url()
