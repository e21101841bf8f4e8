"""Which events to post next, in view of the responses so far."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import chain
from typing import NamedTuple

from segment_to_hyperline.hyperline.batch_size import BatchSize
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.hyperline.failures import Failure, Failures, Kind
from segment_to_hyperline.hyperline.responses import UNCONFIRMED
from segment_to_hyperline.reasons import Code

# After so many failed posts in a row, single events are posted, to find out whether
# Hyperline accepts any; before it has accepted one, after the first failed post.
_MAX_FAILED_BATCHES = 6
# After so many failed single events in a row, nothing more is posted.
_MAX_FAILED_EVENTS = 5

_NOT_BISECTED = Failure(
    Kind.UNFINISHED,
    Code.LATE,
    "Hyperline did not accept the batch, and there was no time to bisect it",
)


class Outgoing(NamedTuple):
    """Billable events that are to be delivered."""

    events: Sequence[BillableEvent]
    isolated: Sequence[Sequence[BillableEvent]] = ()
    """Those of each event that Hyperline could not process."""

    def keep(self, accepts: Callable[[BillableEvent], bool]) -> "Outgoing":
        """Return the events that *accepts* returns true for."""
        isolated = [list(filter(accepts, own)) for own in self.isolated]
        return Outgoing(list(filter(accepts, self.events)), isolated)

    def all_events(self) -> list[BillableEvent]:
        """Return all events, isolated or not."""
        return [*self.events, *chain.from_iterable(self.isolated)]


class Strategy(NamedTuple):
    """How much is done to deliver events before the deadline."""

    interval: float = 0
    """The least seconds between two posts."""
    post_seconds: float = float("inf")
    """The most seconds of a post."""
    unconfirmed_posts: int = 20
    """The most posts for events that the response to their batch didn't name."""
    isolates: bool = False
    """Whether a batch that fails is bisected while Hyperline accepts other posts, until
    the events that make it fail are alone."""
    begins_alone: bool = False
    """Whether single events are posted until one is accepted."""


# The Receiver's: Segment is waiting, and retries.
RECEIVER = Strategy()
# The Replayer's. Two of them with 5 posts per second each leave 90% of Hyperline's rate
# limit of 100 requests per second to new events. A post without a response ends long
# before the invocation, so that other events can be posted, too.
# https://docs.hyperline.co/developers/rate-limiting
REPLAYER = Strategy(interval=0.2, post_seconds=8, unconfirmed_posts=200, isolates=True)


class _Origin(Enum):
    """Why the events of a block are posted together."""

    NEW = auto()  # they have the same event type
    PART = auto()  # they are a part of a batch that was rejected or failed
    UNCONFIRMED = auto()  # the response to their batch did not name them
    ISOLATED = auto()  # they belong to the same isolated event


class _Block(NamedTuple):
    """Events that are to be posted together, as far as the batch size allows."""

    events: list[BillableEvent]
    origin: _Origin

    def divide(self, number: int, origin: _Origin) -> "Iterator[_Block]":
        """Yield this *number* of parts; those of an isolated event remain isolated."""
        if self.origin is _Origin.ISOLATED:
            origin = self.origin
        count = len(self.events)
        number = min(number, count)
        for part in range(number):
            start, end = part * count // number, (part + 1) * count // number
            yield _Block(self.events[start:end], origin)


