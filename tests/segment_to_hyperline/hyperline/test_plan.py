"""The plan: which events are posted next, in view of the responses so far."""

import math
import random
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import pytest

from segment_to_hyperline.hyperline.batch_size import BatchSize
from segment_to_hyperline.hyperline.billable_event import BillableEvent, Key
from segment_to_hyperline.hyperline.facts import MAX_REQUESTS, MAX_REQUESTS_SECONDS
from segment_to_hyperline.hyperline.failures import Failure, Failures, Kind
from segment_to_hyperline.hyperline.plan import (
    RECEIVER,
    REPLAYER,
    Outgoing,
    Plan,
    Strategy,
)
from segment_to_hyperline.hyperline.responses import UNCONFIRMED
from segment_to_hyperline.reasons import Code

REJECTED = Failure(Kind.REJECTED, Code.EVENT_REJECTED, "rejected")
FAILED = Failure(Kind.UNAVAILABLE, Code.HYPERLINE_FAILED, "failed")
SILENT = FAILED._replace(reason="silent", responded=False)
THROTTLED = Failure(Kind.THROTTLED, Code.THROTTLED, "too many")
KEY_REJECTED = Failure(Kind.KEY_REJECTED, Code.KEY_REJECTED, "key")
NOT_BISECTED = "Hyperline did not accept the batch, and there was no time to bisect it"

type Respond = Callable[[list[BillableEvent]], Failures | Failure]


def event(number: int, event_type: str = "a") -> BillableEvent:
    """Return the event with this number."""
    return BillableEvent(Key(event_type, str(number)), b"{}")


class Run(NamedTuple):
    """The sizes of the posts, and the results."""

    posts: list[list[str]]
    results: Failures
    has_accepted: bool

    @property
    def sizes(self) -> list[int]:
        """The number of events of each post."""
        return list(map(len, self.posts))

    def keys(self, failure: Failure | None) -> set[str]:
        """Return the record ids of the events with this result."""
        return {key.record_id for key, f in self.results.items() if f == failure}


def run(
    respond: Respond,
    events: Collection[BillableEvent],
    strategy: Strategy,
    isolated: Collection[list[BillableEvent]] = (),
    size: BatchSize | None = None,
    seed: int = 1,
) -> Run:
    """Post *events* to a Hyperline that responds like *respond*."""
    choose = random.Random(seed).randrange
    plan = Plan(
        Outgoing(list(events), list(isolated)), strategy, size or BatchSize(), choose
    )
    posts = []
    while not plan.is_finished:
        batch = plan.next_batch()
        posts.append([event.key.record_id for event in batch])
        plan.record(respond(batch))
    return Run(posts, plan.finish(None, is_late=False), plan.has_accepted)


def accept(batch: list[BillableEvent]) -> Failures:
    """Accept every event."""
    return dict.fromkeys(event.key for event in batch)


def fail(bad: Collection[int], failure: Failure = FAILED) -> Respond:
    """Return a Hyperline that fails for each post with one of the *bad* events."""
    ids = set(map(str, bad))

    def respond(batch: list[BillableEvent]) -> Failures | Failure:
        is_bad = any(event.key.record_id in ids for event in batch)
        return failure if is_bad else accept(batch)

    return respond


def outage(_: Any) -> Failure:
    """Respond like a Hyperline that is down."""
    return FAILED


ALONE = FAILED._replace(is_alone=True)


def test_events_are_posted_by_event_type() -> None:
    """The vendor's command line says that a batch must have one event type."""
    events = [event(1, "a"), event(2, "b"), event(3, "a"), event(4, "b")]

    done = run(accept, events, RECEIVER)

    assert done.posts == [["1", "3"], ["2", "4"]]
    assert done.keys(None) == {"1", "2", "3", "4"}


def test_a_large_number_of_types_is_a_post_each() -> None:
    """A batch that is rejected never ends in single posts because its types differ."""

    def reject_mixed(batch: list[BillableEvent]) -> Failures | Failure:
        types = {event.key.event_type for event in batch}
        return accept(batch) if len(types) == 1 else REJECTED

    events = [event(n, str(n % 7)) for n in range(700)]

    assert run(reject_mixed, events, RECEIVER).sizes == [100] * 7


