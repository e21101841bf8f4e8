"""The environment variables that template.yaml sets."""

import os

from segment_to_hyperline.segment.facts import RESPONSE_TIMEOUT_SECONDS

_DEFAULT_TIME_BUDGET_SECONDS = RESPONSE_TIMEOUT_SECONDS - 1
_DEFAULT_PARK_AFTER_SECONDS = 15 * 60
_DEFAULT_BACKOFF_SECONDS = 60


def stack_name() -> str:
    """Return the name of the stack, which distinguishes its metrics from others'."""
    return os.environ.get("STACK_NAME") or "local"


def secret_id() -> str:
    """Return the name of the secret in Secrets Manager."""
    return os.environ["SECRET_ID"]


def hyperline_url() -> str | None:
    """Return the host to use, or None for the one that belongs to the API key."""
    return os.environ.get("HYPERLINE_URL") or None


def queue_url(name: str) -> str:
    """Return the URL of the queue `Replay` or `Quarantine`."""
    return {"Replay": replay_queue_url, "Quarantine": quarantine_queue_url}[name]()


def quarantine_queue_url() -> str:
    """Return the URL of the queue for events that a person must fix."""
    return os.environ["QUARANTINE_QUEUE_URL"]


def replay_queue_url() -> str:
    """Return the URL of the queue for events that the Replayer delivers later."""
    return os.environ["REPLAY_QUEUE_URL"]


def time_budget_seconds() -> float:
    """Return the seconds within which an invocation must be finished."""
    return float(os.environ.get("TIME_BUDGET_SECONDS") or _DEFAULT_TIME_BUDGET_SECONDS)


def park_after_seconds() -> float:
    """Return the age in seconds from which an event is no longer left to Segment."""
    return float(os.environ.get("PARK_AFTER_SECONDS") or _DEFAULT_PARK_AFTER_SECONDS)


def backoff_seconds() -> float:
    """Return the seconds after which a message is replayed for the second time."""
    return float(os.environ.get("BACKOFF_SECONDS") or _DEFAULT_BACKOFF_SECONDS)
