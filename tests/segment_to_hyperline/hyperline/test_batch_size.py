"""The size of a batch: smaller after a failure, larger after a success."""

import pytest

from segment_to_hyperline.hyperline.batch_size import MAX_BATCH_BYTES, BatchSize
from segment_to_hyperline.hyperline.billable_event import BillableEvent, Key


def events(number: int, size: int = 10) -> list[BillableEvent]:
    """Return this many events of *size* bytes."""
    return [BillableEvent(Key("e", str(n)), b"x" * size) for n in range(number)]


def next_size(size: BatchSize) -> int:
    """Return the number of small events that are posted next."""
    return len(size.select(events(6_000)))


def test_failures_halve_it_down_to_78_events() -> None:
    """A smaller batch would not be too large for any server."""
    size = BatchSize()
    sizes = []

    for _ in range(9):
        batch = size.select(events(6_000))
        sizes.append(len(batch))
        size.record(batch, failed=True)

    assert sizes == [5_000, 2_500, 1_250, 625, 312, 156, 78, 78, 78]


def test_successes_double_it_up_to_the_maximum() -> None:
    """After an outage it is large again after a few posts."""
    size = BatchSize()
    for _ in range(9):
        size.record(size.select(events(6_000)), failed=True)
    sizes = []

    for _ in range(8):
        batch = size.select(events(6_000))
        sizes.append(len(batch))
        size.record(batch, failed=False)

    assert sizes == [78, 156, 312, 625, 1_250, 2_500, 5_000, 5_000]


def test_it_is_also_a_size_in_bytes() -> None:
    """A server can reject a few large events as well as many small ones."""
    size = BatchSize()
    large = events(100, MAX_BATCH_BYTES // 10 - 1)

    batch = size.select(large)
    size.record(batch, failed=True)

    assert len(batch) == 9
    assert len(size.select(large)) == 4


def test_a_small_batch_that_fails_decides_what_is_too_large() -> None:
    """1,000 events were too many, so 2,500 are not tried next."""
    size = BatchSize()

    size.record(events(1_000), failed=True)

    assert next_size(size) == 500


def test_a_batch_that_is_as_small_as_possible_is_not_too_large() -> None:
    """If it fails, the cause is another one."""
    size = BatchSize()

    size.record(events(78), failed=True)

    assert next_size(size) == 5_000


@pytest.mark.parametrize(("accepted", "following"), [(200, 312), (60, 156)])
def test_only_a_batch_of_about_this_size_shows_that_more_are_possible(
    accepted: int, following: int
) -> None:
    """That a small batch is accepted says nothing about larger ones."""
    size = BatchSize()
    size.record(events(312), failed=True)

    size.record(events(accepted), failed=False)

    assert next_size(size) == following


def test_an_event_larger_than_a_batch_is_posted_alone() -> None:
    """It can't be divided."""
    size = BatchSize()
    for _ in range(9):
        size.record(events(5_000), failed=True)

    assert len(size.select(events(3, 200_000))) == 1
