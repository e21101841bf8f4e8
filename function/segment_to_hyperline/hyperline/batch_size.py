"""How many events are posted together: fewer after a failure, more after a success."""

from collections.abc import Sequence
from dataclasses import dataclass

from segment_to_hyperline.batching import group_items
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.hyperline.facts import MAX_BATCH_EVENTS

# Hyperline documents no limit in bytes; this one is ours.
MAX_BATCH_BYTES = 4_000_000
# About 78 events or 62 KB: small enough for any server.
_MIN_SHARE = 1 / 64


@dataclass
class BatchSize:
    """The size of the next batch, as a share of the largest.

    A server can be too slow for a large batch, or a proxy can reject it. Each batch
    that fails halves the size, and each one of this size that is accepted doubles it.
    """

    _share: float = 1

    def select(self, events: Sequence[BillableEvent]) -> list[BillableEvent]:
        """Return the first of *events*, as many as are to be posted together."""
        # Besides its own bytes, each event takes a comma or the closing bracket, and
        # the opening bracket takes one byte more.
        groups = group_items(
            events,
            lambda event: len(event.json) + 1,
            max_items=int(MAX_BATCH_EVENTS * self._share),
            max_bytes=int(MAX_BATCH_BYTES * self._share) - 1,
        )
        return next(groups)

    def record(self, batch: Sequence[BillableEvent], *, failed: bool) -> None:
        """Note that *batch* *failed*, or was accepted."""
        size = _measure(batch)
        if failed and size > _MIN_SHARE:
            self._share = max(_MIN_SHARE, min(self._share, size) / 2)
        elif not failed and size > self._share / 2:
            self._share = min(1, self._share * 2)


def _measure(batch: Sequence[BillableEvent]) -> float:
    """Return the size of *batch* as a share of the largest."""
    size = sum(len(event.json) + 1 for event in batch)
    return max(len(batch) / MAX_BATCH_EVENTS, size / MAX_BATCH_BYTES)
