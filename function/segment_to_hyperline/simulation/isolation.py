"""A simulated day in which Hyperline can't process a share of the events.

The plan of the posts and the decisions about messages are those of the deployed
function; time, SQS and Hyperline are simulated. docs/capacity.md lists the assumptions.
"""

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from segment_to_hyperline.attributes import Attributes
from segment_to_hyperline.aws.messages import ReceivedMessage
from segment_to_hyperline.backoff import choose_delay
from segment_to_hyperline.hyperline.billable_event import BillableEvent, Key
from segment_to_hyperline.hyperline.failures import Failure, Failures, Kind
from segment_to_hyperline.hyperline.host import Host
from segment_to_hyperline.hyperline.plan import REPLAYER, Outgoing, Plan
from segment_to_hyperline.hyperline.posts import Posts
from segment_to_hyperline.outcomes import AFTER_FAILURE, Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import Result, Results
from segment_to_hyperline.segment.events import Event
from segment_to_hyperline.unfinished import (
    Attempt,
    decide,
    has_failed_before,
)

HOUR = 60 * 60
DAY = 24 * HOUR
_REPLAYERS = 2
# What an invocation can do: 6 MB of messages with events of 1,000 bytes, in the share
# of the time budget that is for Hyperline. If nothing is accepted, it takes all of it.
_MAX_EVENTS = 6_000
_BUDGET_SECONDS = 45
_STOPPED_SECONDS = 59
_WINDOW_SECONDS = 5
_BACKOFF_SECONDS = 60
# After this time a simulation ends, whatever is left.
_MAX_SECONDS = 14 * DAY
_START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

_FAILED = Failure(Kind.UNAVAILABLE, Code.HYPERLINE_FAILED, "failed")
_SILENT = Failure(Kind.UNAVAILABLE, Code.NO_RESPONSE, "silent", responded=False)
_NO_TIME = Failure(Kind.UNAVAILABLE, Code.LATE, "no time")


class Day(NamedTuple):
    """The batches of a day that are parked, because they have an unprocessable event.

    Hyperline's response to a post with such an event is an error, or none at all.
    """

    events_per_second: float
    batch_events: int
    """How many events a request of Segment contains."""
    unprocessable_share: float
    """The share of the events that are unprocessable, from 0 to 1."""
    hangs: bool = False
    """Whether Hyperline doesn't respond, instead of responding with an error."""
    is_outage: bool = False
    """Whether it does so for every post, so that all batches are parked."""


class SimulatedDay(NamedTuple):
    """What became of the parked events, and what this took."""

    parked: int
    """Events of the batches that were parked."""
    unprocessable: int
    billed: int
    quarantined: int
    isolating_posts: int
    """Until each processable event was billed."""
    retrying_posts: int
    """Of events that were isolated before."""
    failed_invocations: int
    """Invocations in which Hyperline accepted nothing."""
    failed_posts: int
    """Posts of these invocations."""
    longest_wait: float
    """The longest time in seconds until a processable event was billed."""
    end: float
    """When nothing was left, in seconds since the start."""


def simulate_day(day: Day, seed: int = 1) -> SimulatedDay:
    """Return what happens to the events of *day*."""
    run = _Run(day, random.Random(seed))
    while run.advance():
        pass
    return run.summarize()


