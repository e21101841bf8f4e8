"""Fixtures: Hyperline's two APIs, and a time that only passes by sleeping."""

import os
from collections.abc import Iterator

import pytest

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from tests.segment_to_hyperline.reconciliation.helpers import Clock


@pytest.fixture
def parallel_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A time that only passes while somebody sleeps, in several threads."""
    return Clock(monkeypatch)


@pytest.fixture
def ingestion() -> Iterator[FakeHyperline]:
    """An ingestion API that has no rate limit."""
    with FakeHyperline(rate_limit=1_000_000) as api:
        yield api


@pytest.fixture
def core_api() -> Iterator[FakeCoreApi]:
    """A core API that has no rate limit, of an account with one invoicing entity."""
    with FakeCoreApi(rate_limit=1_000_000) as api:
        api.add_entity("ent_1")
        yield api


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that requests reads."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
