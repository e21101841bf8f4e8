"""How much time a call has left, and doing things in no more of it."""

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
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
        if self.left() <= 0:
            raise TimeUp
        future: Future[Result] = Future()
        # A daemon, so that late work does not keep the process from ending either.
        Thread(target=_fulfil, args=(future, work), daemon=True).start()
        if wait([future], self.left()).not_done:
            raise TimeUp
        return future.result()


def _fulfil[Result](future: Future[Result], work: Callable[[], Result]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - who waits for the result gets it
        future.set_exception(error)
