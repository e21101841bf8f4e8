"""Fixtures: a stack that receives events, and the present."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local_stack.fake_hyperline import FakeHyperline
from tests.clock import NOW, Clock
from tests.conftest import Queue, Secret
from tests.segment_to_hyperline.sending.gateway import FakeGateway


@pytest.fixture
def present(clock: Clock) -> Clock:
    """The clocks of this process, set to the present.

    The fake AWS logs no line of another time.
    """
    clock.freeze(datetime.now(UTC).timestamp() - NOW.timestamp())
    return clock


@pytest.fixture
def gateway(
    present: Clock,
    secret: Secret,
    quarantine: Queue,
    replay_queue: Queue,
    hyperline: FakeHyperline,
) -> Iterator[FakeGateway]:
    """The URL of a stack that bills events in the fake Hyperline."""
    assert all((present, secret, quarantine, replay_queue, hyperline))
    with FakeGateway() as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that requests reads."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