class Plan:
    """What is to be posted, and the results so far.

    Events are posted by event type, because the vendor's own command line says that all
    events of a batch must have the same. The billable events of each *isolated* event
    come last, apart from all others. *choose* returns a random number below its
    argument. *has_accepted* is whether a post was accepted.
    """

    # https://www.npmjs.com/package/@hyperline/cli

    def __init__(
        self,
        outgoing: Outgoing,
        strategy: Strategy,
        size: BatchSize,
        choose: Callable[[int], int],
    ) -> None:
        self._strategy = strategy
        self._size = size
        self._choose = choose
        self._waiting = deque(_create_blocks(outgoing))
        self._posted = _Block([], _Origin.NEW)
        self._results: Failures = {}
        self._unconfirmed_posts = strategy.unconfirmed_posts
        # In a row. It begins with that of an earlier invocation.
        self._failures = int(strategy.begins_alone)
        self._end: Failure | None = None
        self.has_accepted = False

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is to be posted."""
        return self._end is not None or not self._waiting

    def next_batch(self) -> list[BillableEvent]:
        """Return the events to post now, whose response must then be recorded."""
        is_doubtful = self._failures >= self._max_failed_batches()
        self._posted = self._select_one() if is_doubtful else self._select_batch()
        return self._posted.events

    def record(self, response: Failures | Failure) -> None:
        """Record the response to the last batch."""
        if self._posted.origin is _Origin.UNCONFIRMED:
            self._unconfirmed_posts -= 1
        if isinstance(response, dict):
            self._record_failures(response)
        elif response.kind is Kind.REJECTED:
            self._divide(response)
        else:
            self._record_failure(response)
        if self._unconfirmed_posts <= 0:
            self._give_up_unconfirmed()

    def can_isolate(self, failure: Failure) -> bool:
        """Return whether *failure* may be due to the events that were posted."""
        return self._strategy.isolates and not _is_general(failure)

    def finish(self, obstacle: Failure | None, *, is_late: bool) -> Failures:
        """Return the results; events that are still waiting have the last failure.

        *obstacle* is why they could not be posted. If it *is_late*, the rest of a batch
        that was not accepted is to be parked, so that it makes progress.
        """
        for block in self._waiting:
            failure = obstacle or self._end
            if is_late and block.origin is _Origin.PART:
                failure = _NOT_BISECTED
            elif block.origin is _Origin.UNCONFIRMED:
                failure = UNCONFIRMED
            elif failure and block is self._posted:
                failure = self._mark_alone(failure)
            self._add_results(block, failure)
        return self._results

    def _mark_alone(self, failure: Failure) -> Failure:
        """Return the *failure* of the last batch; mark it if it had one event."""
        is_alone = len(self._posted.events) == 1 and not _is_general(failure)
        return failure._replace(is_alone=is_alone)

    def _max_failed_batches(self) -> int:
        return _MAX_FAILED_BATCHES if self.has_accepted else 1

    def _select_batch(self) -> _Block:
        block = self._waiting.popleft()
        batch = self._size.select(block.events)
        rest = block.events[len(batch) :]
        if rest:
            self._waiting.appendleft(block._replace(events=rest))
        return block._replace(events=batch)

    def _select_one(self) -> _Block:
        """Select a random event, if possible one that was not isolated before.

        Were it always the same, others could never be reached behind it.
        """
        others = [
            number
            for number, block in enumerate(self._waiting)
            if block.origin is not _Origin.ISOLATED
        ]
        numbers = others or range(len(self._waiting))
        number = numbers[self._choose(len(numbers))]
        block = self._waiting[number]
        position = self._choose(len(block.events))
        rest = block.events[:position] + block.events[position + 1 :]
        if rest:
            self._waiting[number] = block._replace(events=rest)
        else:
            del self._waiting[number]
        return block._replace(events=[block.events[position]])

    def _record_failures(self, failures: Failures) -> None:
        posted = self._posted
        unnamed = [e for e in posted.events if failures[e.key] is UNCONFIRMED]
        self._results |= failures  # those that are not named are posted again
        if None in failures.values():
            self.has_accepted = True
            self._failures = 0
            if posted.origin is _Origin.NEW:
                self._size.record(posted.events, failed=False)
        if unnamed:
            self._post_again(posted, unnamed)

    def _post_again(self, posted: _Block, unnamed: list[BillableEvent]) -> None:
        """Post the events again that the response did not name.

        They are halved, or posted alone as soon as a half was not named at all either.
        """
        is_half = posted.origin is _Origin.UNCONFIRMED
        number = len(unnamed) if is_half and unnamed == posted.events else 2
        rest = _Block(unnamed, _Origin.UNCONFIRMED)
        self._post_parts(rest.divide(number, rest.origin))

    def _give_up_unconfirmed(self) -> None:
        waiting = self._waiting
        self._waiting = deque(b for b in waiting if b.origin is not _Origin.UNCONFIRMED)
        for block in waiting:
            if block.origin is _Origin.UNCONFIRMED:
                self._add_results(block, UNCONFIRMED)

    def _record_failure(self, failure: Failure) -> None:
        posted = self._posted
        if posted.origin is _Origin.NEW and len(posted.events) > 1:
            self._size.record(posted.events, failed=True)
        if not self.can_isolate(failure):
            self._waiting.appendleft(posted)
            self._end = failure
            return
        self._divide(self._mark_alone(failure))
        # That an isolated event fails again says nothing about Hyperline.
        if posted.origin is not _Origin.ISOLATED or not self.has_accepted:
            self._failures += 1
        if self._failures >= self._max_failed_batches() + _MAX_FAILED_EVENTS:
            self._end = failure

    def _divide(self, failure: Failure) -> None:
        """Post the parts of a batch; *failure* is that of a single event.

        Halves need the fewest posts. But a post without a response takes so long that
        more of the others are better.
        """
        if len(self._posted.events) == 1:
            self._add_results(self._posted, failure)
        else:
            number = 2 if failure.responded else 8
            self._post_parts(self._posted.divide(number, _Origin.PART))

    def _post_parts(self, parts: Iterator[_Block]) -> None:
        self._waiting.extendleft(reversed(list(parts)))

    def _add_results(self, block: _Block, failure: Failure | None) -> None:
        self._results |= {event.key: failure for event in block.events}


def _is_general(failure: Failure) -> bool:
    """Return whether *failure* can't be due to the events that were posted."""
    return failure.kind in {Kind.KEY_REJECTED, Kind.THROTTLED} or failure.is_hurried


def _create_blocks(outgoing: Outgoing) -> Iterator[_Block]:
    # If two events share a key, Hyperline keeps the later one, so only that is posted.
    unique = {event.key: event for event in outgoing.events}
    for same in _group_by_type(unique.values()):
        yield _Block(same, _Origin.NEW)
    for group in outgoing.isolated:
        own = {event.key: event for event in group if event.key not in unique}
        unique |= own
        for same in _group_by_type(own.values()):
            yield _Block(same, _Origin.ISOLATED)


def _group_by_type(events: Iterable[BillableEvent]) -> Iterable[list[BillableEvent]]:
    """Return *events* by type, because Hyperline may reject a batch with several."""
    # https://www.npmjs.com/package/@hyperline/cli
    by_type: defaultdict[str, list[BillableEvent]] = defaultdict(list)
    for event in events:
        by_type[event.key.event_type].append(event)
    return by_type.values()
