"""How much time a call has left, and doing things in no more of it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Self


class TimeUp(Exception):
    """Go on without the result: waiting for it would take too long."""


class Deadline:
    """The moment by which a call must be answered."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left, or less than 0."""
        return self._end - time.monotonic()

    def earlier(self, seconds: float) -> Self:
        """Return the deadline that comes *seconds* before this one."""
        return type(self)(self.left() - seconds)

    def run[Result](self, work: Callable[[], Result]) -> Result:
        """Return what *work* returns; raise `TimeUp` if that takes longer than is left.

        A limit on each read does not do: a server that sends a byte a second never
        reaches it. Work that is late goes on by itself and its result is not used.
        """
        global _worker  # noqa: PLW0603 - one that is stuck has to be replaced
        if self.left() <= 0:
            raise TimeUp
        future = _worker.submit(work)
        if wait([future], self.left()).not_done:
            _worker.shutdown(wait=False)
            _worker = ThreadPoolExecutor(max_workers=1)
            raise TimeUp
        return future.result()


_worker = ThreadPoolExecutor(max_workers=1)
