"""The exit statuses of a command, and how its help and its last line explain them."""

import signal
import sys
from typing import NoReturn

import click

from segment_to_hyperline.text import format_count

CHECK_FAILED = 1
INVALID = 2
INCOMPLETE = 3
# https://man.openbsd.org/sysexits
BUG = 70
INTERRUPTED = 128 + signal.SIGINT
_CLOSED = 128 + signal.SIGPIPE


def format_epilog(example: str, failures: dict[int, str] | None = None) -> str:
    """Return the end of a command's help: an *example*, and its exit statuses.

    *failures* are the statuses that not every command has.
    """
    return f"Example: segment-to-hyperline {example}\n\n{format_statuses(failures)}"


def format_statuses(failures: dict[int, str] | None = None) -> str:
    """Return the exit statuses of a command."""
    meanings = {
        0: "success",
        **(failures or {}),
        INVALID: "the input or the command line is invalid",
        BUG: "an error of this command, to be reported",
        INTERRUPTED: "interrupted by Ctrl-C",
        _CLOSED: "the output was closed",
    }
    shown = "; ".join(f"{status} {text}" for status, text in sorted(meanings.items()))
    return f"Exit statuses: {shown}."


def describe_unreadable(parts: int) -> str:
    """Return what fails if *parts* of the input can't be read."""
    number = format_count(parts, "part")
    return f"the result is incomplete, because {number} of the input can't be read"


def describe_too_many(most: int, options: str = "--mapping, --from, --to") -> str:
    """Return what fails if there are more than *most* differences.

    *options* are what can be wrong.
    """
    return (
        f"there are more than {most:,} differences: check {options} and which sources"
        " EVENTS has, or list them with a larger --max"
    )


def fail(problem: str) -> NoReturn:
    """Exit because a check failed, as the command describes."""
    click.echo(f"Failed: {problem}.", err=True)
    sys.exit(CHECK_FAILED)
