"""What became of redriven events: billed, or back in Quarantine and why."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.quarantine.queue import Queue
from segment_to_hyperline.quarantine.waiting import Place, Waiting
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.lookup import look_up_types
from segment_to_hyperline.reconciliation.api.rows import (
    Row,
    encode_text,
    read_milliseconds,
)
from segment_to_hyperline.reconciliation.evaluation import find_differences
from segment_to_hyperline.reconciliation.expected.versions import Expected

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
        times: dict[str, dict[str, int]] = defaultdict(dict)
        for sent in self._left.values():
            for billable in sent.billable:
                moment = read_milliseconds(billable.fields()["timestamp"]) or 0
                key = billable.key
                times[key.event_type][encode_text(key.record_id)] = moment
        found = look_up_types(events, times)
        for place, sent in list(self._left.items()):
            if sent.billable and all(
                _is_stored(b, found, self._customers) for b in sent.billable
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


def _is_stored(
    billable: BillableEvent,
    found: Mapping[tuple[str, str], Sequence[Row]],
    customers: Customers,
) -> bool:
    """Return whether Hyperline has it, and not another version of it."""
    fields, key = billable.fields(), billable.key
    record_id = encode_text(key.record_id)
    time = read_milliseconds(fields["timestamp"]) or 0
    names = key.event_type, record_id, record_id
    expected = Expected(*names, time, fields["customer_id"], billable.json)
    rows = found.get((key.event_type, record_id), ())
    return any(not find_differences(expected, row, customers) for row in rows)


def _is_empty(replay: Queue) -> bool:
    state = replay.read_state()
    return not state.visible and not state.hidden
