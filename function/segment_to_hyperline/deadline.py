"""The time budget of an invocation, and how work is stopped from exceeding it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from segment_to_hyperline.errors import Error

# The pool grows only while late tasks are still running. This limits how many there can
# be before new work has to wait.
_MAX_THREADS = 1_000
_executor = ThreadPoolExecutor(_MAX_THREADS, "deadline")


class DeadlineExceeded(Error):
    """Raised when work was not finished before the deadline."""


class Deadline:
    """The time by which an invocation must be finished."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the remaining seconds; negative if the deadline has passed."""
        return self._end - time.monotonic()

    def earlier(self, seconds: float) -> Self:
        """Return a deadline that is *seconds* before this one."""
        return type(self)(self.left() - seconds)

    def at_most(self, seconds: float) -> Self:
        """Return this deadline, or the one in *seconds* if that is earlier."""
        return type(self)(min(self.left(), seconds))

    def run[Result](self, work: Callable[[], Result]) -> Result:
        """Return the result of *work*; raise `DeadlineExceeded` if it takes too long.

        A per-read timeout is not enough: a server that sends one byte a second never
        reaches it. Late work keeps running in its thread; its result is discarded.
        """
        left = self.left()
        if left <= 0:
            raise DeadlineExceeded
        future = _executor.submit(work)
        try:
            # Unlike `result`, this raises only the TimeoutError of waiting, and not one
            # that *work* raised.
            future.exception(left)
        except TimeoutError:
            future.cancel()  # if it is still waiting for a thread
            raise DeadlineExceeded from None
        return future.result()
