"""The exit statuses of the commands that are not 0 or 2."""

import signal
import sys
from typing import NoReturn

import click

CHECK_FAILED = 1
INCOMPLETE = 3
INTERRUPTED = 128 + signal.SIGINT


def describe_unreadable(parts: int) -> str:
    """Return what fails if *parts* of the input can't be read."""
    number = f"{parts:,} part{'' if parts == 1 else 's'}"
    return f"the result is incomplete, because {number} of the input can't be read"


def fail(problem: str) -> NoReturn:
    """Exit because a check failed, as the command describes."""
    click.echo(f"Failed: {problem}.", err=True)
    sys.exit(CHECK_FAILED)
