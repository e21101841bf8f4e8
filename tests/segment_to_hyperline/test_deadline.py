"""A deadline: nothing waits longer than the time that is left."""

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from segment_to_hyperline.deadline import Deadline, DeadlineExceeded


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """An event for late work to wait for, which is set after the test.

    Otherwise pytest would not exit: a process waits for the threads of an executor.
    """
    release = threading.Event()
    yield release
    release.set()


def test_the_result_of_work_is_returned() -> None:
    """The deadline makes no difference to work that is finished in time."""
    assert Deadline(60).run(lambda: "done") == "done"


def test_an_exception_of_work_is_raised() -> None:
    """A TimeoutError of the work is not reported as an exceeded deadline."""

    def work() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        Deadline(60).run(work)


def test_late_work_is_not_waited_for(release: threading.Event) -> None:
    """The next work doesn't wait for it either."""
    with pytest.raises(DeadlineExceeded):
        Deadline(0.05).run(release.wait)

    assert not release.is_set()
    assert Deadline(60).run(lambda: "next") == "next"


def test_threads_are_reused() -> None:
    """Ten pieces of work don't start ten threads."""
    threads = {Deadline(60).run(threading.current_thread) for _ in range(10)}

    assert len(threads) < 10


def test_the_thread_of_late_work_is_not_reused_before_it_ends(
    release: threading.Event,
) -> None:
    """Until then, other work runs in another thread."""
    late: list[threading.Thread] = []

    def work() -> None:
        late.append(threading.current_thread())
        release.wait()

    with pytest.raises(DeadlineExceeded):
        Deadline(0.05).run(work)

    assert Deadline(60).run(threading.current_thread) not in late
    release.set()
    assert Deadline(60).run(lambda: "next") == "next"


def test_much_late_work_does_not_delay_the_next(release: threading.Event) -> None:
    """A Lambda instance can have many hanging connections at a time."""
    for _ in range(10):
        with pytest.raises(DeadlineExceeded):
            Deadline(0.01).run(release.wait)

    assert Deadline(60).run(lambda: "next") == "next"


def test_no_work_is_started_after_the_deadline() -> None:
    """Its result could not be used."""
    started: list[int] = []

    for number in range(500):  # work that is cancelled at once is rarely started
        with pytest.raises(DeadlineExceeded):
            Deadline(0).run(partial(started.append, number))

    Deadline(60).run(lambda: None)  # after the others
    assert started == []


def test_an_earlier_deadline_reserves_time() -> None:
    """The time between the two deadlines is left for other work."""
    deadline = Deadline(60)

    assert deadline.earlier(2).left() <= 58 < deadline.left()
