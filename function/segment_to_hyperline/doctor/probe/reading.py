"""Experiments that only read what was stored."""

from math import inf

from segment_to_hyperline.doctor.probe.experiment import Experiment
from segment_to_hyperline.doctor.probe.sandbox import Sandbox, Undecided

_EVENTS = 6
_SOON_SECONDS = 5


def find_delay(sandbox: Sandbox) -> str:
    """Read an event until it is found."""
    seconds = sandbox.measure_delay()
    if seconds == inf:
        return "later"
    return "within 5 seconds" if seconds <= _SOON_SECONDS else "within a minute"


def find_order(sandbox: Sandbox) -> str:
    """Read events with the same time, with pages of different lengths."""
    events = [sandbox.create_event() for _ in range(_EVENTS)]
    response = sandbox.post_batch(events)
    if not response.is_accepted:
        raise Undecided(f"a batch of ordinary events is rejected ({response.status})")
    found = len(sandbox.read_settled(*events))
    if found != _EVENTS:
        raise Undecided(f"only {found} of {_EVENTS} events can be read")
    orders = set()
    for take in (_EVENTS, _EVENTS // 2, 2, 1):
        pages = (
            sandbox.read(*events, take=take, skip=skip)
            for skip in range(0, _EVENTS, take)
        )
        orders.add(tuple(row["record_id"] for page in pages for row in page))
    return "in the same order" if len(orders) == 1 else "in another order"


READING = (
    Experiment("delay", 2, find_delay),
    Experiment("equal times", 8, find_order),
)
