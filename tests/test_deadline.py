"""Doing things in no more time than there is."""

import threading
import time

import pytest

from deadline import Deadline, TimeUp


def test_the_result_of_work_in_time_is_returned() -> None:
    """Work that is done in time is as if there were no deadline."""
    assert Deadline(5).run(lambda: "done") == "done"


def test_an_exception_of_work_in_time_is_raised() -> None:
    """A time-out of the work itself is not taken for ours."""

    def work() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        Deadline(5).run(work)


def test_work_that_takes_too_long_is_not_waited_for() -> None:
    """The next work does not wait for it either."""
    release = threading.Event()

    with pytest.raises(TimeUp):
        Deadline(0.05).run(release.wait)

    assert Deadline(5).run(lambda: "next") == "next"
    release.set()


def test_a_thread_is_kept_for_the_next_work() -> None:
    """A call does not pay for a new one; only work that is late costs one."""
    threads = {Deadline(5).run(threading.current_thread) for _ in range(10)}
    assert len(threads) == 1
    release = threading.Event()

    with pytest.raises(TimeUp):
        Deadline(0.05).run(release.wait)

    assert Deadline(5).run(threading.current_thread) not in threads
    release.set()
    threads.pop().join(5)
    assert Deadline(5).run(lambda: "next") == "next"


def test_no_work_is_begun_when_the_time_is_over() -> None:
    """What could not be waited for is not done."""
    done = threading.Event()

    with pytest.raises(TimeUp):
        Deadline(0).run(done.set)

    time.sleep(0.05)
    assert not done.is_set()


def test_an_earlier_deadline_leaves_time() -> None:
    """What comes later can be left some of the time."""
    deadline = Deadline(5)

    assert deadline.earlier(2).left() <= 3 < deadline.left()