@pytest.mark.parametrize("strategy", [RECEIVER, REPLAYER])
@pytest.mark.parametrize("bad", [[0], [7], [3, 4], range(8)])
def test_a_rejected_batch_is_bisected(strategy: Strategy, bad: Collection[int]) -> None:
    """The rejected events are found, and all others are delivered."""
    done = run(fail(bad, REJECTED), [event(n) for n in range(8)], strategy)

    assert done.keys(REJECTED) == set(map(str, bad))
    assert done.keys(None) == {str(n) for n in range(8)} - set(map(str, bad))


@pytest.mark.parametrize("failure", [FAILED, SILENT, THROTTLED, KEY_REJECTED])
def test_a_failure_ends_a_delivery_of_the_receiver(failure: Failure) -> None:
    """Segment retries, and the Receiver has little time."""
    events = [event(1, "a"), event(2, "b"), event(3, "c")]

    done = run(fail([2], failure), events, RECEIVER)

    assert done.posts == [["1"], ["2"]]
    is_general = failure in {THROTTLED, KEY_REJECTED}
    alone = failure._replace(is_alone=not is_general)
    assert {key.record_id: f for key, f in done.results.items()} == {
        "1": None,
        "2": alone,
        "3": failure,
    }


@pytest.mark.parametrize("failure", [THROTTLED, KEY_REJECTED])
def test_a_failure_that_concerns_all_events_ends_every_delivery(
    failure: Failure,
) -> None:
    """The rate limit and the key are no reason to look for an event."""
    done = run(fail([2], failure), [event(1), event(2), event(3)], REPLAYER)

    assert done.sizes == [3]
    assert done.keys(failure) == {"1", "2", "3"}


@pytest.mark.parametrize("failure", [FAILED, SILENT])
@pytest.mark.parametrize("bad", [[0], [99], [5, 6, 7, 8, 9], range(0, 100, 10)])
def test_events_that_make_posts_fail_are_isolated(
    failure: Failure, bad: Collection[int]
) -> None:
    """All others are billed in the same invocation."""
    done = run(fail(bad, failure), [event(n) for n in range(100)], REPLAYER)

    assert done.has_accepted
    assert done.keys(failure._replace(is_alone=True)) == set(map(str, bad))
    assert len(done.keys(None)) == 100 - len(bad)


def test_isolating_one_of_5000_events_takes_few_posts() -> None:
    """It is bisected: two posts for each halving, and one to see that others pass."""
    worst = max(
        len(run(fail([bad]), [event(n) for n in range(5_000)], REPLAYER).posts)
        for bad in (0, 1, 2_499, 2_500, 4_321, 4_999)
    )

    assert worst <= 2 * math.ceil(math.log2(5_000)) + 3


def test_isolating_one_percent_takes_a_few_posts_for_each() -> None:
    """Batches shrink to a size of which many are accepted."""
    bad = range(0, 20_000, 100)

    done = run(fail(bad), [event(n) for n in range(20_000)], REPLAYER)

    assert done.keys(ALONE) == set(map(str, bad))
    assert len(done.keys(None)) == 19_800
    assert len(done.posts) < 20 * len(bad)


@pytest.mark.parametrize("begins_alone", [False, True])
def test_an_outage_takes_a_bounded_number_of_posts(*, begins_alone: bool) -> None:
    """After one batch, or none if an earlier attempt failed, five events are tried."""
    strategy = REPLAYER._replace(begins_alone=begins_alone)

    done = run(outage, [event(n) for n in range(9_000)], strategy)

    assert done.sizes == [5_000] * (not begins_alone) + [1] * 5
    assert not done.has_accepted
    assert len(done.keys(ALONE)) == 5
    assert len(done.keys(FAILED)) == 8_995


def test_an_outage_that_begins_meanwhile_takes_a_bounded_number_of_posts() -> None:
    """It is bisected for a while, and ends after five single events."""
    posts = iter(range(10_000))

    def respond(batch: list[BillableEvent]) -> Failures | Failure:
        return accept(batch) if next(posts) < 2 else FAILED

    done = run(respond, [event(n) for n in range(20_000)], REPLAYER)

    assert len(done.posts) == 2 + 6 + 5
    assert done.sizes[-5:] == [1] * 5


@pytest.mark.parametrize("seed", range(20))
def test_no_event_is_behind_others_for_ever(seed: int) -> None:
    """Events are tried at random, so that some invocation finds one that passes."""
    strategy = REPLAYER._replace(begins_alone=True)
    reached = 0
    for invocation in range(20):
        done = run(
            fail(range(900)),
            [event(n) for n in range(1_000)],
            strategy,
            seed=100 * seed + invocation,
        )
        reached += done.has_accepted

    assert reached


