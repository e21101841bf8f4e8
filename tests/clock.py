"""The clocks of this process, which stand still until a test moves them."""

import socket
import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from segment_to_hyperline.reconciliation.api.in_flight import THREAD_NAME

_set_timeout_really = socket.socket.settimeout

# When each test begins. So the age of a sample event depends neither on the date nor on
# how long the tests take.
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def ago(seconds: float) -> str:
    """Return the time *seconds* before `NOW`, as Segment writes it."""
    return (NOW - timedelta(seconds=seconds)).isoformat()


def list_left_threads() -> set[int | None]:
    """Return the threads whose requests an earlier test has left.

    A retry can still wait, and has nothing to do with the time of another test.
    """
    return {each.ident for each in threading.enumerate() if each.name == THREAD_NAME}


class Clock:
    """The clocks of this process; no test depends on the speed of the machine.

    A pause of the function moves them, and takes no time; *pauses* has its seconds. So
    does the delay of a fake's response while the function waits for it: a delay that is
    longer than the function's timeout always exceeds it. *tick* is for how many seconds
    each look at `time.monotonic` moves them, as if the function were slow.

    The timeout of a socket is real, and is at least *patience* seconds, because other
    tests can keep the machine busy.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pauses: list[float] = []
        self.tick = 0.0
        self.patience = 60.0
        self._now = NOW.timestamp()
        self._elapsed = 0.0
        self._changed = threading.Condition()
        # When the delayed responses are due, by the fake's thread; and the threads to
        # whose response the function doesn't wait any more.
        self._due: dict[int, float] = {}
        self._broken: set[int] = set()
        self._function = threading.get_ident()
        self._others = list_left_threads()
        self._sleep_really = time.sleep
        self._wait_really = Future[object].exception
        monkeypatch.setattr(time, "time", lambda: self._now)
        monkeypatch.setattr(time, "monotonic", self._look)
        monkeypatch.setattr(time, "sleep", self._sleep)
        wait_for = self._wait_for
        monkeypatch.setattr(Future, "exception", lambda f, t=None: wait_for(f, t))

        def set_timeout(connection: socket.socket, seconds: float | None) -> None:
            _set_timeout_really(connection, seconds and max(seconds, self.patience))

        monkeypatch.setattr(socket.socket, "settimeout", set_timeout)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        with self._changed:
            self._now += seconds
            self._elapsed += seconds
            self._due = {t: due for t, due in self._due.items() if due > self._elapsed}
            self._changed.notify_all()

    def freeze(self, seconds: float) -> None:
        """Let time pass while Lambda freezes the function: only the wall clock goes on.

        With a negative number, the wall clock is set back.
        """
        self._now += seconds

    def close(self) -> None:
        """Break the connections whose response is still delayed."""
        with self._changed:
            self._broken |= self._due.keys()
            self._due.clear()
            self._changed.notify_all()

    def _look(self) -> float:
        if self.tick and threading.get_ident() == self._function:
            self.wait(self.tick)
        return self._elapsed

    def _sleep(self, seconds: float) -> None:
        if threading.get_ident() == self._function:
            self.pauses.append(seconds)
            self.wait(seconds)
        elif threading.get_ident() in self._others:
            self._sleep_really(seconds)
        elif seconds > 0:
            self._delay(seconds)

    def _delay(self, seconds: float) -> None:
        """Delay a fake's response; the connection breaks if the function gives up."""
        thread = threading.get_ident()
        with self._changed:
            self._due[thread] = self._elapsed + seconds
            self._changed.notify_all()
            self._changed.wait_for(lambda: thread not in self._due)
            if thread in self._broken:
                self._broken.remove(thread)
                raise ConnectionAbortedError

    def _wait_for(
        self, future: Future[object], timeout: float | None
    ) -> BaseException | None:
        """Wait as `Future.exception` does, except that only delays take time."""
        end = self._elapsed + (inf if timeout is None else timeout)
        future.add_done_callback(self._notify)
        with self._changed:
            while not future.done():
                if self._due:
                    self._skip_delay(end)
                else:
                    self._changed.wait()
        return self._wait_really(future)

    def _skip_delay(self, end: float) -> None:
        """Let time pass until a response is due, or until *end*: raise TimeoutError."""
        due = min(self._due.values())
        if due >= end:
            self.close()
        self.wait(max(0, min(due, end) - self._elapsed))
        if due >= end:
            raise TimeoutError

    def _notify(self, _future: Future[object]) -> None:
        with self._changed:
            self._changed.notify_all()
