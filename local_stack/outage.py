"""Let Hyperline be down for most of a minute, and compare the result with the model.

Times are compressed: a second here is a minute in the model. Events are sent in batches
of 10, Segment's retries have the model's schedule, and the Replayer runs as in Lambda.
"""

import heapq
import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import NamedTuple

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import array, write
from local_stack.workers import Response, handle, replay
from segment_to_hyperline.segment.facts import is_retried
from segment_to_hyperline.simulation.deployment import read_deployment
from segment_to_hyperline.simulation.model import (
    SCHEDULE,
    Fault,
    Scenario,
    SimulatedOutage,
    simulate,
)

BATCH_EVENTS = 10
BATCHES_PER_SECOND = 35
# In seconds here, and in minutes in the model.
BEFORE, DOWN, AFTER = 5, 45, 15
PARK_AFTER = 15
ENVIRONMENT = {"PARK_AFTER_SECONDS": str(PARK_AFTER), "BACKOFF_SECONDS": "1"}
_REPLAYERS = 2


class Attempt(NamedTuple):
    """An attempt of Segment to deliver a batch."""

    due: float
    """When Segment makes it, in seconds since the beginning."""
    number: int
    """The number of attempts before it."""
    batch: int
    """The number of the batch."""


@dataclass
class Run:
    """The state of a run: Segment's attempts, and what happened to the events."""

    pool: ProcessPoolExecutor
    queue_url: str
    began: float = field(default_factory=time.monotonic)
    bodies: list[list[str]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    running: dict[Future[Response], Attempt] = field(default_factory=dict)
    replays: set[Future[int]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    lost: int = 0

    def elapsed(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self.began

    def create_batch(self) -> None:
        """Let a batch of new events arrive at Segment, to be sent immediately."""
        number = len(self.bodies)
        now = datetime.now(UTC).isoformat()
        event = {"type": "track", "event": "Seats Added", "userId": "customer-42"}
        times = {"timestamp": now, "receivedAt": now}
        self.bodies.append(
            [
                write(event | times | {"messageId": f"outage-{number}-{index}"})
                for index in range(BATCH_EVENTS)
            ]
        )
        heapq.heappush(self.attempts, Attempt(self.elapsed(), 0, number))

    def send_due(self) -> None:
        """Send the batches whose time has come."""
        while self.attempts and self.attempts[0].due <= self.elapsed():
            attempt = heapq.heappop(self.attempts)
            request = array(self.bodies[attempt.batch])
            self.running[self.pool.submit(handle, request)] = attempt
            self.requests += 1

    def collect(self) -> None:
        """Read the responses that have arrived, and schedule retries."""
        for future in [future for future in self.running if future.done()]:
            attempt, response = self.running.pop(future), future.result()
            if not is_retried(response.status):
                self.counts.update(response.counts)
                continue
            number = attempt.number + 1
            if number == len(SCHEDULE):
                self.lost += BATCH_EVENTS
                continue
            wait = SCHEDULE[number] - SCHEDULE[attempt.number]
            retry = Attempt(attempt.due + wait, number, attempt.batch)
            heapq.heappush(self.attempts, retry)

    def replay(self) -> None:
        """Keep the Replayers running, as Lambda does for messages in the queue."""
        self.replays = {future for future in self.replays if not future.done()}
        while len(self.replays) < _REPLAYERS:
            self.replays.add(self.pool.submit(replay, self.queue_url))


def run(
    pool: ProcessPoolExecutor, hyperline: FakeHyperline, queue_url: str
) -> tuple[bool, Table]:
    """Run the outage; return whether all events were billed, and a table."""
    hyperline.store.clear()
    state = Run(pool, queue_url)
    arrivals = (BEFORE + DOWN + AFTER) * BATCHES_PER_SECOND
    give_up = BEFORE + DOWN + AFTER + 120
    while state.elapsed() < give_up:
        now = state.elapsed()
        is_down = BEFORE <= now < BEFORE + DOWN
        hyperline.outage = FakeResponse(503) if is_down else None
        due = min(arrivals, int(now * BATCHES_PER_SECOND))
        while len(state.bodies) < due:
            state.create_batch()
        state.send_due()
        state.collect()
        state.replay()
        done = len(state.bodies) == arrivals and not state.attempts
        if done and not state.running and len(hyperline.store) >= billable(state):
            break
        time.sleep(0.02)
    recovered = state.elapsed() - BEFORE - DOWN
    return len(hyperline.store) == billable(state), compare(state, recovered)


def billable(state: Run) -> int:
    """Return the number of events that must be billed in the end."""
    return len(state.bodies) * BATCH_EVENTS


def expect() -> SimulatedOutage:
    """Return the result of the model for the same outage."""
    deployment = replace(read_deployment(), park_after=PARK_AFTER)
    scenario = Scenario(
        events_per_second=BATCHES_PER_SECOND * BATCH_EVENTS / 60,
        batch_events=BATCH_EVENTS,
        fault=Fault.DOWN,
        fault_hours=DOWN / 60,
        before_minutes=BEFORE,
        after_minutes=AFTER,
    )
    return simulate(deployment, scenario)


def compare(state: Run, recovered: float) -> Table:
    """Return a table with what the model expects and what was measured."""
    expected = expect()
    table = Table("", "model", "measured", box=SIMPLE)
    rows = {
        "events": (f"{expected.minutes[-1].arrived:,.0f}", f"{billable(state):,}"),
        "lost": (f"{expected.minutes[-1].lost:,.0f}", f"{state.lost:,}"),
        "parked in Replay": (
            f"{expected.max_parked:,.0f}",
            f"{state.counts['parked']:,}",
        ),
        "requests per batch": (
            f"{expected.requests_per_event * BATCH_EVENTS:.2f}",
            f"{state.requests / len(state.bodies):.2f}",
        ),
        "time until all is billed, after the outage": (
            f"{(expected.hours_to_recover or 0) * 60:.0f} min",
            f"{recovered:.0f} s",
        ),
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def show(pool: ProcessPoolExecutor, hyperline: FakeHyperline, queue_url: str) -> bool:
    """Run the outage and print the result; return whether all events were billed."""
    console = Console(width=100)
    console.print(f"\nHyperline is down for {DOWN} s; 1 s is 1 minute of the model")
    passed, table = run(pool, hyperline, queue_url)
    console.print(table)
    billed = f"FAILED: only {len(hyperline.store):,} events are billed"
    console.print("every event is billed" if passed else billed)
    return passed
