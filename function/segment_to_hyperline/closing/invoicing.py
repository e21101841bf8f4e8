"""Find out why a stored event is on no invoice, or what differs on its invoice.

Pure: no network, no environment, no clock.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from segment_to_hyperline.closing.aggregation import describe_filter, takes
from segment_to_hyperline.closing.rows import StoredRow
from segment_to_hyperline.reconciliation.api.core.aggregators import Aggregator
from segment_to_hyperline.reconciliation.api.core.catalog import Product, Subscription
from segment_to_hyperline.reconciliation.api.core.invoices import (
    InvoicedEvent,
    InvoiceRow,
)
from segment_to_hyperline.reconciliation.evaluation import is_same

LATE = "received after the invoice was issued"
NO_AGGREGATOR = "no aggregator counts this event type"
FILTERED = "the filters of the aggregators exclude it"
NO_PRODUCT = "no product uses the aggregator"
NO_SUBSCRIPTION = "the customer has no subscription with the product"
NO_INVOICE = "the customer has no invoice for this time"
OTHER_CUSTOMER = "it is on the invoice of another customer"
UNKNOWN = "unknown"
# What is wrong with an event on an invoice.
CHANGED = "the invoice has other contents than Hyperline has now"
FOREIGN = "an event of the customer"
NOT_STORED = "Hyperline has no such event in this month"
OTHER_TYPE = "the input has no event of this type"
TOO_EARLY = "the mapping that bills this was deployed after the invoice was issued"
TWICE = "on more than one invoice"
UNCHARGED = "not for the aggregator"


class Catalog(NamedTuple):
    """By what events are invoiced; None for what could not be read."""

    aggregators: Sequence[Aggregator] | None
    products: Sequence[Product] | None
    subscriptions: Sequence[Subscription] | None


class Explainer:
    """Explains why events are on no invoice."""

    def __init__(self, catalog: Catalog, invoices: Iterable[InvoiceRow]) -> None:
        self._aggregators = catalog.aggregators
        self._by_type: dict[str, list[Aggregator]] = defaultdict(list)
        for aggregator in catalog.aggregators or ():
            self._by_type[aggregator.entity].append(aggregator)
        self._products = catalog.products or ()
        # Whether Hyperline shows what products use.
        self._shows_links = any(each.aggregators for each in self._products)
        self._subscriptions = catalog.subscriptions
        self._invoices: dict[str, list[InvoiceRow]] = defaultdict(list)
        for invoice in invoices:
            self._invoices[invoice.customer_id].append(invoice)

    def explain(self, row: StoredRow, received_at: int) -> str:
        """Return the reason; *received_at* is when Segment received it, 0 if unknown.

        Milliseconds since 1970.
        """
        reason = self.find_cause(row)
        if reason != UNKNOWN:
            return reason
        # An invoice can be issued in advance, such as that of a fee.
        issued = [
            invoice.issued_at
            for invoice in self._invoices.get(row.customer, ())
            if invoice.start <= row.time <= invoice.end
            and not (invoice.issued_at and invoice.issued_at < row.time)
        ]
        if not issued:
            return NO_INVOICE
        is_late = all(each and received_at > each for each in issued)
        return LATE if is_late else UNKNOWN

    def find_uncharged(
        self,
        row: StoredRow,
        products: AbstractSet[str | None],
        charged: AbstractSet[str],
    ) -> list[str] | None:
        """Return which aggregators of a row are not charged, or None if it is unknown.

        *products* are those of its lines, and *charged* those of all invoices. A
        customer has to pay only for aggregators in a subscription.
        """
        counting = self._by_type.get(row.event_type, ())
        if len(counting) <= 1:
            return []
        taking = [each for each in counting if takes(each, row.record)]
        if len(taking) <= 1:
            return []
        if None in products or not self._shows_links:
            return None
        reasons = []
        for aggregator in taking:
            own = self._find_products({aggregator.id})
            if not own & products and (
                not own & charged or self._is_subscribed(row.customer, own)
            ):
                reasons.append(f"{UNCHARGED} {aggregator.name}")
        return reasons

    def find_cause(self, row: StoredRow) -> str:
        """Return why it can't be on any invoice, or `UNKNOWN`."""
        if self._aggregators is None:
            return UNKNOWN
        counting = self._by_type.get(row.event_type)
        if not counting:
            return NO_AGGREGATOR
        taking = [a for a in counting if takes(a, row.record) is not False]
        if not taking:
            return f"{FILTERED}: {'; '.join(map(describe_filter, counting))}"
        return self._find_missing_product(row.customer, {a.id for a in taking})

    def _find_missing_product(self, customer: str, aggregators: set[str]) -> str:
        """Return why none of *aggregators* is invoiced for a customer."""
        if not self._shows_links:
            return UNKNOWN
        products = self._find_products(aggregators)
        if not products:
            return NO_PRODUCT
        if self._subscriptions is None or self._is_subscribed(customer, products):
            return UNKNOWN
        return NO_SUBSCRIPTION

    def _find_products(self, aggregators: set[str]) -> set[str]:
        """Return the products that bill one of these *aggregators*."""
        return {
            product.id
            for product in self._products
            if aggregators & (product.aggregators or frozenset())
        }

    def _is_subscribed(self, customer: str, products: set[str]) -> bool:
        own = (s for s in self._subscriptions or () if s.customer_id == customer)
        return any(each.products & products for each in own)


def find_changes(row: StoredRow, event: InvoicedEvent) -> tuple[list[str], bool]:
    """Return what differs on an invoice, and whether it shows everything."""
    shown = event.properties or {}
    changes = [
        name
        for name, value in shown.items()
        if name != "id" and not is_same(value, row.record.get(name))
    ]
    # The time that is shown can be rounded.
    if event.time is not None and abs(event.time - row.time) > 1:
        changes.append("timestamp")
    expected = {n for n, value in row.record.items() if n != "id" and value is not None}
    is_complete = event.time is not None and expected <= shown.keys()
    return sorted(changes), is_complete