def test_a_batch_that_is_too_large_shrinks() -> None:
    """If only small batches are accepted, the next ones are small, too."""
    size = BatchSize()

    def respond(batch: list[BillableEvent]) -> Failures | Failure:
        return accept(batch) if len(batch) <= 1_000 else SILENT

    done = run(respond, [event(n) for n in range(80_000)], REPLAYER, size=size)

    assert len(done.keys(None)) == 80_000
    failed = sum(n > 1_000 for n in done.sizes)
    assert failed < 0.7 * len(done.posts)
    assert max(done.sizes[20:]) <= 1_250


@pytest.mark.parametrize("strategy", [RECEIVER, REPLAYER])
@pytest.mark.parametrize("failure", [FAILED, SILENT])
def test_an_event_that_fails_alone_does_not_shrink_the_next_batch(
    strategy: Strategy, failure: Failure
) -> None:
    """It was not too many events that made the post fail."""
    size = BatchSize()
    events = [event(n) for n in range(1_000)]

    run(fail([1], failure), [event(1)], strategy, size=size)

    assert run(accept, events, strategy, size=size).sizes == [1_000]


def test_the_receiver_shrinks_a_batch_with_each_request() -> None:
    """Segment's retry is then posted in smaller batches."""
    size = BatchSize()
    events = [event(n) for n in range(4_000)]

    def respond(batch: list[BillableEvent]) -> Failures | Failure:
        return accept(batch) if len(batch) <= 1_000 else FAILED

    delivered = [
        len(run(respond, events, RECEIVER, size=size).keys(None)) for _ in range(4)
    ]

    assert delivered[0] == delivered[1] == 0
    assert delivered[2] > 0


def test_isolated_events_are_posted_last_and_apart() -> None:
    """An isolated event can't make others fail again."""
    done = run(
        fail([8]),
        [event(1), event(2)],
        REPLAYER,
        isolated=[[event(8)], [event(9), event(10)]],
    )

    assert done.posts == [["1", "2"], ["8"], ["9", "10"]]
    assert done.keys(ALONE) == {"8"}


def test_an_isolated_event_of_several_types_is_posted_by_type() -> None:
    """Hyperline may reject a batch with several, or list some as failed."""
    order = [event(1), event(2, "b"), event(3)]

    done = run(accept, [], REPLAYER, isolated=[order])

    assert done.posts == [["1", "3"], ["2"]]


def test_many_isolated_events_are_all_attempted_while_others_are_accepted() -> None:
    """That they fail again says nothing about Hyperline."""
    isolated = [[event(n)] for n in range(100, 200)]

    done = run(fail(range(100, 200)), [event(1)], REPLAYER, isolated=isolated)

    assert len(done.posts) == 101


def test_isolated_events_alone_are_posted_a_few_times_in_an_outage() -> None:
    """Without any success, it can't be known that Hyperline works."""
    done = run(outage, [], REPLAYER, isolated=[[event(n)] for n in range(100)])

    assert done.sizes == [1] * 6


def test_an_isolated_event_does_not_make_an_outage_of_a_success() -> None:
    """The events that were not isolated decide whether Hyperline accepts any."""
    strategy = REPLAYER._replace(begins_alone=True)
    isolated = [[event(n)] for n in range(100, 200)]

    done = run(fail(range(100, 200)), [event(1)], strategy, isolated=isolated)

    assert done.posts[0] == ["1"]


def test_an_isolated_event_with_many_items_is_bisected() -> None:
    """An order can be billed as many events, of which one can't be processed."""
    order = [event(n) for n in range(10, 74)]

    done = run(fail([70]), [event(1)], REPLAYER, isolated=[order])

    assert done.keys(ALONE) == {"70"}
    assert len(done.keys(None)) == 64
    assert len(done.posts) < 16


def test_an_event_that_is_both_isolated_and_not_is_posted_once() -> None:
    """Segment can send an event a second time."""
    done = run(accept, [event(1)], REPLAYER, isolated=[[event(1)], [event(2)] * 2])

    assert done.posts == [["1"], ["2"]]


def test_an_event_that_is_isolated_twice_is_posted_once() -> None:
    """Segment can send it a second time, which is then isolated as well."""
    done = run(accept, [], REPLAYER, isolated=[[event(1)], [event(1), event(2)]])

    assert done.posts == [["1"], ["2"]]


