"""The usage and the invoices of an account, evaluated from the stored events."""

from datetime import datetime
from typing import Any

from local_stack.core_api.account import Account, find_row
from local_stack.core_api.bills import Bill, Charge, create_bill
from local_stack.core_api.conditions import OPERATORS, Operator
from local_stack.core_api.fields import LIVE_STATUSES
from local_stack.core_api.filters import to_microseconds
from local_stack.core_api.pages import Row
from local_stack.core_api.rows import NewRow, create_invoice
from local_stack.core_api.usage import aggregate, create_usage, find_events
from local_stack.fake_api import format_time
from local_stack.fake_hyperline import FakeHyperline, StoredEvent


class Billing(Account):
    """An account that bills the events which *hyperline* has stored."""

    def __init__(self, hyperline: FakeHyperline | None) -> None:
        super().__init__()
        self.hyperline = hyperline
        self.invoices: list[NewRow] = []
        # The totals of formulas, by the ids of the customer and the aggregator.
        self.formula_totals: dict[tuple[str, str], float] = {}
        # The operators of the aggregators' filters.
        self.operators: dict[str, Operator] = dict(OPERATORS)
        # Whether a period's end is its last millisecond, as in live responses, or the
        # first instant of the next one, as in the documentation.
        self.shows_last_millisecond = True
        self._periods: dict[str, range] = {}
        self._issued: dict[str, Bill] = {}

    def add_invoice(
        self,
        invoice_id: str,
        customer_id: str,
        start: str | datetime,
        end: str | datetime,
        **fields: Any,
    ) -> None:
        """Add an invoice of a period, which ends before *end*; a draft by default.

        Its events are live, unless its `status` says that it was issued.
        """
        customer = find_row(self.customers, customer_id)
        entity = self.find_entity(customer)
        period = range(to_microseconds(start), to_microseconds(end))
        row = create_invoice(invoice_id, customer)
        row["seller"] = {"id": entity["id"], "name": entity["name"]}
        row["period_starts_at"] = _format(period.start)
        row["period_ends_at"] = _format(period.stop)
        if self.shows_last_millisecond:
            row["period_ends_at"] = _format(period.stop - 1_000)
        self.invoices.append(row | fields)
        self._periods[invoice_id] = period
        if self.invoices[-1]["status"] not in LIVE_STATUSES:
            self._issued[invoice_id] = self.find_bill(self.invoices[-1])

    def issue(
        self, invoice_id: str, issued_at: str | datetime, status: str = "to_pay"
    ) -> None:
        """Issue an invoice with the events that are stored now."""
        invoice = find_row(self.invoices, invoice_id)
        self._issued[invoice_id] = self.find_bill(invoice)
        time = _format(to_microseconds(issued_at))
        invoice |= {"status": status, "issued_at": time, "updated_at": time}
        invoice["number"] = f"INV-{len(self._issued)}"

    def list_usage(self, customer_id: str, period: range) -> list[dict[str, Any]]:
        """Return what each aggregator counts of a customer in a *period*."""
        return [
            create_usage(
                aggregator,
                self._find_events(aggregator, customer_id, period),
                self.formula_totals.get((customer_id, aggregator["id"]), 0),
            )
            for aggregator in self.aggregators
        ]

    def find_bill(self, invoice: Row) -> Bill:
        """Return what is on an *invoice*, live or as it was issued."""
        if invoice["id"] in self._issued:
            return self._issued[invoice["id"]]
        if invoice["type"] != "invoice":
            return Bill([], [])
        customer_id, period = invoice["customer"]["id"], self._periods[invoice["id"]]
        charges = []
        for product, aggregator in self._find_charged(invoice):
            events = self._find_events(aggregator, customer_id, period)
            formula = self.formula_totals.get((customer_id, aggregator["id"]), 0)
            total = aggregate(aggregator, events, formula)
            charges.append(Charge(product, aggregator, events, total))
        return create_bill(invoice, charges)

    def _find_charged(self, invoice: Row) -> list[tuple[Row, Row]]:
        """Return the products that an *invoice* can charge, each with an aggregator.

        They are in the active subscriptions of the customer, or the invoice's one.
        """
        product_ids = {
            product["id"]: None
            for subscription in self.subscriptions
            if subscription["status"] == "active"
            and subscription["customer_id"] == invoice["customer"]["id"]
            and invoice["subscription_id"] in {None, subscription["id"]}
            for product in subscription["products"]
        }
        return [
            (
                find_row(self.products, product_id),
                find_row(self.aggregators, aggregator_id),
            )
            for product_id in product_ids
            for aggregator_id in self.links[product_id]
        ]

    def _find_events(
        self, aggregator: Row, customer_id: str, period: range
    ) -> list[StoredEvent]:
        if not self.hyperline:
            return []
        events = self.hyperline.rows.read(aggregator["entity"], customer_id)
        return find_events(events, aggregator, self.operators, period)

    def complete_invoice(self, invoice: Row) -> Row:
        """Return an invoice with its line items."""
        return {**invoice, "line_items": self.find_bill(invoice).items}


def _format(microseconds: int) -> str:
    return format_time(microseconds / 1_000_000)
