"""Find out why an event that Hyperline stored is on no invoice.

Pure: no network, no environment, no clock.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from segment_to_hyperline.closing.aggregation import describe_filter, takes
from segment_to_hyperline.closing.rows import StoredRow
from segment_to_hyperline.reconciliation.api.core.aggregators import Aggregator
from segment_to_hyperline.reconciliation.api.core.catalog import Product, Subscription
from segment_to_hyperline.reconciliation.api.core.invoices import InvoiceRow

LATE = "received after the invoice was issued"
NO_AGGREGATOR = "no aggregator counts this event type"
FILTERED = "the filters of the aggregators exclude it"
NO_PRODUCT = "no product uses the aggregator"
NO_SUBSCRIPTION = "the customer has no subscription with the product"
NO_INVOICE = "the customer has no invoice for this time"
UNKNOWN = "unknown"


class Catalog(NamedTuple):
    """By what events are invoiced; None for what could not be read."""

    aggregators: Sequence[Aggregator] | None
    products: Sequence[Product] | None
    subscriptions: Sequence[Subscription] | None


class Explainer:
    """Explains why events are on no invoice."""

    def __init__(self, catalog: Catalog, invoices: Iterable[InvoiceRow]) -> None:
        self._aggregators = catalog.aggregators
        self._products = catalog.products
        self._subscriptions = catalog.subscriptions
        self._invoices: dict[str, list[InvoiceRow]] = defaultdict(list)
        for invoice in invoices:
            self._invoices[invoice.customer_id].append(invoice)

    def explain(self, row: StoredRow, received_at: int) -> str:
        """Return the reason; *received_at* is when Segment received it, 0 if unknown.

        Milliseconds since 1970.
        """
        invoices = [
            invoice
            for invoice in self._invoices.get(row.customer, ())
            if invoice.start <= row.time <= invoice.end
        ]
        if any(each.issued_at and received_at > each.issued_at for each in invoices):
            return LATE
        reason = self.find_cause(row)
        if reason == UNKNOWN and not invoices:
            return NO_INVOICE
        return reason

    def find_cause(self, row: StoredRow) -> str:
        """Return why it can't be on any invoice, or `UNKNOWN`."""
        if self._aggregators is None:
            return UNKNOWN
        counting = [a for a in self._aggregators if a.entity == row.event_type]
        if not counting:
            return NO_AGGREGATOR
        taking = [a for a in counting if takes(a, row.record) is not False]
        if not taking:
            return f"{FILTERED}: {'; '.join(map(describe_filter, counting))}"
        return self._find_missing_product(row.customer, {a.id for a in taking})

    def _find_missing_product(self, customer: str, aggregators: set[str]) -> str:
        """Return why none of *aggregators* is invoiced for a customer."""
        if not any(p.aggregators for p in self._products or ()):
            return UNKNOWN  # Hyperline doesn't show what products use
        products = {
            product.id
            for product in self._products or ()
            if aggregators & (product.aggregators or frozenset())
        }
        if not products:
            return NO_PRODUCT
        if self._subscriptions is None:
            return UNKNOWN
        own = (s for s in self._subscriptions if s.customer_id == customer)
        return UNKNOWN if any(s.products & products for s in own) else NO_SUBSCRIPTION
