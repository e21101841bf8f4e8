"""A model of an outage: how events are retried, parked, billed or lost.

It advances in minutes and counts events. A cohort is the events that arrived in the
same minute. docs/capacity.md lists the assumptions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

MINUTE = 60
HOUR = 60  # in minutes

# How many minutes after its arrival Segment attempts to deliver an event. Segment
# publishes that it retries for 4 hours with exponential backoff; the attempts are an
# assumption.
# https://www.twilio.com/docs/segment/connections/destinations#retries
SCHEDULE = (0, 1, 3, 7, 15, 31, *range(61, 4 * HOUR, 30))
_LAST_ATTEMPT = SCHEDULE[-1]

# What a request costs, see bench/README.md, and what it costs to store, receive and
# delete a message in SQS.
_DOLLARS_PER_REQUEST = 1.8e-6
_DOLLARS_PER_MESSAGE = 1.2e-6

# How long the function works on a request: when all is well, when it fails at once, and
# how much of the time budget it waits for a Hyperline that doesn't respond.
_REQUEST_SECONDS = 0.06
_FAST_FAILURE_SECONDS = 0.02
_WAITING_SHARE = 3 / 4
# A circuit breaker lets one request through per minute, in each sandbox.
_BREAKER_PAUSE_SECONDS = 60

# The Replayer: two concurrent invocations, each with a full batch of messages.
_REPLAYERS = 2
_REPLAY_WINDOW_SECONDS = 5
_REPLAY_WORK_SECONDS = 2

# If more than half of its requests fail, Segment sends half as fast in the next minute,
# but never slower than this share; otherwise twice as fast. Segment documents that it
# adapts, and not how.
_SLOWEST_SHARE = 0.01

# A message of 256 KiB contains this many events of 1,000 bytes.
_MAX_MESSAGE_EVENTS = 256
# After this time a simulation ends, whatever is left: SQS keeps messages for 14 days.
_MAX_DRAIN = 14 * 24 * HOUR


class Fault(Enum):
    """What is wrong with Hyperline."""

    DOWN = "down"  # rejects connections, or responds immediately with an error
    HANGS = "hangs"  # accepts connections and never responds
    OVERLOAD = "overload"  # works, within its rate limit


@dataclass(frozen=True)
class Deployment:
    """The settings of a deployment, and the limits that apply to it."""

    requests_per_second: float
    """How many requests API Gateway passes on."""
    park_after: float
    """The age in minutes from which an event is parked."""
    time_budget_seconds: float
    """The time that the Receiver has for a request."""
    replay_batch_messages: int
    """How many messages an invocation of the Replayer gets."""
    concurrency: int = 1_000
    """Concurrent executions of the account; other functions use none."""


@dataclass(frozen=True)
class Scenario:
    """Events that arrive at a constant rate, also before and after a fault."""

    events_per_second: float
    batch_events: int
    """How many events a request of Segment contains."""
    fault: Fault
    fault_hours: float
    hyperline_requests_per_second: float = 100
    """How many requests Hyperline accepts during an overload."""
    is_adaptive: bool = False
    """Whether Segment slows down after errors."""
    before_minutes: int = HOUR
    after_minutes: int = 4 * HOUR


@dataclass(frozen=True)
class Minute:
    """The state after a minute."""

    arrived: float
    """Events that arrived at Segment so far."""
    pending: float
    """Events that Segment will retry."""
    parked: float
    """Events in the Replay queue."""
    billed: float
    """Events billed so far."""
    lost: float
    """Events that Segment dropped so far."""
    requests: float
    """Segment's requests in this minute."""
    concurrency: float
    """The largest number of concurrent Receivers in this minute."""


@dataclass(frozen=True)
class SimulatedOutage:
    """The result of a simulation of a scenario."""

    minutes: Sequence[Minute]
    fault_end: int
    """The number of the minute after the fault."""
    batch_events: int
    """How many events a request of Segment contains."""

    @property
    def lost_share(self) -> float:
        """The share of the events that Segment dropped."""
        return self.minutes[-1].lost / self.minutes[-1].arrived

    @property
    def max_parked(self) -> float:
        """The largest number of events in the Replay queue."""
        return max(minute.parked for minute in self.minutes)

    @property
    def requests_per_event(self) -> float:
        """How many of Segment's requests there were per event."""
        return sum(m.requests for m in self.minutes) / self.minutes[-1].arrived

    @property
    def extra_dollars(self) -> float:
        """The cost of the fault: repeated requests, and messages in Replay."""
        last = self.minutes[-1]
        requests = sum(minute.requests for minute in self.minutes)
        repeated = requests - last.arrived / self.batch_events
        messages = self.max_parked / min(self.batch_events, _MAX_MESSAGE_EVENTS)
        return repeated * _DOLLARS_PER_REQUEST + messages * _DOLLARS_PER_MESSAGE

    @property
    def max_concurrency(self) -> float:
        """The largest number of concurrent Receivers."""
        return max(minute.concurrency for minute in self.minutes)

    @property
    def hours_to_recover(self) -> float | None:
        """The hours from the fault's end until nothing is pending or parked.

        None if that was not reached.
        """
        for number in range(self.fault_end, len(self.minutes)):
            minute = self.minutes[number]
            if minute.pending + minute.parked < 0.001 * minute.arrived / number:
                return (number - self.fault_end) / HOUR
        return None


def simulate(deployment: Deployment, scenario: Scenario) -> SimulatedOutage:
    """Return what happens to the events of *scenario*."""
    run = _Run(deployment, scenario)
    while run.advance():
        pass
    return SimulatedOutage(run.minutes, run.fault_end, scenario.batch_events)


