"""The clocks of the tests are those of one test only."""

import threading
import time
from typing import Protocol

import pytest

from segment_to_hyperline.reconciliation.api.in_flight import THREAD_NAME
from tests.clock import Clock
from tests.segment_to_hyperline.reconciliation import helpers


class AnyClock(Protocol):
    """A clock of either kind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None: ...


@pytest.mark.parametrize("kind", [Clock, helpers.Clock])
def test_a_thread_of_an_earlier_test_moves_no_clock(
    kind: type[AnyClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can still wait for a retry, when the test that began it has ended."""
    may_sleep = threading.Event()

    def sleep() -> None:
        may_sleep.wait()
        time.sleep(0.01)

    thread = threading.Thread(target=sleep, name=THREAD_NAME, daemon=True)
    thread.start()
    clock = kind(monkeypatch)
    before = time.time(), time.monotonic()
    may_sleep.set()
    thread.join(timeout=10)

    assert clock
    assert not thread.is_alive()
    assert (time.time(), time.monotonic()) == before
