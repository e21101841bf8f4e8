"""How much time a call has left, and doing things in no more of it."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, Self


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
        left = self.left()
        if left <= 0:
            raise TimeUp
        worker = _idle.pop() if _idle else _Worker()
        future = worker.start(work)
        try:
            # Unlike `result` it raises what waiting raises, and nothing of the work.
            future.exception(left)
        except TimeoutError:
            worker.leave()
            raise TimeUp from None
        _idle.append(worker)
        return future.result()


class _Worker:
    """A thread that is kept, since starting one costs more than a call to Hyperline."""

    def __init__(self) -> None:
        self._inbox: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            SimpleQueue()
        )
        # A daemon, so that late work does not keep the process from ending.
        Thread(target=self._work, daemon=True).start()

    def start[Result](self, work: Callable[[], Result]) -> Future[Result]:
        """Begin *work* and return what will hold its result."""
        future: Future[Result] = Future()
        self._inbox.put((future, work))
        return future

    def leave(self) -> None:
        """End the thread once its work is done."""
        self._inbox.put(None)

    def _work(self) -> None:
        while item := self._inbox.get():
            _fulfil(*item)
            del item  # or the last result would be held until the next


def _fulfil[Result](future: Future[Result], work: Callable[[], Result]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - who waits for the result gets it
        future.set_exception(error)


_idle: list[_Worker] = []
