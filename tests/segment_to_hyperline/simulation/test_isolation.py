"""A simulated day with events that Hyperline can't process."""

import pytest

from segment_to_hyperline.simulation.isolation import DAY, HOUR, Day, simulate_day


@pytest.mark.parametrize("hangs", [False, True])
@pytest.mark.parametrize(
    ("batch_events", "share"), [(100, 0.01), (1, 0.01), (20, 0.05)]
)
def test_every_event_of_the_day_is_billed_or_quarantined(
    batch_events: int, share: float, *, hangs: bool
) -> None:
    """Unprocessable events are quarantined, and hold up no other."""
    summary = simulate_day(Day(0.2, batch_events, share, hangs))

    assert summary.unprocessable > 0
    assert summary.quarantined == summary.unprocessable
    assert summary.billed == summary.parked - summary.unprocessable
    assert summary.longest_wait < HOUR
    assert summary.end < 4 * DAY


def test_a_day_long_outage_ends_with_everything_billed() -> None:
    """Nothing is quarantined, and few posts are tried in vain."""
    summary = simulate_day(Day(0.2, 100, 0, is_outage=True))

    assert summary.billed == summary.parked > 17_000
    assert summary.quarantined == 0
    assert summary.failed_posts <= 6 * summary.failed_invocations
    assert summary.end < DAY + HOUR


def test_one_percent_takes_about_twelve_posts_each() -> None:
    """It takes two for each halving of a batch of about a hundred."""
    summary = simulate_day(Day(1, 100, 0.01))

    assert summary.isolating_posts < 15 * summary.unprocessable
