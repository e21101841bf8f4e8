"""Settle the events of a call: each ends in exactly one outcome.

The Receiver's whole work between reading a call and answering it.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import hyperline
import mapping
import quarantine
import settings
from billable import BillableEvent, Key
from segment import Event


class Outcome(StrEnum):
    """What became of an event."""

    DELIVERED = "delivered"  # Hyperline said that it took it
    FILTERED = "filtered"  # no rule wants it
    QUARANTINED = "quarantined"  # it is in the queue, with the reason
    PENDING = "pending"  # not settled: Segment must send it again
    THROTTLED = "throttled"  # pending too, only because Hyperline said 429


class Settlement(NamedTuple):
    """What became of *event*, and why if it was not delivered or filtered.

    *reason* names no value of the event; *detail* may, and is for the queue alone.
    """

    event: Event
    outcome: Outcome
    reason: str = ""
    detail: str = ""


# A billable event's end, by what Hyperline made of it.
_OUTCOMES: Mapping[type, Outcome] = {
    type(None): Outcome.DELIVERED,
    hyperline.Rejected: Outcome.QUARANTINED,
    hyperline.Throttled: Outcome.THROTTLED,
    hyperline.KeyRefused: Outcome.PENDING,
    hyperline.Unavailable: Outcome.PENDING,
    settings.Unreadable: Outcome.PENDING,
}


def settle(events: Sequence[Event], deadline: float) -> list[Settlement]:
    """Bill, filter or quarantine each of *events*; until *deadline*, a monotonic time.

    Raises nothing that concerns a single event.
    """
    mapped = [_map(event) for event in events]
    billable = [item for item in mapped if isinstance(item, BillableEvent)]
    results = _deliver(billable, deadline) if billable else {}
    return _quarantine(
        [
            _conclude(event, results[item.key])
            if isinstance(item, BillableEvent)
            else item
            for event, item in zip(events, mapped, strict=True)
        ]
    )


def _map(event: Event) -> BillableEvent | Settlement:
    try:
        billable = mapping.apply(_rules, event.data)
    except mapping.Unmappable as error:
        return Settlement(event, Outcome.QUARANTINED, str(error))
    except Exception as error:  # noqa: BLE001 - our bug must not stop its neighbours
        reason = f"the mapping failed with {type(error).__name__}"
        return Settlement(event, Outcome.QUARANTINED, reason)
    return billable or Settlement(event, Outcome.FILTERED)


def _deliver(
    events: Sequence[BillableEvent], deadline: float
) -> Mapping[Key, Exception | None]:
    """Deliver *events*; those whose API key was refused once more, with a fresh key."""
    results = _attempt(events, deadline, refresh=False)
    refused = [e for e in events if isinstance(results[e.key], hyperline.KeyRefused)]
    if refused:
        results |= _attempt(refused, deadline, refresh=True)
    return results


def _attempt(
    events: Sequence[BillableEvent], deadline: float, *, refresh: bool
) -> dict[Key, Exception | None]:
    try:
        account = settings.account(refresh=refresh)
    except settings.Unreadable as error:
        return {event.key: error for event in events}
    return {**hyperline.deliver(events, account.url, account.key, deadline)}


def _conclude(event: Event, result: Exception | None) -> Settlement:
    reason, detail, *_ = (*(result.args if result else ()), "", "")
    return Settlement(event, _OUTCOMES[type(result)], reason, detail)


def _quarantine(settlements: Sequence[Settlement]) -> list[Settlement]:
    """Keep what is to be quarantined; what can't be kept is pending after all."""
    refused = [_refused(s) for s in settlements if s.outcome is Outcome.QUARANTINED]
    if not refused:
        return list(settlements)
    lost = quarantine.keep(refused, settings.quarantine_queue_url())
    return [
        Settlement(settlement.event, Outcome.PENDING, lost[_refused(settlement)])
        if _refused(settlement) in lost
        else settlement
        for settlement in settlements
    ]


def _refused(settlement: Settlement) -> quarantine.Refused:
    reason = ": ".join(filter(None, (settlement.reason, settlement.detail)))
    return quarantine.Refused(settlement.event.text, reason)


_rules = mapping.load(Path(__file__).with_name("mapping.toml"))
