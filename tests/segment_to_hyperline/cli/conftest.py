"""Fixtures: the command `backfill`, and a time that only passes by sleeping."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import write
from segment_to_hyperline.cli.main import cli
from tests.clock import NOW
from tests.conftest import Secret
from tests.segment_to_hyperline.cli.backfills import Backfill
from tests.segment_to_hyperline.reconciliation.helpers import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A time that only passes while somebody sleeps, in several threads."""
    clock = Clock(monkeypatch)
    clock.now = NOW.timestamp()
    return clock


@pytest.fixture
def backfill(
    secret: Secret,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Backfill:
    """Run `backfill`, or another *command*, for events if any, and with options."""
    assert secret
    assert hyperline
    monkeypatch.setenv("HYPERLINE_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)

    def backfill(
        events: list[Any] | None, *options: str, command: str = "backfill"
    ) -> Result:
        if events is None:
            return CliRunner().invoke(cli, [command, *options])
        path = tmp_path / "events.ndjson"
        path.write_text("".join(write(each) + "\n" for each in events))
        return CliRunner().invoke(cli, [command, str(path), *options])

    return backfill
