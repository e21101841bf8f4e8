"""Fixtures: a month that can be closed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from tests.segment_to_hyperline.closing.world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A month in which everything is right."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with (
        FakeHyperline(rate_limit=1_000_000) as hyperline,
        FakeCoreApi(rate_limit=1_000_000, hyperline=hyperline) as core,
    ):
        yield World(tmp_path, hyperline, core)
