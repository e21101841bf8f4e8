"""Find the events of a day in Segment's archive, and say how to do so elsewhere."""

import shlex
from typing import NamedTuple

from segment_to_hyperline import config
from segment_to_hyperline.archive.files import NothingReceived
from segment_to_hyperline.archive.received_days import ReceivedDays
from segment_to_hyperline.archive.s3_objects import SCHEME
from segment_to_hyperline.archive.sources import Source, find_sources
from segment_to_hyperline.daily_check.day import Day


class Found(NamedTuple):
    """What the archive has of the days of receipt that are needed."""

    sources: list[Source]
    note: str = ""
    """Why there is nothing of these days; otherwise empty."""


def find_events(days: ReceivedDays) -> Found:
    """Return the objects of these *days*; raises `InputError`.

    If there are none, they are those of the last day that the archive has, because
    Hyperline can have events of their types.
    """
    try:
        return Found(find_sources([find_name()], days))
    except NothingReceived as error:
        last = ReceivedDays(error.last_day, error.last_day)
        return Found(find_sources([find_name()], last), str(error))


def find_name() -> str:
    """Return the name of the archive, as `reconcile` takes it."""
    prefix = config.archive_prefix()
    return f"{SCHEME}{config.archive_bucket()}{f'/{prefix}' * bool(prefix)}"


def create_command(day: Day) -> str:
    """Return the command that compares *day* on another machine."""
    words = "segment-to-hyperline", "reconcile", find_name()
    options = "--from", day.date, "--to", day.next_date, "--deep"
    return shlex.join([*words, *options, "--stack", config.stack_name()])
