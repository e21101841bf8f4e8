"""The exit statuses of the commands that are not 0 or 2."""

import signal
import sys
from typing import NoReturn

import click

CHECK_FAILED = 1
INCOMPLETE = 3
INTERRUPTED = 128 + signal.SIGINT


def fail(problem: str) -> NoReturn:
    """Exit because a check failed, as the command describes."""
    click.echo(f"Failed: {problem}.", err=True)
    sys.exit(CHECK_FAILED)
