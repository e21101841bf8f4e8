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


def ingestion_version() -> str:
    """Return the version of the paths that events are posted to, v1 or v2."""
    return _read("INGESTION_VERSION")


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


def hyperline_core_url() -> str | None:
    """Return the host of the core API, or None for the one of the API key."""
    return _read("HYPERLINE_CORE_URL") or None


def archive_bucket() -> str:
    """Return the name of the S3 bucket with Segment's archive."""
    return _read("ARCHIVE_BUCKET")


def archive_prefix() -> str:
    """Return the folder in it that contains the archive, or nothing."""
    return _read("ARCHIVE_PREFIX")


def reports_bucket() -> str:
    """Return the name of the bucket for the reports of the DailyCheck."""
    return _read("REPORTS_BUCKET")


def report_topic_arn() -> str:
    """Return the SNS topic for a sentence about each day, or nothing."""
    return _read("REPORT_TOPIC_ARN")


def backfills_missing() -> bool:
    """Return whether the DailyCheck puts missing events into Replay."""
    return _read("BACKFILL_MISSING") == "true"


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
