"""The circuit breaker: when Hyperline is not posted to, and for how long."""

from itertools import pairwise

import pytest

from segment_to_hyperline.hyperline.breaker import Breaker
from segment_to_hyperline.hyperline.failures import Failure, Kind
from segment_to_hyperline.reasons import Code

SILENT = Failure(Kind.UNAVAILABLE, Code.NO_RESPONSE, "no response", responded=False)
FAILED = Failure(Kind.UNAVAILABLE, Code.HYPERLINE_FAILED, "failed")
THROTTLED = Failure(Kind.THROTTLED, Code.THROTTLED, "limit")
REJECTED = Failure(Kind.REJECTED, Code.EVENT_REJECTED, "rejected")


def is_open(breaker: Breaker, now: float) -> bool:
    """Return whether a delivery at *now* fails immediately."""
    return breaker.find_failure(now) is not None


def test_a_new_breaker_is_closed() -> None:
    """The first post is not prevented."""
    assert not is_open(Breaker(), 0)


def test_one_slow_response_does_not_open_it() -> None:
    """A single post without a response can have any cause."""
    breaker = Breaker()

    breaker.record(SILENT, 100)

    assert not is_open(breaker, 100)


def test_two_posts_without_a_response_open_it_for_five_seconds() -> None:
    """The next delivery fails immediately, with the failure of the last post."""
    breaker = Breaker()
    breaker.record(SILENT, 100)
    breaker.record(SILENT, 103)

    assert breaker.find_failure(103) == SILENT
    assert is_open(breaker, 107.9)
    assert not is_open(breaker, 108)


def test_the_pause_doubles_up_to_a_minute() -> None:
    """After each pause one post is let through, which decides about the next pause."""
    breaker = Breaker()
    now, ends = 0.0, []
    breaker.record(SILENT, now)
    for _ in range(8):
        breaker.record(SILENT, now)
        while is_open(breaker, now):
            now += 0.5
        ends.append(now)

    pauses = [end - begin for begin, end in pairwise([0.0, *ends])]
    assert pauses == [5, 10, 20, 40, 60, 60, 60, 60]


@pytest.mark.parametrize("result", [None, FAILED, REJECTED])
def test_any_response_closes_it(result: Failure | None) -> None:
    """Hyperline responds again, so the count starts from zero."""
    breaker = Breaker()
    breaker.record(SILENT, 0)
    breaker.record(SILENT, 0)

    breaker.record(result, 5)

    assert not is_open(breaker, 5)
    breaker.record(SILENT, 6)
    assert not is_open(breaker, 6)


def test_fast_errors_do_not_open_it() -> None:
    """A 5xx costs no time, so that each event may try."""
    breaker = Breaker()

    for now in range(100):
        breaker.record(FAILED, now)

    assert not is_open(breaker, 100)


@pytest.mark.parametrize(("retry_after", "pause"), [(7, 7), (60, 60), (3600, 60)])
def test_retry_after_is_respected_up_to_a_minute(
    retry_after: float, pause: float
) -> None:
    """Hyperline specifies when to send the next request."""
    breaker = Breaker()
    throttled = THROTTLED._replace(retry_after=retry_after)

    breaker.record(throttled, 10)

    assert breaker.find_failure(10) == throttled
    assert is_open(breaker, 10 + pause - 0.1)
    assert not is_open(breaker, 10 + pause)


@pytest.mark.parametrize(
    "failure",
    [
        REJECTED._replace(retry_after=30),
        Failure(Kind.KEY_REJECTED, Code.KEY_REJECTED, "key", retry_after=30),
    ],
)
def test_a_rejection_does_not_open_it(failure: Failure) -> None:
    """It concerns the posted events or the key; others must be posted."""
    breaker = Breaker()

    breaker.record(failure, 10)

    assert not is_open(breaker, 10)


def test_the_failure_of_an_open_breaker_has_no_detail() -> None:
    """The detail can contain values of the events that were posted."""
    breaker = Breaker()

    breaker.record(THROTTLED._replace(detail="jane", retry_after=30), 10)

    assert breaker.find_failure(10) == THROTTLED._replace(retry_after=30)


def test_a_clock_that_is_set_back_does_not_prolong_a_pause() -> None:
    """Otherwise nothing would be posted until the clock is right again."""
    breaker = Breaker()
    breaker.record(SILENT, 3_600)
    breaker.record(SILENT, 3_600)

    assert is_open(breaker, 3_604)
    assert not is_open(breaker, 3_599)
