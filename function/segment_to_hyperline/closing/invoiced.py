"""Find out which of the stored events are on an invoice, and why others aren't."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from segment_to_hyperline.closing.invoicing import UNKNOWN, Catalog, Explainer
from segment_to_hyperline.closing.reading import Reader
from segment_to_hyperline.closing.rows import StoredRow, StoredRows
from segment_to_hyperline.closing.statements import NotInvoiced
from segment_to_hyperline.closing.usage import Usage
from segment_to_hyperline.reconciliation.api.core.invoices import InvoiceRow
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.sums import Sum


class Invoiced(NamedTuple):
    """Which events are on an invoice."""

    invoices: Mapping[str, Sequence[InvoiceRow]]
    """By Hyperline's id of the customer."""
    events: Mapping[str, int]
    """How many of the month's events are on an invoice, by the id of the invoice."""
    missing: Mapping[str, Sequence[NotInvoiced]]
    """Those that are on none, by Hyperline's id of the customer."""
    uninvoiced_types: Sequence[str]
    """The types of which no event is invoiced."""
    not_checked: Sequence[str]


def find_invoiced(
    reader: Reader, catalog: Catalog, store: Store, usage: Usage, rows: StoredRows
) -> Invoiced:
    """Return which *rows* of the month are on an invoice; raises as `Reader`.

    If invoices can't be read, only events that can't be on any are found.
    """
    start, end = usage.find_range()
    found = reader.read_invoices(start, end)
    own = set(usage.list_customers())
    invoices = [invoice for invoice in found or () if invoice.customer_id in own]
    unread: dict[str, str] = {}
    for invoice, ids in reader.read_events(invoices):
        if isinstance(ids, str):
            unread[invoice.id] = ids
        else:
            rows.add_invoiced(invoice.id, ids)
    search = _Search(
        Explainer(catalog, invoices),
        store,
        None if found is None else {i.id: i for i in invoices},
        unread,
    )
    for row in rows:
        if usage.has(row):
            search.add(row)
    names = ("invoices", "aggregators", "products", "subscriptions")
    reasons = {n: reader.not_checked[n] for n in names if n in reader.not_checked}
    return Invoiced(
        _group(invoices),
        search.events,
        search.list_missing(),
        search.list_uninvoiced_types(),
        [f"{name}: {reason}" for name, reason in (reasons | unread).items()],
    )


class _Search:
    """Looks for rows that are on no invoice.

    *invoices* is None if they could not be read. *unread* has those whose events could
    not be read.
    """

    def __init__(
        self,
        explainer: Explainer,
        store: Store,
        invoices: Mapping[str, InvoiceRow] | None,
        unread: Collection[str],
    ) -> None:
        self.events = Counter[str]()
        self._explainer = explainer
        self._store = store
        self._is_read = invoices is not None
        self._unread = [invoices[each] for each in unread] if invoices else []
        self._missing: dict[str, dict[tuple[str, str], Sum]] = defaultdict(
            lambda: defaultdict(Sum)
        )
        self._types: dict[str, bool] = {}

    def add(self, row: StoredRow) -> None:
        """Count a row of the month."""
        reason = None
        if row.invoice:
            self.events[row.invoice] += 1
        else:
            reason = self._explain(row)
            if reason:
                self._missing[row.customer][row.event_type, reason].add(row.record)
        is_missing = self._types.get(row.event_type, True) and reason is not None
        self._types[row.event_type] = is_missing

    def list_missing(self) -> dict[str, list[NotInvoiced]]:
        """Return what is on no invoice, by customer."""
        return {
            customer: [
                NotInvoiced(*key, amount) for key, amount in sorted(groups.items())
            ]
            for customer, groups in self._missing.items()
        }

    def list_uninvoiced_types(self) -> list[str]:
        """Return the types of which every event is missing."""
        return sorted(name for name, is_missing in self._types.items() if is_missing)

    def _explain(self, row: StoredRow) -> str | None:
        """Return why a row is on no invoice, or None if it can be on one."""
        if any(
            invoice.customer_id == row.customer
            and invoice.start <= row.time <= invoice.end
            for invoice in self._unread
        ):
            return None
        if not self._is_read:
            cause = self._explainer.find_cause(row)
            return None if cause == UNKNOWN else cause
        received_at = self._store.find_received_at(row.event_type, row.record_id)
        return self._explainer.explain(row, received_at)


def _group(invoices: Sequence[InvoiceRow]) -> dict[str, list[InvoiceRow]]:
    groups: dict[str, list[InvoiceRow]] = defaultdict(list)
    for invoice in sorted(invoices, key=lambda each: (each.start, each.id)):
        groups[invoice.customer_id].append(invoice)
    return groups