class _Run:
    """The state of a simulation; messages are in a heap, by when they are visible."""

    def __init__(self, day: Day, choose: random.Random) -> None:
        self.day = day
        self.choose = choose
        self.host = Host()
        self.bad: set[str] = set()
        self.visible: list[tuple[float, int, ReceivedMessage]] = []
        self.workers = [0.0] * _REPLAYERS
        self.arrived: dict[str, float] = {}
        self.billed: dict[str, float] = {}
        self.quarantined: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.numbers = iter(range(10**12))
        self._arrive()

    def _arrive(self) -> None:
        """Park each batch of the day that has an unprocessable event."""
        seconds = self.day.batch_events / self.day.events_per_second
        for batch in range(int(DAY / seconds)):
            ids = [f"{batch}-{n}" for n in range(self.day.batch_events)]
            share = self.day.unprocessable_share
            bad = [event_id for event_id in ids if self.choose.random() < share]
            if bad or self.day.is_outage:
                self.bad |= set(bad)
                self.arrived |= dict.fromkeys(ids, batch * seconds)
                self.put(ids, batch * seconds, self._choose_attributes(batch * seconds))

    def _choose_attributes(self, now: float) -> Attributes:
        """Return those with which the Receiver parks a batch."""
        if self.day.batch_events > 1 or self.day.is_outage:
            return Attributes()
        # It has posted the event alone, and Hyperline has accepted others.
        time = datetime.fromtimestamp(_START + now, UTC)
        return Attributes(isolated_at=time.isoformat())

    def put(self, ids: Sequence[str], now: float, attributes: Attributes) -> None:
        """Send a message with these events to the queue."""
        number = next(self.numbers)
        message = ReceivedMessage(
            id=str(number),
            receipt_handle=str(number),
            body=" ".join(ids),
            sent_at=_START + now,
            receives=0,
            attributes=attributes,
        )
        heapq.heappush(self.visible, (now, number, message))

    def advance(self) -> bool:
        """Run the next invocation of a Replayer; return whether anything is left."""
        if not self.visible or self.workers[0] > _MAX_SECONDS:
            return False
        began = max(heapq.heappop(self.workers), self.visible[0][0]) + _WINDOW_SECONDS
        messages = list(self._receive(began))
        seconds = self._replay(messages, began)
        heapq.heappush(self.workers, began + seconds)
        return True

    def _receive(self, now: float) -> Iterable[ReceivedMessage]:
        available = _MAX_EVENTS
        while self.visible and self.visible[0][0] <= now and available > 0:
            message = heapq.heappop(self.visible)[2]
            available -= message.body.count(" ") + 1
            yield message._replace(receives=message.receives + 1)

    def _replay(self, messages: Sequence[ReceivedMessage], began: float) -> float:
        """Post the events of *messages*; return how long it takes."""
        plan = self._create_plan(messages)
        seconds, posts, obstacle = 0.0, 0, None
        while not plan.is_finished:
            is_late = seconds >= _BUDGET_SECONDS
            closed = self.host.breaker.find_failure(began + seconds)
            obstacle = _NO_TIME if is_late else closed
            if obstacle:
                break
            batch = plan.next_batch()
            response = self._respond(batch, began + seconds)
            is_silent = response is _SILENT
            seconds += REPLAYER.post_seconds if is_silent else REPLAYER.interval
            posts += 1
            self._record(plan, response, began + seconds)
        results = plan.finish(obstacle, is_late=seconds >= _BUDGET_SECONDS)
        self._count(messages, posts, accepts=plan.has_accepted)
        attempted = [
            [_result(i, message, results[_event(i).key]) for i in message.body.split()]
            for message in messages
        ]
        every = [result for own in attempted for result in own]
        now = _START + began + seconds
        attempt = Attempt.create(Results(every, Posts((), plan.has_accepted)), now)
        for message, own in zip(messages, attempted, strict=True):
            self._settle(message, own, attempt)
        has_failed = any(message.isolated_at is None for message in messages)
        is_stopped = has_failed and not plan.has_accepted
        return _STOPPED_SECONDS if is_stopped else seconds

    def _create_plan(self, messages: Sequence[ReceivedMessage]) -> Plan:
        events = [(m.isolated_at, list(map(_event, m.body.split()))) for m in messages]
        outgoing = Outgoing(
            [e for isolated_at, own in events if isolated_at is None for e in own],
            [own for isolated_at, own in events if isolated_at is not None],
        )
        return Plan(
            outgoing,
            REPLAYER._replace(begins_alone=has_failed_before(messages)),
            self.host.batch_size,
            self.choose.randrange,
        )

    def _respond(
        self, batch: Sequence[BillableEvent], now: float
    ) -> Failures | Failure:
        is_outage = self.day.is_outage and now < DAY
        if is_outage or any(event.key.record_id in self.bad for event in batch):
            return _SILENT if self.day.hangs else _FAILED
        return dict.fromkeys(event.key for event in batch)

    def _record(self, plan: Plan, response: Failures | Failure, now: float) -> None:
        plan.record(response)
        if isinstance(response, dict):
            self.host.breaker.record(None, now)
        elif not plan.can_isolate(response):
            self.host.breaker.record(response, now)

    def _count(
        self, messages: Sequence[ReceivedMessage], posts: int, *, accepts: bool
    ) -> None:
        isolated = sum(message.isolated_at is not None for message in messages)
        retrying = min(posts, isolated)
        self.counts["retrying"] += retrying
        self.counts["isolating"] += posts - retrying
        if not accepts:
            self.counts["failed invocations"] += 1
            self.counts["failed posts"] += posts

    def _settle(
        self,
        message: ReceivedMessage,
        results: Sequence[Result],
        attempt: Attempt,
    ) -> None:
        """Finish *message*, leave it in the queue, or store its events in others."""
        ids = message.body.split()
        decided = decide(message, results, attempt)
        now = attempt.now - _START
        if all(result.outcome is Outcome.PENDING for result in decided):
            jitter = self.choose.uniform(0.8, 1.2)
            delay = choose_delay(message, _BACKOFF_SECONDS, jitter, 0)
            heapq.heappush(self.visible, (now + delay, next(self.numbers), message))
            return
        rest: dict[Attributes, list[str]] = {}
        for event_id, result in zip(ids, decided, strict=True):
            if result.outcome is Outcome.DELIVERED:
                self.billed[event_id] = now
            elif result.outcome is Outcome.QUARANTINED:
                self.quarantined.add(event_id)
            else:
                rest.setdefault(result.event.attributes, []).append(event_id)
        for attributes, own in rest.items():
            groups = [[i] for i in own] if attributes.isolated_at else [own]
            for group in groups:
                self.put(group, now, attributes)

    def summarize(self) -> SimulatedDay:
        """Return what happened."""
        return SimulatedDay(
            parked=len(self.arrived),
            unprocessable=len(self.bad),
            billed=len(self.billed),
            quarantined=len(self.quarantined),
            isolating_posts=self.counts["isolating"],
            retrying_posts=self.counts["retrying"],
            failed_invocations=self.counts["failed invocations"],
            failed_posts=self.counts["failed posts"],
            longest_wait=max(
                (end - self.arrived[i] for i, end in self.billed.items()), default=0
            ),
            end=max(self.workers),
        )


def _event(record_id: str) -> BillableEvent:
    return BillableEvent(Key("event", record_id), b"x" * 1_000)


def _result(event_id: str, message: ReceivedMessage, failure: Failure | None) -> Result:
    event = Event("", event_id, attributes=message.attributes)
    if failure is None:
        return Result(event, Outcome.DELIVERED)
    outcome = AFTER_FAILURE[failure.kind]
    return Result(event, outcome, failure.code, failure.reason, failure=failure)
