"""Reads leave most of Hyperline's rate limit to billing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.in_flight import work_in_flight
from segment_to_hyperline.reconciliation.api.pace import Pace, find_interval
from segment_to_hyperline.reconciliation.api.rows import Window
from tests.segment_to_hyperline.reconciliation.helpers import Clock

WINDOW = Window("x", 0, 1)


def count(api: FakeHyperline, pace: Pace, number: int) -> None:
    """Send *number* requests, several at a time."""
    events = Events(Client(api.url, KEY, pace))
    list(work_in_flight(events.count, [WINDOW] * number))


@pytest.mark.parametrize("limit", [100, 1_000])
def test_reads_use_a_quarter_of_the_rate_limit(clock: Clock, limit: int) -> None:
    """Posts count towards the same limit, which is in each response."""
    with FakeHyperline(rate_limit=limit) as api:
        count(api, Pace(), 1)
        began = clock.now

        count(api, Pace(limit=limit), limit // 5)

        assert clock.now - began == pytest.approx(8, rel=0.1)


def test_a_rate_can_be_set(clock: Clock) -> None:
    """It counts whatever remains of the limit."""
    with FakeHyperline() as api:
        began = clock.now

        count(api, Pace(rate=100), 200)

        assert clock.now - began == pytest.approx(2, rel=0.02)


def measure(clock: Clock, pace: Pace) -> float:
    """Return the seconds between two requests."""
    pace.wait()
    began = clock.now
    pace.wait()
    return clock.now - began


def test_reads_become_slow_while_billing_needs_the_limit(clock: Clock) -> None:
    """With less than half of the limit, they use less than a quarter of it."""
    with FakeHyperline() as api:
        pace = Pace()
        intervals: list[float] = []
        for posts in (0, 490, 250, 249):
            for _ in range(posts):
                api.limiter.take()
            count(api, pace, 1)
            intervals.append(measure(clock, pace))
        clock.now += 10
        count(api, pace, 1)
        intervals.append(measure(clock, pace))

    assert intervals == pytest.approx([0.04, 0.04, 0.08, 1, 0.04], rel=0.05)


@given(st.integers(1, 10_000), st.integers(-10, 20_000))
def test_the_pace_is_at_most_a_quarter_and_never_zero(
    limit: int, remaining: int
) -> None:
    """Whatever remains of the limit in a period of 10 seconds."""
    requests = 10 / find_interval(limit, remaining)

    assert limit / 100 - 1e-6 <= requests <= limit / 4 + 1e-6


@pytest.mark.parametrize(
    "headers",
    [
        {"X-RateLimit-Limit": "x", "X-RateLimit-Remaining": "-1"},
        {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": ""},
        {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0"},
        {"X-RateLimit-Limit": "-1", "X-RateLimit-Remaining": "5"},
    ],
)
def test_malformed_headers_are_ignored(
    ingestion: FakeHyperline, clock: Clock, headers: dict[str, str]
) -> None:
    """The documented limit counts instead."""
    content = b'{"meta": {"total": 0}, "data": []}'
    ingestion.outage = FakeResponse(200, content, headers=headers)
    began = clock.now

    count(ingestion, Pace(), 20)

    assert clock.now - began == pytest.approx(19 * 0.04, rel=0.05)


def test_a_pause_is_also_for_those_that_wait_already(clock: Clock) -> None:
    """Afterwards, requests have the same distance as before."""
    pace = Pace(rate=10)
    pace.wait()
    began = clock.now
    clock.meanwhile.append(lambda: pace.pause(30))

    pace.wait()

    assert clock.now == pytest.approx(began + 30, abs=0.2)
    assert measure(clock, pace) == pytest.approx(0.1)


def test_a_shorter_pause_does_not_end_a_longer_one(clock: Clock) -> None:
    """Several requests fail at about the same time."""
    pace = Pace(rate=10)
    began = clock.now
    pace.pause(30)
    pace.pause(1)

    pace.wait()

    assert clock.now >= began + 30
