"""Compare what is on the invoices with the stored events, in both directions."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from segment_to_hyperline.closing.invoice_search import Groups, Search
from segment_to_hyperline.closing.invoicing import Catalog
from segment_to_hyperline.closing.reading import Reader
from segment_to_hyperline.closing.rows import StoredRows
from segment_to_hyperline.closing.statements import EventGroup
from segment_to_hyperline.closing.usage import Usage
from segment_to_hyperline.reconciliation.api.core.invoices import (
    CreditNote,
    InvoiceRow,
)
from segment_to_hyperline.reconciliation.reconcile import Reconciliation
from segment_to_hyperline.text import format_count


class Invoiced(NamedTuple):
    """Which events are on an invoice."""

    invoices: Mapping[str, Sequence[InvoiceRow]]
    """By Hyperline's id of the customer."""
    events: Mapping[str, int]
    """How many events of the month are on an invoice, by the id of the invoice."""
    missing: Mapping[str, Sequence[EventGroup]]
    """Those that are on none, by Hyperline's id of the customer."""
    wrong: Mapping[str, Sequence[EventGroup]]
    """Those that should not be on their invoice, by the id of its customer."""
    uninvoiced_types: Sequence[str]
    """The types of which no event is invoiced."""
    not_issued: int | None
    """How many invoices can still change; None if they could not be read."""
    not_checked: Sequence[str]


def find_invoiced(
    reader: Reader,
    catalog: Catalog,
    found: Reconciliation,
    usage: Usage,
    rows: StoredRows,
) -> Invoiced:
    """Return which *rows* of the month are on an invoice; raises as `Reader`.

    If invoices can't be read, only events that can't be on any are found.
    """
    start, end = usage.find_range()
    invoices = reader.read_invoices(start, end)
    unread: dict[str, str] = {}
    for invoice, events in reader.read_events(invoices or (), start, end):
        if isinstance(events, str):
            unread[invoice.id] = events
        else:
            rows.add_invoiced(invoice.id, events)
    notes = [] if invoices is None else reader.read_credit_notes()
    credited = dict(_list_credited(invoices or (), notes, start))
    search = Search(catalog, invoices, found, usage, {*unread} | {*credited})
    search.unread = [each for each in invoices or () if each.id in unread]
    search.charged = rows.list_products()
    for row, lines in rows.list_invoiced():
        search.add(row, lines)
    for line in rows.list_others():
        search.add_other(line)
    names = ("invoices", "aggregators", "products", "subscriptions")
    reasons = {n: reader.not_checked[n] for n in names if n in reader.not_checked}
    return Invoiced(
        _group(invoices or ()),
        search.events,
        _list_groups(search.missing),
        _list_groups(search.wrong),
        search.list_uninvoiced_types(),
        None if invoices is None else sum(not each.is_issued for each in invoices),
        [
            *(f"{name}: {reason}" for name, reason in (reasons | unread).items()),
            *credited.values(),
            *_describe_drafts(invoices or ()),
            *search.list_doubts(),
        ],
    )


def _list_credited(
    invoices: Sequence[InvoiceRow], notes: Sequence[CreditNote], start: int
) -> Iterator[tuple[str, str]]:
    """Yield the ids of credited invoices, and what isn't known about them.

    A credit note without an invoice, since the *start* of the month, can be for any
    invoice of its customer.
    """
    for invoice in invoices:
        for note in notes:
            is_own = note.invoice and note.invoice in (invoice.id, invoice.number)
            is_open = not note.invoice and note.customer_id == invoice.customer_id
            if is_own or (is_open and (note.time is None or note.time >= start)):
                problem = f"the credit note {note.name} may take it back"
                events = "Hyperline doesn't show for which events"
                yield invoice.id, f"{invoice.name}: {problem}, and {events}"


def _describe_drafts(invoices: Sequence[InvoiceRow]) -> Iterator[str]:
    """Yield that some of the *invoices* can still change."""
    statuses = [each.status or "unknown" for each in invoices if not each.is_issued]
    if statuses:
        number = format_count(len(statuses), "invoice")
        verb = "isn't" if len(statuses) == 1 else "aren't"
        shown = ", ".join(sorted(set(statuses)))
        yield f"{number} {verb} issued, and can change ({shown})"


def _list_groups(groups: Groups) -> dict[str, list[EventGroup]]:
    return {
        customer: [EventGroup(*key, amount) for key, amount in sorted(found.items())]
        for customer, found in groups.items()
    }


def _group(invoices: Sequence[InvoiceRow]) -> dict[str, list[InvoiceRow]]:
    groups: dict[str, list[InvoiceRow]] = defaultdict(list)
    for invoice in sorted(invoices, key=lambda each: (each.start, each.id)):
        groups[invoice.customer_id].append(invoice)
    return groups
