"""What the local stack starts ends with it, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local_stack.aws import ROOT
from local_stack.processes import start

# Starts a process as the local AWS is started, which starts another one, as the local
# AWS starts those of the functions. Both would run for long.
SCRIPT = """
import sys, time
from local_stack.processes import ending_cleanly, start

LONG = "import os, time; os.write(2, b'ready\\\\n'); time.sleep(120)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {LONG!r}])"
with ending_cleanly(), start([sys.executable, "-c", PARENT], {}):
    while True:
        print("a line", flush=True)
        time.sleep(0.05)
"""
CLOSED = "the output is closed"
STATUSES = {
    signal.SIGTERM: 128 + signal.SIGTERM,
    signal.SIGHUP: 128 + signal.SIGHUP,
    signal.SIGINT: -signal.SIGINT,
    signal.SIGKILL: -signal.SIGKILL,
    CLOSED: 128 + signal.SIGPIPE,
}


@pytest.mark.parametrize("cause", STATUSES)
def test_what_was_started_ends_too(cause: str | signal.Signals, tmp_path: Path) -> None:
    """No process and no temporary file stays."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline() == b"ready\n"
        if isinstance(cause, signal.Signals):
            process.send_signal(cause)
        else:
            process.stdout.close()
            process.stdout = None

        # All processes have the same standard error, which closes with the last one.
        process.communicate(timeout=30)

    assert process.returncode == STATUSES[cause]
    assert list(tmp_path.iterdir()) == []


def test_a_hangup_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """The command `nohup` ignores it."""
    script = (
        "import os, signal\n"
        "from local_stack.processes import ending_cleanly\n"
        "with ending_cleanly():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    command = ["nohup", sys.executable, "-c", script]

    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "HOME": str(tmp_path)}, check=False
    )

    assert done.returncode == 0


def test_a_process_that_ends_leaves_nothing() -> None:
    """Its status and its output are known, and what it started is ended."""
    code = (
        "import subprocess, sys, tempfile\n"
        "tempfile.mkstemp()\n"
        "print('done', flush=True)\n"
        "subprocess.Popen(['sh', '-c', 'sleep 20; echo late'])\n"
        "sys.exit(3)\n"
    )

    with start([sys.executable, "-c", code], os.environ, stdout=subprocess.PIPE) as (
        process,
        folder,
    ):
        assert process.stdout
        # The process that it has started has the same output, which closes with it.
        assert process.stdout.read() == "done\n"
        assert process.wait() == 3
        assert len(list(folder.iterdir())) == 1

    assert not folder.exists()
