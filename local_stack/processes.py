"""Start processes that end with this one, and end this one cleanly."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

KEEPER = Path(__file__).with_name("keeper.py")
_END_SECONDS = 30


class Kept(NamedTuple):
    """A process that ends with this one, with all that it started."""

    process: subprocess.Popen[str]
    """It runs until the process does, and has its exit status."""
    folder: Path
    """Where it creates temporary files."""


@contextmanager
def start(
    command: Sequence[str | Path], environment: Mapping[str, str], **options: Any
) -> Iterator[Kept]:
    """Yield the running *command*; end it afterwards, and remove its temporary files.

    It is ended too if this process is killed. *options* are those of `Popen`.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", KEEPER, folder, *command],
            env={**environment, "TMPDIR": folder},
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C ends it through the pipe
            **options,
        )
        assert process.stdin
        try:
            yield Kept(process, Path(folder))
        finally:
            process.stdin.close()
            process.wait(_END_SECONDS)
            if process.stdout:
                process.stdout.close()


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Exit on SIGTERM, SIGHUP and a closed output as on Ctrl-C.

    What was started is stopped. The exit status is that of a process which the signal
    ends.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    # A closed pipe or connection is an exception instead.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
