"""What the tests of the comparison have in common."""

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from local_stack.fake_api import KEY, FakeApi, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.pace import Pace
from segment_to_hyperline.reconciliation.api.rows import (
    format_milliseconds,
    read_milliseconds,
)
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.expected.versions import Billable, Version
from tests.clock import list_left_threads

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 24 * 60 * 60 * 1_000
# 2026-01-01T00:00:00Z
START = 1_767_225_600_000
SEATS = "Seats Added"


class Clock:
    """A time that only passes while somebody sleeps, in several threads at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = float(round(time.time()))
        # What happens during the next pauses, one each.
        self.meanwhile: list[Callable[[], None]] = []
        self._seen = threading.local()
        self._others = list_left_threads()
        self._sleep_really = time.sleep
        monkeypatch.setattr("time.time", lambda: self.now)
        monkeypatch.setattr("time.monotonic", self._look)
        monkeypatch.setattr("time.sleep", self._sleep)

    def _look(self) -> float:
        self._seen.now = self.now
        return self.now

    def _sleep(self, seconds: float) -> None:
        if threading.get_ident() in self._others:
            self._sleep_really(seconds)
            return
        until = getattr(self._seen, "now", self.now) + seconds
        if self.meanwhile:
            self.meanwhile.pop(0)()
        self.now = max(self.now, until)


class Outage:
    """An outage of an API that lasts for *seconds* from `begin`.

    It records what is reported before each retry.
    """

    def __init__(self, api: FakeApi, clock: Clock, seconds: float) -> None:
        self.reasons: list[str] = []
        self.waits: list[float] = []
        self._api = api
        self._clock = clock
        self._seconds = seconds
        self._ends = 0.0

    def begin(self, response: FakeResponse) -> None:
        """Give this *response* to all requests."""
        self._ends = self._clock.now + self._seconds
        self._api.outage = response

    def report(self, reason: str, seconds: float) -> None:
        """Record a wait, and end the outage when its time is over."""
        self.reasons.append(reason)
        self.waits.append(seconds)
        if self._clock.now + seconds > self._ends:
            self._api.outage = None


def create_client(api: FakeApi, **options: Any) -> Client:
    """Return a client that is as fast as possible."""
    return Client(api.url, KEY, Pace(rate=1_000_000), **options)


def create_events(api: FakeHyperline, **options: Any) -> Events:
    """Return what reads *api*."""
    return Events(create_client(api, **options))


def body(
    record_id: str,
    when: int,
    event_type: str = SEATS,
    customer: str = "customer-1",
    **properties: Any,
) -> bytes:
    """Return the JSON of a billable event."""
    content = {
        "customer_id": customer,
        "event_type": event_type,
        "timestamp": format_milliseconds(when),
        "record": {"seats": 1, **properties, "id": record_id},
    }
    return json.dumps(content, separators=(",", ":")).encode()


def put(api: FakeHyperline, *bodies: bytes) -> None:
    """Store events in Hyperline."""
    for text in bodies:
        content = json.loads(text)
        api.store[content["event_type"], content["record"]["id"]] = text
    api.rows.forget()


def expect(store: Store, *bodies: bytes, **options: Any) -> None:
    """Add the events that Hyperline should have; *options* are as in `add_event`."""
    for text in bodies:
        content = json.loads(text)
        message_id = (
            content["record"]["id"].rpartition(":")[0] or content["record"]["id"]
        )
        add_event(store, message_id, text, **options)


def add_event(
    store: Store,
    message_id: str,
    *bodies: bytes,
    received_at: int = 0,
    sequence: int = 0,
    outcome: str = "billed",
    time: int = START,
) -> None:
    """Add a version of an event, with what is to be billed for it."""
    version = Version(message_id, received_at, sequence, time, outcome, "")
    billable = [
        create_billable(text, message_id, received_at, sequence) for text in bodies
    ]
    store.add([version], billable)


def create_billable(
    text: bytes, message_id: str, received_at: int = 0, sequence: int = 0
) -> Billable:
    """Return a billable event by its JSON."""
    content = json.loads(text)
    when = read_milliseconds(content["timestamp"])
    assert when is not None
    return Billable(
        content["event_type"],
        content["record"]["id"],
        message_id,
        received_at,
        sequence,
        when,
        content["customer_id"],
        text,
    )
