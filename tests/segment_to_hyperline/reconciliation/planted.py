"""Six thousand events, and what a test plants among them or changes in Hyperline."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules
from tests.samples import track

ROOT = Path(__file__).parents[3]
RULES = load_rules(ROOT / "function/mapping.toml")
START = datetime(2026, 1, 1, tzinfo=UTC)
SEATS = "Seats Added"
MIDNIGHT = round(START.timestamp() * 1_000)

type Run = Callable[..., subprocess.CompletedProcess[str]]


def event(number: int, **changes: Any) -> dict[str, Any]:
    """Return a track event; there are 60 in an hour."""
    moment = (START + timedelta(minutes=number)).isoformat(timespec="milliseconds")
    moment = moment.replace("+00:00", "Z")
    return (
        track(
            messageId=f"m-{number}",
            event=("Seats Added", "Report Sent")[number % 2],
            userId=f"customer-{number % 5}",
            timestamp=moment,
            receivedAt=changes.get("timestamp", moment),
        )
        | changes
    )


EVENTS = [event(number) for number in range(6_000)]
RECENT = [
    event(n, timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"))
    for n in range(7_000, 7_010)
]


def bill(hyperline: FakeHyperline, events: list[dict[str, Any]]) -> None:
    """Store what the mapping makes of *events*."""
    for each in events:
        for billable in apply_rules(RULES, each):
            hyperline.store[tuple(billable.key)] = billable.json  # type: ignore[index] # a key has two strings
    hyperline.rows.forget()


def alter(hyperline: FakeHyperline, key: tuple[str, str], **changes: Any) -> None:
    """Change fields of a stored event."""
    content = json.loads(hyperline.store[key])
    hyperline.store[key] = json.dumps(content | changes).encode()
    hyperline.rows.forget()


def delete(hyperline: FakeHyperline, *numbers: int) -> None:
    """Delete stored events."""
    for number in numbers:
        del hyperline.store[EVENTS[number]["event"], f"m-{number}"]
    hyperline.rows.forget()


def command(*arguments: str) -> list[str]:
    """Return the command line with *arguments*."""
    return [sys.executable, "-m", "segment_to_hyperline", *arguments]


def variables(hyperline: FakeHyperline) -> dict[str, str]:
    """Return the environment with the key and the host."""
    return {"HYPERLINE_API_KEY": KEY, "HYPERLINE_URL": hyperline.url}


def page(total: int, *ids: str) -> FakeResponse:
    """Return a response with rows at `START` that have these *ids*."""
    content = {"meta": {"total": total}, "data": [row(record_id=i) for i in ids]}
    return FakeResponse(200, json.dumps(content).encode())


def row(**changes: Any) -> dict[str, Any]:
    """Return a row as documented, at `START`."""
    documented = {
        "id": "evt_abc123def456",
        "event_type": SEATS,
        "timestamp": "2026-01-01T00:00:00.000Z",
        "customer_id": "cus_xyz789",
        "record_id": "a",
        "record": {"id": "a"},
    }
    return documented | changes


def compare(run: Run, archive: Path, *options: str) -> dict[str, Any]:
    """Return the result of `reconcile` as an object."""
    done = run("reconcile", str(archive), "--format", "json", *options)
    assert done.returncode in {0, 1}, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def ids(result: dict[str, Any], kind: str) -> list[str]:
    """Return the ids of the findings of a kind."""
    return [f["record_id"] for f in result["findings"] if f["kind"] == kind]


class Clock:
    """A time that only passes while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = float(round(time.time()))
        monkeypatch.setattr("time.time", lambda: self.now)
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("time.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
