"""Count Hyperline's rows in windows, and halve these."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.in_flight import work_in_flight
from segment_to_hyperline.reconciliation.api.rows import Window


class Counted(NamedTuple):
    """A window, and the number of its rows."""

    window: Window
    total: int = 0
    right: Window | None = None
    """The other half of a window, if this is its left half."""
    whole: int = 0
    """The number of rows in both halves."""


def count(events: Events, waiting: Sequence[Counted]) -> Iterator[Counted]:
    """Yield the numbers of rows in windows; that of a right half follows."""
    windows = [counted.window for counted in waiting]
    totals = work_in_flight(events.count, windows)
    for counted, (_, total) in zip(waiting, totals, strict=True):
        yield counted._replace(total=total)
        if counted.right:
            yield Counted(counted.right, total=counted.whole - total)


def halve(counted: Counted) -> Counted:
    """Return the left half of a window, with the right one."""
    window = counted.window
    middle = (window.start + window.end) // 2
    left, right = window._replace(end=middle), window._replace(start=middle)
    return Counted(left, right=right, whole=counted.total)


def merge(windows: Iterable[Window]) -> Iterator[Window]:
    """Yield as few windows as possible that have the same events, sorted."""
    merged: Window | None = None
    for window in sorted(windows):
        if (
            merged
            and merged.event_type == window.event_type
            and merged.end >= window.start
        ):
            merged = merged._replace(end=max(merged.end, window.end))
            continue
        if merged:
            yield merged
        merged = window
    if merged:
        yield merged