def test_batches_grow_again_with_each_one_that_is_accepted() -> None:
    """Otherwise an outage would make every later post a small one."""
    size = BatchSize()
    events = [event(n) for n in range(1_000)]
    for _ in range(4):
        size.record(events, failed=True)

    done = run(accept, events, RECEIVER, size=size)

    assert done.sizes == [78, 156, 312, 454]


def test_the_replayer_leaves_time_and_the_rate_limit_to_others() -> None:
    """A post without a response ends early; two Replayers use 10% of the limit."""
    assert REPLAYER.post_seconds <= 10
    assert 2 / REPLAYER.interval <= 0.1 * MAX_REQUESTS / MAX_REQUESTS_SECONDS


def name_nothing(batch: list[BillableEvent]) -> Failures:
    """Confirm single events only, as if Hyperline named only what it has created."""
    unnamed = UNCONFIRMED if len(batch) > 1 else None
    return dict.fromkeys((event.key for event in batch), unnamed)


@pytest.mark.parametrize(("strategy", "limit"), [(RECEIVER, 20), (REPLAYER, 200)])
def test_events_that_are_not_named_are_posted_a_bounded_number_of_times(
    strategy: Strategy, limit: int
) -> None:
    """In halves, and alone as soon as a half is not named either; the rest waits."""
    done = run(name_nothing, [event(n) for n in range(1_000)], strategy)

    assert done.sizes == [1_000, 500] + [1] * (limit - 1)
    assert len(done.keys(None)) == limit - 1
    assert len(done.keys(UNCONFIRMED)) == 1_000 - (limit - 1)


def test_a_few_events_that_are_not_named_are_all_confirmed() -> None:
    """Each is posted alone, where a 2xx confirms it."""
    done = run(name_nothing, [event(n) for n in range(6)], RECEIVER)

    assert done.sizes == [6, 3, 1, 1, 1, 3, 1, 1, 1]
    assert done.keys(None) == set("012345")


def test_only_the_events_that_are_not_named_are_posted_again() -> None:
    """A batch is confirmed as far as its response accounts for it."""
    stored = {"1", "3", "5", "7"}

    def respond(batch: list[BillableEvent]) -> Failures | Failure:
        return {
            e.key: UNCONFIRMED if len(batch) > 1 and e.key.record_id in stored else None
            for e in batch
        }

    done = run(respond, [event(n) for n in range(8)], RECEIVER)

    assert done.posts == [
        list("01234567"),
        ["1", "3"],
        ["1"],
        ["3"],
        ["5", "7"],
        ["5"],
        ["7"],
    ]
    assert set(done.results.values()) == {None}


def test_other_events_are_posted_although_some_are_not_named() -> None:
    """The bound concerns repeated posts only."""
    events = [event(n, "a") for n in range(100)] + [event(n, "b") for n in range(9)]

    def respond(batch: list[BillableEvent]) -> Failures | Failure:
        is_a = batch[0].key.event_type == "a"
        return name_nothing(batch) if is_a else accept(batch)

    done = run(respond, events, RECEIVER)

    counts = Counter(key.event_type for key, f in done.results.items() if f is None)
    assert counts == {"a": 19, "b": 9}


def test_an_unnamed_event_of_a_batch_that_fails_later_is_not_confirmed() -> None:
    """It waits with the others."""
    unnamed: Failures = dict.fromkeys([event(1).key, event(2).key], UNCONFIRMED)
    responses: list[Failures | Failure] = [unnamed, FAILED]

    done = run(lambda _: responses.pop(0), [event(1), event(2)], RECEIVER)

    assert done.results == unnamed


def test_the_rest_of_a_batch_is_parked_if_there_is_no_time_to_bisect_it() -> None:
    """What was not in that batch has the reason why nothing more is posted."""
    plan = Plan(
        Outgoing([event(1), event(2), event(3, "b")]),
        RECEIVER,
        BatchSize(),
        lambda _: 0,
    )
    plan.next_batch()
    plan.record(REJECTED)

    results = plan.finish(FAILED, is_late=True)

    reasons = {
        key.record_id: failure and failure.reason for key, failure in results.items()
    }
    assert reasons == {"1": NOT_BISECTED, "2": NOT_BISECTED, "3": "failed"}