class _Run:
    """The state of a simulation; `waiting` and `due` are events by cohort."""

    def __init__(self, deployment: Deployment, scenario: Scenario) -> None:
        self.deployment = deployment
        self.scenario = scenario
        self.fault_start = scenario.before_minutes
        self.fault_end = self.fault_start + round(scenario.fault_hours * HOUR)
        self.arrivals_end = self.fault_end + scenario.after_minutes
        self.minutes: list[Minute] = []
        self.waiting: dict[int, float] = {}
        self.due: dict[int, float] = {}
        self.arrived = self.parked = self.billed = self.lost = 0.0
        self.egress = float("inf")

    def advance(self) -> bool:
        """Simulate the next minute; return whether there is anything left to do."""
        now = len(self.minutes)
        if now < self.arrivals_end:
            arriving = self.scenario.events_per_second * MINUTE
            self.arrived += arriving
            self.waiting[now] = arriving
        self._drop_old(now)
        for cohort in list(self.waiting):
            if now - cohort in SCHEDULE:
                self.due[cohort] = self.due.get(cohort, 0) + self.waiting.pop(cohort)
        sent = self._send()
        total = sum(sent.values())
        reached, concurrency = self._reach(now, total)
        delivered = self._deliver(now, total * reached)
        self._settle(now, sent, reached, delivered)
        self._replay(now)
        pending = sum(self.waiting.values()) + sum(self.due.values())
        self.minutes.append(
            Minute(
                arrived=self.arrived,
                pending=pending,
                parked=self.parked,
                billed=self.billed,
                lost=self.lost,
                requests=total / self.scenario.batch_events,
                concurrency=concurrency,
            )
        )
        if now < self.arrivals_end:
            return True
        return pending + self.parked > 1 and now < self.arrivals_end + _MAX_DRAIN

    def _drop_old(self, now: int) -> None:
        for events in (self.waiting, self.due):
            for cohort in [c for c in events if now - c >= 4 * HOUR]:
                self.lost += events.pop(cohort)

    def _send(self) -> dict[int, float]:
        """Return the events that Segment sends in this minute, oldest first."""
        sent: dict[int, float] = {}
        left = self.egress
        for cohort in sorted(self.due):
            sent[cohort] = min(self.due[cohort], left)
            left -= sent[cohort]
            self.due[cohort] -= sent[cohort]
        self.due = {cohort: events for cohort, events in self.due.items() if events}
        return sent

    def _is_faulty(self, now: int) -> bool:
        return self.fault_start <= now < self.fault_end

    def _reach(self, now: int, events: float) -> tuple[float, float]:
        """Return the share of *events* that reach the function, and its concurrency."""
        requests = events / self.scenario.batch_events / MINUTE
        allowed = min(requests, self.deployment.requests_per_second)
        hangs = self.scenario.fault is Fault.HANGS and self._is_faulty(now)
        seconds = self._request_seconds(now, allowed) if hangs else _REQUEST_SECONDS
        running = min(allowed * seconds, self._available_concurrency())
        share = running / seconds / requests if requests else 1
        return min(share, 1), running

    def _available_concurrency(self) -> float:
        """Return how many Receivers the account allows.

        While events are parked, the Replayers run, and also pause, beside them.
        """
        return self.deployment.concurrency - (_REPLAYERS if self.parked else 0)

    def _request_seconds(self, now: int, requests_per_second: float) -> float:
        """Return how long a request takes while Hyperline hangs."""
        waiting = self.deployment.time_budget_seconds * _WAITING_SHARE
        if now == self.fault_start:
            return waiting
        # In each sandbox, one request per pause waits, and the others fail fast.
        sandboxes = 1 + requests_per_second * _FAST_FAILURE_SECONDS
        waits = sandboxes / _BREAKER_PAUSE_SECONDS / max(requests_per_second, 1e-9)
        return _FAST_FAILURE_SECONDS + waiting * min(waits, 1)

    def _deliver(self, now: int, events: float) -> float:
        """Return the share of the *events* that Hyperline accepts."""
        if self.scenario.fault is not Fault.OVERLOAD and self._is_faulty(now):
            return 0
        # Before and after an overload, its limit is not reached by these events.
        if not self._is_faulty(now):
            return 1
        limit = self.scenario.hyperline_requests_per_second * MINUTE
        return min(1, limit * self.scenario.batch_events / events) if events else 1

    def _settle(
        self, now: int, sent: dict[int, float], reached: float, delivered: float
    ) -> None:
        """Bill, park or retry the events that were sent."""
        succeeded = 0.0
        for cohort, events in sent.items():
            billed = events * reached * delivered
            failed = events * reached - billed
            parked = failed if now - cohort >= self.deployment.park_after else 0
            self.billed += billed
            self.parked += parked
            succeeded += billed + parked
            again = events - billed - parked
            if again:
                self.waiting[cohort] = self.waiting.get(cohort, 0) + again
        total = sum(sent.values())
        if self.scenario.is_adaptive and total:
            rate = self.scenario.events_per_second * MINUTE
            slower = max(total / 2, rate * _SLOWEST_SHARE)
            faster = max(total * 2, rate * _SLOWEST_SHARE)
            self.egress = faster if succeeded > total / 2 else slower

    def _replay(self, now: int) -> None:
        if self.scenario.fault is not Fault.OVERLOAD and self._is_faulty(now):
            return
        seconds = _REPLAY_WINDOW_SECONDS + _REPLAY_WORK_SECONDS
        messages = _REPLAYERS * self.deployment.replay_batch_messages / seconds * MINUTE
        events = messages * min(self.scenario.batch_events, _MAX_MESSAGE_EVENTS)
        replayed = min(self.parked, events)
        self.parked -= replayed
        self.billed += replayed
