"""The environment variables that template.yaml sets; no variable has a default here."""

import os

from segment_to_hyperline.errors import Error


class ConfigError(Error):
    """Raised when an environment variable is missing."""


def stack_name() -> str:
    """Return the name of the stack, which distinguishes its metrics from others'."""
    return _read("STACK_NAME")


def secret_id() -> str:
    """Return the name of the secret in Secrets Manager."""
    return _read("SECRET_ID")


def hyperline_url() -> str | None:
    """Return the host to use, or None for the one that belongs to the API key."""
    return _read("HYPERLINE_URL") or None


def queue_url(name: str) -> str:
    """Return the URL of the queue `Replay` or `Quarantine`."""
    return {"Replay": replay_queue_url, "Quarantine": quarantine_queue_url}[name]()


def quarantine_queue_url() -> str:
    """Return the URL of the queue for events that a person must fix."""
    return _read("QUARANTINE_QUEUE_URL")


def replay_queue_url() -> str:
    """Return the URL of the queue for events that the Replayer delivers later."""
    return _read("REPLAY_QUEUE_URL")


def time_budget_seconds() -> float:
    """Return the seconds within which an invocation must be finished."""
    return float(_read("TIME_BUDGET_SECONDS"))


def park_after_seconds() -> float:
    """Return the age in seconds from which an event is no longer left to Segment."""
    return float(_read("PARK_AFTER_SECONDS"))


def backoff_seconds() -> float:
    """Return the seconds after which a message is replayed for the second time."""
    return float(_read("BACKOFF_SECONDS"))


def event_types() -> str:
    """Return the event types that the DailyCheck counts, as a JSON array."""
    return _read("EVENT_TYPES")


def receiver_version() -> str:
    """Return the ARN of the Receiver's version that the SmokeTester tests."""
    return _read("RECEIVER_VERSION")


def _read(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise ConfigError(
            f"the environment variable {name} is missing: set it as template.yaml does"
        ) from None
