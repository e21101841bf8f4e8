"""What became of redriven events: billed, or back in Quarantine and why."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.quarantine.queue import Queue
from segment_to_hyperline.quarantine.rows import find_rows, is_stored
from segment_to_hyperline.quarantine.waiting import Place, Waiting
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import Events

# The Replayer waits this long for more messages.
_POLL_SECONDS = 5.0
# Each look into Quarantine is a receive of all of its messages.
_LOOK_SECONDS = 30.0


class Sent(NamedTuple):
    """An event that was sent to Replay."""

    place: Place
    """Where it was stored."""
    text: str
    """Its JSON."""
    billable: tuple[BillableEvent, ...]
    """What the mapping makes of it; nothing if it can't be mapped."""


class Outcomes(NamedTuple):
    """How many events had which outcome."""

    billed: int = 0
    returned: Mapping[str, int] = MappingProxyType({})
    """Those that are back in Quarantine, by the reason."""
    unknown: int = 0
    """The rest, which is probably still in Replay."""


class Follower:
    """Looks for the events that were *sent*, until it knows what became of each.

    *seen* has the messages of Quarantine before, and *customers* those of the events.
    """

    def __init__(
        self, sent: Iterable[Sent], seen: Iterable[str], customers: Customers
    ) -> None:
        self._customers = customers
        self._left = {each.place: each for each in sent}
        self._seen = set(seen)
        self._billed = 0
        self._returned = Counter[str]()
        self._looked_at = -_LOOK_SECONDS

    def wait(
        self,
        events: Events,
        replay: Queue,
        look: Callable[[], Iterable[Waiting]],
        seconds: float,
    ) -> Outcomes:
        """Return what became of them, at the latest after about so many *seconds*.

        *look* returns the events in Quarantine. Raises as `Client.get`, and
        `InputError`.
        """
        end = time.monotonic() + seconds
        while self._left:
            self._find_billed(events)
            now = time.monotonic()
            is_over = now >= end
            is_due = now - self._looked_at >= _LOOK_SECONDS
            if self._left and (is_over or (is_due and _is_empty(replay))):
                self._looked_at = now
                self._find_returned(look())
            if is_over or not self._left:
                break
            time.sleep(_POLL_SECONDS)
        return Outcomes(self._billed, self._returned, len(self._left))

    def _find_billed(self, events: Events) -> None:
        """Remove the events of which Hyperline has all rows."""
        billable = (b for sent in self._left.values() for b in sent.billable)
        found = find_rows(events, billable)
        for place, sent in list(self._left.items()):
            if sent.billable and all(
                is_stored(b, found, self._customers) for b in sent.billable
            ):
                del self._left[place]
                self._billed += 1

    def _find_returned(self, waiting: Iterable[Waiting]) -> None:
        """Remove the events that are in messages of Quarantine that weren't there."""
        new = {e.element.text: e for e in waiting if e.message.id not in self._seen}
        for place, sent in list(self._left.items()):
            if event := new.get(sent.text):
                del self._left[place]
                self._returned[event.reason] += 1


def _is_empty(replay: Queue) -> bool:
    state = replay.read_state()
    return not state.visible and not state.hidden
