"""Compare what is on the invoices with the stored events, in both directions."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from segment_to_hyperline.closing.invoicing import (
    CHANGED,
    FOREIGN,
    NOT_STORED,
    OTHER_CUSTOMER,
    OTHER_TYPE,
    TOO_EARLY,
    TWICE,
    UNKNOWN,
    Catalog,
    Explainer,
    find_changes,
)
from segment_to_hyperline.closing.reading import Reader
from segment_to_hyperline.closing.rows import InvoiceLine, StoredRow, StoredRows
from segment_to_hyperline.closing.statements import EventGroup
from segment_to_hyperline.closing.usage import Usage
from segment_to_hyperline.reconciliation.api.core.invoices import (
    CreditNote,
    InvoiceRow,
)
from segment_to_hyperline.reconciliation.reconcile import Reconciliation
from segment_to_hyperline.reconciliation.sums import Sum
from segment_to_hyperline.text import format_count

type _Groups = dict[str, dict[tuple[str, str], Sum]]


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
    search = _Search(catalog, invoices, found, usage, {*unread} | {*credited})
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


class _Search:
    """Looks for rows that are on no invoice, and for what is wrong on invoices.

    *invoices* is None if they could not be read. *doubtful* has the ids of those that
    were not read, or were credited: they may not charge what they show.
    """

    def __init__(
        self,
        catalog: Catalog,
        invoices: Sequence[InvoiceRow] | None,
        found: Reconciliation,
        usage: Usage,
        doubtful: Collection[str],
    ) -> None:
        self.events = Counter[str]()
        self.missing: _Groups = defaultdict(lambda: defaultdict(Sum))
        self.wrong: _Groups = defaultdict(lambda: defaultdict(Sum))
        self.unread: Sequence[InvoiceRow] = ()
        # The products on the lines of all invoices.
        self.charged: set[str] = set()
        self._explainer = Explainer(catalog, invoices or ())
        self._is_read = invoices is not None
        self._invoices = {invoice.id: invoice for invoice in invoices or ()}
        self._found = found
        self._usage = usage
        self._doubtful = doubtful
        self._types: dict[str, bool] = {}
        self._others: set[tuple[str, str]] = set()
        # The invoices that don't show enough, and the types.
        self._hidden: set[str] = set()
        self._undecided: set[str] = set()

    def add(self, row: StoredRow, lines: Sequence[InvoiceLine]) -> None:
        """Compare a row with the *lines* that it is on."""
        if not self._usage.has(row) and not any(map(self._is_in_month, lines)):
            return
        by_invoice = {line.invoice: line for line in lines}
        self.events.update(by_invoice.keys())
        own = [n for n in by_invoice if self._invoices[n].customer_id == row.customer]
        if not any(self._invoices[name].is_part for name in own):
            for name in by_invoice.keys() - set(own):
                self._add_foreign(row, by_invoice[name])
        for name in own:
            self._compare(row, by_invoice[name])
        self._find_copies(row, own)
        if not self._usage.has(row):
            return
        if own:
            self._find_uncharged(row, [line for line in lines if line.invoice in own])
            self._types[row.event_type] = False
        elif lines:
            self.missing[row.customer][row.event_type, OTHER_CUSTOMER].add(row.record)
            self._types[row.event_type] = False
        else:
            self._add_missing(row)

    def add_other(self, line: InvoiceLine) -> None:
        """Add a line whose event is none of the rows."""
        invoice, event = self._invoices[line.invoice], line.event
        if event.time is None:
            self._hidden.add(invoice.name)
        key = line.invoice, event.id
        if key in self._others or not self._is_in_month(line):
            return
        self._others.add(key)
        self.events[line.invoice] += 1
        is_known = not event.event_type or event.event_type in self._found.event_types
        # What isn't issued is computed now, so it was stored after the rows were read.
        if invoice.is_issued or not is_known:
            reason = NOT_STORED if is_known else OTHER_TYPE
            self._add_wrong(line, event.event_type, reason)

    def list_uninvoiced_types(self) -> list[str]:
        """Return the types of which every event is missing."""
        return sorted(name for name, is_missing in self._types.items() if is_missing)

    def list_doubts(self) -> Iterator[str]:
        """Yield what could not be compared."""
        for name in sorted(self._hidden):
            yield f"{name}: Hyperline doesn't show all contents of its events"
        for event_type in sorted(self._undecided):
            yield (
                f"{event_type}: several aggregators count it, and Hyperline doesn't"
                " show which of them are invoiced"
            )

    def _is_in_month(self, line: InvoiceLine) -> bool:
        month = self._usage.find_month(self._invoices[line.invoice].customer_id)
        return line.event.time is not None and month.has(line.event.time)

    def _add_foreign(self, row: StoredRow, line: InvoiceLine) -> None:
        name = self._usage.find_name(row.customer)
        self._add_wrong(line, row.event_type, f"{FOREIGN} {name}", row)

    def _compare(self, row: StoredRow, line: InvoiceLine) -> None:
        """Compare a row with what is on an issued invoice of its customer."""
        invoice = self._invoices[line.invoice]
        if not invoice.is_issued:
            return
        changes, is_complete = find_changes(row, line.event)
        if not is_complete:
            self._hidden.add(invoice.name)
        if changes:
            reason = f"{CHANGED}: {', '.join(changes)}"
            self._add_wrong(line, row.event_type, reason, row)
        since = self._found.store.find_since(row.event_type, row.record_id)
        # Without the time of the issue, the event can be older than the mapping.
        if since and (invoice.issued_at or 0) < since:
            self._add_wrong(line, row.event_type, TOO_EARLY, row)

    def _find_copies(self, row: StoredRow, own: Sequence[str]) -> None:
        """Find a row that several issued invoices of its customer charge."""
        invoices = [self._invoices[name] for name in own if name not in self._doubtful]
        charging = [i for i in invoices if i.is_issued and not i.is_part]
        for _ in charging[1:]:
            self.wrong[row.customer][row.event_type, TWICE].add(row.record)

    def _find_uncharged(self, row: StoredRow, lines: Sequence[InvoiceLine]) -> None:
        """Find aggregators that take a row and are not on its *lines*."""
        products = {line.event.product for line in lines}
        reasons = self._explainer.find_uncharged(row, products, self.charged)
        if reasons is None:
            self._undecided.add(row.event_type)
        for reason in reasons or ():
            self.wrong[row.customer][row.event_type, reason].add(row.record)

    def _add_wrong(
        self,
        line: InvoiceLine,
        event_type: str,
        reason: str,
        row: StoredRow | None = None,
    ) -> None:
        """Add what a line charges, which is that of the *row* if it isn't shown."""
        properties = line.event.properties
        if properties is None:
            properties = row.record if row else {}
        customer = self._invoices[line.invoice].customer_id
        self.wrong[customer][event_type, reason].add(properties)

    def _add_missing(self, row: StoredRow) -> None:
        reason = self._explain(row)
        if reason:
            self.missing[row.customer][row.event_type, reason].add(row.record)
        is_missing = self._types.get(row.event_type, True) and reason is not None
        self._types[row.event_type] = is_missing

    def _explain(self, row: StoredRow) -> str | None:
        """Return why a row is on no invoice, or None if it can be on one."""
        if any(
            invoice.customer_id == row.customer
            and invoice.start <= row.time <= invoice.end
            for invoice in self.unread
        ):
            return None
        if not self._is_read:
            cause = self._explainer.find_cause(row)
            return None if cause == UNKNOWN else cause
        store = self._found.store
        received_at = store.find_received_at(row.event_type, row.record_id)
        return self._explainer.explain(row, received_at)


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


def _list_groups(groups: _Groups) -> dict[str, list[EventGroup]]:
    return {
        customer: [EventGroup(*key, amount) for key, amount in sorted(found.items())]
        for customer, found in groups.items()
    }


def _group(invoices: Sequence[InvoiceRow]) -> dict[str, list[InvoiceRow]]:
    groups: dict[str, list[InvoiceRow]] = defaultdict(list)
    for invoice in sorted(invoices, key=lambda each: (each.start, each.id)):
        groups[invoice.customer_id].append(invoice)
    return groups
