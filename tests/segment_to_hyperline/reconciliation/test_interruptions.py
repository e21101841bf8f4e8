"""A reconciliation that is interrupted: by failures, signals, and a full disk."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from local_stack.fake_hyperline import FakeHyperline, FakeResponse
from tests.segment_to_hyperline.reconciliation.planted import (
    Clock,
    Run,
    bill,
    command,
    compare,
    delete,
    event,
    ids,
    variables,
)


def test_a_failure_of_hyperline_can_be_continued(
    run: Run,
    archive: Path,
    tmp_path: Path,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exit status is 3; the next run doesn't repeat what is completed."""
    Clock(monkeypatch)
    delete(hyperline, 10)
    expected = compare(run, archive)
    hyperline.reads.clear()
    # The third request and its repetitions fail.
    ok = FakeResponse(200, b'{"meta": {"total": 720}, "data": []}')
    hyperline.respond(ok, ok, *[FakeResponse(500, headers={"Retry-After": "1"})] * 6)

    done = run("reconcile", str(archive))

    assert done.returncode == 3
    assert done.stderr.startswith("Incomplete: Hyperline doesn't respond")
    hyperline.reads.clear()
    assert compare(run, archive) == expected
    assert list((tmp_path / ".reconcile").iterdir()) == []


def test_a_killed_reconciliation_continues_with_the_same_result(
    run: Run, archive: Path, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """It is killed at random moments; nothing is repeated or left out."""
    delete(hyperline, 10, 3_000)
    bill(hyperline, [event(50, messageId="x-1")])
    expected = compare(run, archive, "--deep")
    generator = random.Random(1)

    for _ in range(6):
        process = subprocess.Popen(
            command("reconcile", str(archive), "--deep"),
            cwd=tmp_path,
            env=os.environ | variables(hyperline),
            stdout=subprocess.DEVNULL,
        )
        time.sleep(generator.uniform(0.3, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert compare(run, archive, "--deep") == expected


def test_ctrl_c_ends_with_one_line_and_can_be_continued(
    run: Run, archive: Path, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """The exit status is 130, and the next run has the whole result."""
    delete(hyperline, 10)
    hyperline.respond(*[FakeResponse(429, headers={"Retry-After": "30"})])
    process = subprocess.Popen(
        command("reconcile", str(archive)),
        cwd=tmp_path,
        env=os.environ | variables(hyperline),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not hyperline.reads:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)

    output, errors = process.communicate(timeout=60)

    assert (process.returncode, output, errors.strip()) == (130, b"", b"Interrupted.")
    assert ids(compare(run, archive), "missing") == ["m-10"]


@pytest.mark.parametrize("is_full", [False, True])
def test_a_full_disk_is_reported(
    run: Run,
    archive: Path,
    tmp_path: Path,
    hyperline: FakeHyperline,
    *,
    is_full: bool,
) -> None:
    """The line names the file, and the next run starts again."""
    limit = "ulimit -f 1000; " * is_full
    shown = subprocess.run(
        ["sh", "-c", f'{limit} exec "$@"', "sh", *command("reconcile", str(archive))],
        cwd=tmp_path,
        env=os.environ | variables(hyperline),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert shown.returncode == (2 if is_full else 0), shown.stderr
    assert ("free some space" in shown.stderr) == is_full
    assert compare(run, archive)["matches"]


def test_a_completed_reconciliation_is_not_reused(
    run: Run, archive: Path, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """Also if its output was closed, so that nothing could be cleaned up."""
    line = f"{' '.join(command('reconcile', str(archive)))} | true"
    subprocess.run(
        ["sh", "-c", line],
        cwd=tmp_path,
        env=os.environ | variables(hyperline),
        check=True,
        timeout=60,
    )
    delete(hyperline, 10)

    assert ids(compare(run, archive), "missing") == ["m-10"]


def test_two_reconciliations_of_the_same_events_exclude_each_other(
    run_process: Run, archive: Path, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """They would overwrite what the other one has found."""
    hyperline.respond(FakeResponse(429, headers={"Retry-After": "3"}))
    first = subprocess.Popen(
        command("reconcile", str(archive)),
        cwd=tmp_path,
        env=os.environ | variables(hyperline),
        stdout=subprocess.DEVNULL,
    )
    while not hyperline.reads:
        time.sleep(0.05)

    second = run_process("reconcile", str(archive))

    assert second.returncode == 2
    assert "are being compared already" in second.stderr
    assert first.wait(timeout=60) == 0
