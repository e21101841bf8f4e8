"""Load what the mapping makes of the events: what Hyperline should have stored."""

from collections.abc import Iterable
from contextlib import suppress

from segment_to_hyperline.archive.captured import (
    Captured,
    CapturedEvent,
    UnreadableLine,
)
from segment_to_hyperline.archive.files import Item
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.preview.verdict import Verdict, judge
from segment_to_hyperline.reconciliation.compare import (
    EncodedKey,
    encode_id,
    encode_key,
    to_milliseconds,
)
from segment_to_hyperline.reconciliation.reader import format_milliseconds
from segment_to_hyperline.reconciliation.store import UNREADABLE, Expected, Store
from segment_to_hyperline.segment.integrations import is_sent

_BATCH = 1_000
_EXCLUDED = "its field integrations excludes the destination"


def load(items: Iterable[Item], rules: Rules, store: Store, destination: str) -> int:
    """Store what *rules* make of the events; return the number of *items*.

    Events that exclude the *destination* are never sent to it, so nothing is expected.
    """
    batch: list[Expected] = []
    number = 0
    for _, captured in items:
        number += 1
        if not is_event_sent(captured, destination):
            store.add_unbilled("not sent", _EXCLUDED, find_day(captured))
            continue
        verdict = judge(rules, captured)
        batch += [create_expected(billable) for billable in verdict.billable]
        if not verdict.billable:
            reason = _find_reason(captured, verdict)
            store.add_unbilled(verdict.outcome, reason, find_day(captured))
        if len(batch) >= _BATCH:
            store.add_expected(batch)
            batch.clear()
    store.add_expected(batch)
    return number


def is_event_sent(captured: Captured, destination: str) -> bool:
    """Return whether Segment sends an event to *destination*; true if unreadable."""
    data = captured.event.data if isinstance(captured, CapturedEvent) else None
    return is_sent(data, destination)


def load_queued(
    items: Iterable[Item], rules: Rules, store: Store
) -> dict[EncodedKey, str]:
    """Return the file of each event in exported messages of the queues.

    What can't be read is added to what *store* has as not billed.
    """
    queued: dict[EncodedKey, str] = {}
    for file, captured in items:
        if isinstance(captured, UnreadableLine):
            store.add_unbilled(UNREADABLE, captured.reason, "")
        for billable in judge(rules, captured).billable:
            queued[encode_key(billable)] = file
    return queued


def create_expected(billable: BillableEvent) -> Expected:
    """Return the expected event for a billable event."""
    fields = billable.fields()
    return Expected(
        *encode_key(billable),
        to_milliseconds(fields["timestamp"]),
        encode_id(fields["customer_id"]),
        billable.json,
    )


def find_day(captured: Captured) -> str:
    """Return the day of an event's timestamp, or nothing if it has none."""
    data = captured.event.data if isinstance(captured, CapturedEvent) else None
    text = data.get("timestamp") if isinstance(data, dict) else None
    with suppress(ValueError, TypeError):
        return format_milliseconds(to_milliseconds(text))[: len("2026-01-31")]  # type: ignore[arg-type] # TypeError
    return ""


def _find_reason(captured: Captured, verdict: Verdict) -> str:
    """Return why an event is not billed, with the rule or the line."""
    if isinstance(captured, UnreadableLine):
        return captured.reason
    return verdict.reason
