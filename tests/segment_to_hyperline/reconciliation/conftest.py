"""Fixtures: events, a Hyperline that stored them, and the commands."""

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import write
from segment_to_hyperline.cli.main import cli
from tests.segment_to_hyperline.reconciliation.helpers import Clock
from tests.segment_to_hyperline.reconciliation.planted import (
    EVENTS,
    RECENT,
    START,
    Run,
    bill,
    command,
    variables,
)

type Store = dict[tuple[str, str], bytes]


@pytest.fixture(scope="package")
def stored() -> Store:
    """What Hyperline stored of `EVENTS`; mapping them takes a while."""
    with FakeHyperline() as hyperline:
        bill(hyperline, EVENTS)
        return dict(hyperline.store)


@pytest.fixture
def hyperline(stored: Store) -> Iterator[FakeHyperline]:
    """A Hyperline that stored `EVENTS`."""
    with FakeHyperline(rate_limit=1_000_000) as hyperline:
        hyperline.store |= stored
        yield hyperline


@pytest.fixture(scope="package")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`EVENTS` in the layout of Segment's archive in S3."""
    folder = tmp_path_factory.mktemp("archive")
    for day in range(5):
        start = round((START + timedelta(days=day)).timestamp() * 1_000)
        path = folder / f"source-1/{start}"
        path.mkdir(parents=True)
        part = EVENTS[day * 1_200 : (day + 1) * 1_200]
        lines = "".join(write(each) + "\n" for each in part).encode()
        (path / "1.gz").write_bytes(gzip.compress(lines))
    return folder


@pytest.fixture
def archive(compressed: Path, tmp_path: Path) -> Path:
    """A copy of these files, to which a test can add others."""
    return shutil.copytree(compressed, tmp_path / "segment-logs")


@pytest.fixture
def recent(tmp_path: Path) -> Path:
    """A file with recent events, of which Hyperline has none."""
    path = tmp_path / "recent.ndjson"
    path.write_text("".join(write(each) + "\n" for each in RECENT))
    return path


@pytest.fixture
def run(
    hyperline: FakeHyperline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run a subcommand in this process, with the key and the host of the fake."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            done = CliRunner().invoke(
                cli, arguments, env=variables(hyperline) | environment
            )
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(
            arguments, done.exit_code, done.stdout, done.stderr
        )

    return run


@pytest.fixture
def run_process(hyperline: FakeHyperline, tmp_path: Path) -> Run:
    """Run a subcommand in a process of its own, as from a shell.

    A variable of the *environment* that is empty is not set.
    """

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        merged = os.environ | variables(hyperline) | environment
        return subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env={name: value for name, value in merged.items() if value},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A time that only passes while somebody sleeps."""
    return Clock(monkeypatch)


@pytest.fixture
def ingestion() -> Iterator[FakeHyperline]:
    """An ingestion API with so high a rate limit that reads aren't delayed."""
    with FakeHyperline(rate_limit=1_000_000) as api:
        yield api


@pytest.fixture
def core_api() -> Iterator[FakeCoreApi]:
    """A core API with a high rate limit."""
    with FakeCoreApi(rate_limit=1_000_000) as api:
        yield api


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that requests reads."""
    for name in list(os.environ):
        is_proxy = name.lower().endswith("_proxy")
        if is_proxy or name in {
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "SSL_CERT_FILE",
        }:
            monkeypatch.delenv(name)
