"""Settle the events of a call: each ends in exactly one outcome.

What the Receiver does between reading a call and answering it, and the Replayer with
what was quarantined.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import NamedTuple

import hyperline
import mapping
import mapping_file
import payload
import quarantine
from billable import BillableEvent, Key
from deadline import Deadline
from expressions import Unmappable
from payload import Event
from settings import (
    Secret,
    Unreadable,
    park_after_seconds,
    quarantine_queue_url,
    read_secret,
)

# What the queue is left of a call's time: half a second of three.
QUARANTINE_SHARE = 1 / 6


class Outcome(StrEnum):
    """What became of an event."""

    DELIVERED = "delivered"  # Hyperline said that it took it
    FILTERED = "filtered"  # no rule wants it
    QUARANTINED = "quarantined"  # it is in the queue, with the reason
    PENDING = "pending"  # not settled: Segment must send it again
    THROTTLED = "throttled"  # pending too, only because Hyperline said 429
    PREVIEWED = "previewed"  # a test event that Hyperline does not have


class Settlement(NamedTuple):
    """What became of *event*, and why if it was not delivered or filtered.

    *reason* names no value of the event; *detail* may, and is for the queue alone.
    *billable* is what the mapping made of it, if it could.
    """

    event: Event
    outcome: Outcome
    reason: str = ""
    detail: str = ""
    billable: BillableEvent | None = None


class Withheld(Exception):
    """Show what a test event would bill, and bill nobody."""


# The end of a billable event that was not delivered, by what kept it.
_OUTCOMES: Mapping[type, Outcome] = {
    hyperline.Rejected: Outcome.QUARANTINED,
    hyperline.Throttled: Outcome.THROTTLED,
    hyperline.KeyRefused: Outcome.PENDING,
    hyperline.Unavailable: Outcome.PENDING,
    Unreadable: Outcome.PENDING,
    Withheld: Outcome.PREVIEWED,
}
_WITHHELD = Withheld("a test event is only sent with a sandbox key (test_…)")


def settle(
    events: Sequence[Event], secret: Secret, deadline: Deadline
) -> list[Settlement]:
    """Bill, filter or quarantine each of *events* of a call that Segment can repeat.

    Raises nothing that concerns a single event.
    """
    # What can't be billed must still get into the queue when Hyperline takes all time.
    reserve = deadline.left() * QUARANTINE_SHARE
    settlements = bill(events, secret, deadline.earlier(reserve))
    return _quarantine([_park(s, time.time()) for s in settlements], deadline)


def bill(
    events: Sequence[Event], secret: Secret, deadline: Deadline
) -> list[Settlement]:
    """Bill or filter each of *events*; nothing is put into the queue by this."""
    mapped = [_map(event) for event in events]
    billable = [item for item in mapped if isinstance(item, BillableEvent)]
    results = _deliver(billable, secret, deadline) if billable else {}
    return [
        _conclude(event, item, results) if isinstance(item, BillableEvent) else item
        for event, item in zip(events, mapped, strict=True)
    ]


def _map(event: Event) -> BillableEvent | Settlement:
    try:
        billable = mapping.apply(_rules, event.data)
    except Unmappable as error:
        return _excuse(Settlement(event, Outcome.QUARANTINED, str(error)))
    except Exception as error:  # noqa: BLE001 - our bug must not stop its neighbours
        reason = f"the mapping failed with {type(error).__name__}"
        return _excuse(Settlement(event, Outcome.QUARANTINED, reason))
    return billable or Settlement(event, Outcome.FILTERED)


def _deliver(
    events: Sequence[BillableEvent], secret: Secret, deadline: Deadline
) -> Mapping[Key, Exception | None]:
    """Deliver *events*; those whose API key was refused once more, with a fresh key."""
    results = _attempt(events, lambda: secret, deadline)
    refused = [e for e in events if isinstance(results[e.key], hyperline.KeyRefused)]
    if refused:
        refresh = partial(read_secret, deadline, refresh=True)
        results |= _attempt(refused, refresh, deadline)
    return results


def _attempt(
    events: Sequence[BillableEvent],
    read: Callable[[], Secret],
    deadline: Deadline,
) -> dict[Key, Exception | None]:
    try:
        account = read().account()
    except Unreadable as error:
        return {event.key: error for event in events}
    # Asked for each key, since a fresh secret may hold a key of the other kind.
    tests = [] if account.is_sandbox() else [e for e in events if _is_test(e.key)]
    real = [e for e in events if not _is_test(e.key)] if tests else events
    results = hyperline.deliver(real, account.url, account.key, deadline)
    return {**results, **{test.key: _WITHHELD for test in tests}}


def _is_test(key: Key) -> bool:
    return payload.is_test(key.record_id)


def _conclude(
    event: Event, billable: BillableEvent, results: Mapping[Key, Exception | None]
) -> Settlement:
    result = results[billable.key]
    if result is None:
        return Settlement(event, Outcome.DELIVERED, billable=billable)
    reason, detail, *_ = (*result.args, "", "")
    outcome = _OUTCOMES[type(result)]
    return _excuse(Settlement(event, outcome, reason, detail, billable))


def _excuse(settlement: Settlement) -> Settlement:
    """Settle a test event whatever became of it: no revenue hangs on it."""
    is_test = payload.is_test(payload.message_id(settlement.event.data))
    return settlement._replace(outcome=Outcome.PREVIEWED) if is_test else settlement


def _park(settlement: Settlement, now: float) -> Settlement:
    """Quarantine what Hyperline has not settled before Segment gives up on it."""
    if settlement.outcome not in (Outcome.PENDING, Outcome.THROTTLED):
        return settlement
    received_at = payload.received_at(settlement.event.data)
    if received_at is not None and now - received_at <= park_after_seconds():
        return settlement
    return settlement._replace(
        outcome=Outcome.QUARANTINED, reason=f"parked: {settlement.reason}"
    )


def _quarantine(
    settlements: Sequence[Settlement], deadline: Deadline
) -> list[Settlement]:
    """Keep what is to be quarantined; what can't be kept is pending after all."""
    refused = [_refused(s) for s in settlements if s.outcome is Outcome.QUARANTINED]
    if not refused:
        return list(settlements)
    lost = quarantine.keep(refused, quarantine_queue_url(), deadline)
    return [
        Settlement(settlement.event, Outcome.PENDING, lost[_refused(settlement)])
        if _refused(settlement) in lost
        else settlement
        for settlement in settlements
    ]


def _refused(settlement: Settlement) -> quarantine.Refused:
    reason = ": ".join(filter(None, (settlement.reason, settlement.detail)))
    return quarantine.Refused(settlement.event.text, reason)


_rules = mapping_file.load(Path(__file__).with_name("mapping.toml"))
