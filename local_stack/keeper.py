"""Run a command, and end it and all that it started once the starter has ended.

The standard input is a pipe from the starter, so it closes also if that is killed. Then
the folder of the command is removed. It runs as a program of its own:

    python keeper.py FOLDER COMMAND...
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def main() -> int:
    """Run the command, and return its exit status."""
    folder, *command = sys.argv[1:]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True
    )
    orphaned = threading.Event()

    def wait_for_starter() -> None:
        sys.stdin.buffer.read()
        orphaned.set()
        end_group(process.pid)

    threading.Thread(target=wait_for_starter, daemon=True).start()
    status = process.wait()
    end_group(process.pid)
    if orphaned.is_set():
        shutil.rmtree(folder, ignore_errors=True)
    return status


def end_group(group: int) -> None:
    """Kill the processes of a *group* that still run."""
    # macOS doesn't permit it for a group that has only ended processes.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    # Without waiting for the thread that reads.
    sys.stdout.flush()
    os._exit(abs(main()))
