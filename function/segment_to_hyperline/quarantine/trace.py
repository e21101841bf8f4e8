"""Find out whether an event was billed, and on which invoice."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from segment_to_hyperline.hyperline.billable_event import Key
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.quarantine.waiting import Waiting
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.core.aggregators import read_aggregators
from segment_to_hyperline.reconciliation.api.core.invoices import (
    InvoiceRow,
    read_invoiced_events,
    read_invoices,
)
from segment_to_hyperline.reconciliation.api.events import Events, can_find
from segment_to_hyperline.reconciliation.api.failures import Forbidden
from segment_to_hyperline.reconciliation.api.lookup import look_up
from segment_to_hyperline.reconciliation.api.rows import Row, encode_text


class Billed(NamedTuple):
    """A row of Hyperline, and its invoice."""

    row: Row
    invoice: str
    """The number of the invoice that has it, or why that isn't known."""


def find_types(
    rules: Rules, core: Client | None, waiting: Iterable[Waiting]
) -> set[str]:
    """Return the event types that an event can be billed under.

    Hyperline finds no row without its type. These are the names in the mapping, those
    that aggregators count, and what the mapping makes of the events in Quarantine.
    """
    types = {name for candidates in rules.values() for name in candidates.by_event}
    types |= {b.key.event_type for e in waiting for b in e.verdict.billable}
    with suppress(Forbidden):
        types |= {each.entity for each in read_aggregators(core)} if core else set()
    return types - {""}


def list_keys(waiting: Iterable[Waiting]) -> set[Key]:
    """Return under which keys events in Quarantine would be billed."""
    keys = (b.key for e in waiting for b in e.verdict.billable)
    return {Key(key.event_type, encode_text(key.record_id)) for key in keys}


def find_billed(
    events: Events,
    core: Client | None,
    message_id: str,
    types: Iterable[str],
    keys: Iterable[Key],
) -> list[Billed]:
    """Return the rows of an event: of itself, its first element, and its known *keys*.

    Raises as `Client.get`.
    """
    own = encode_text(message_id)
    ids = dict.fromkeys((own, f"{own}:0", *(key.record_id for key in keys)), 0)
    rows = [
        row
        for event_type in sorted(types)
        for _, found in look_up(events, event_type, ids, ())
        for row in found
    ]
    return [Billed(row, _find_invoice(core, row)) for row in rows]


def is_billed(
    message_id: str, waiting: Iterable[Waiting], billed: Iterable[Billed]
) -> bool | None:
    """Return whether Hyperline has all of an event; None if it can't be asked for it.

    *waiting* is where it is in Quarantine, and *billed* has the rows that were found.
    """
    found = {(each.row.event_type, each.row.record_id) for each in billed}
    if not found and not can_find(encode_text(message_id)):
        return None
    return bool(found) and list_keys(waiting) <= found


def _find_invoice(core: Client | None, row: Row) -> str:
    if core is None or row.time is None:
        return "unknown: HYPERLINE_CORE_URL is not set"
    try:
        candidates = read_invoices(core, row.time, row.time + 1)
        own = [each for each in candidates if each.customer_id == row.customer]
        return next(_describe_invoices(core, own, row), "on no invoice yet")
    except Forbidden as error:
        return f"unknown: {error}"


def _describe_invoices(
    core: Client, invoices: Sequence[InvoiceRow], row: Row
) -> Iterator[str]:
    for invoice in invoices:
        # Only what happened at the same time is read.
        at = row.time or 0
        found = read_invoiced_events(core, invoice, at, at + 1)
        if any(each.id == row.id for each in found):
            yield f"{invoice.number or invoice.id} ({invoice.status})"
