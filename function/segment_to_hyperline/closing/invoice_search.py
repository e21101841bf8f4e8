"""Look for events that are on no invoice, and for what is wrong on invoices.

Pure: no network, no environment, no clock.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

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
from segment_to_hyperline.closing.rows import InvoiceLine, StoredRow
from segment_to_hyperline.closing.usage import Usage
from segment_to_hyperline.reconciliation.api.core.invoices import InvoiceRow
from segment_to_hyperline.reconciliation.reconcile import Reconciliation
from segment_to_hyperline.reconciliation.sums import Sum

# By customer, then by event type and reason.
type Groups = dict[str, dict[tuple[str, str], Sum]]


class Search:
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
        self.missing: Groups = defaultdict(lambda: defaultdict(Sum))
        self.wrong: Groups = defaultdict(lambda: defaultdict(Sum))
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
        """Add an event on an invoice that is none of the rows."""
        invoice, event = self._invoices[line.invoice], line.event
        if event.time is None:
            self._hidden.add(invoice.name)
        if not self._is_in_month(line):
            return
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
