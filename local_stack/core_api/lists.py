"""The lists of the core API, with what a test has added.

What isn't documented can be switched.
"""

from collections.abc import Callable, Sequence

from local_stack.core_api import fields
from local_stack.core_api.billing import Billing
from local_stack.core_api.filters import (
    Fields,
    find_filter_errors,
    is_time,
    select,
    to_microseconds,
)
from local_stack.core_api.pages import (
    MAX_OFFSET,
    Errors,
    Query,
    Row,
    create_cursor_page,
    create_error,
    create_json,
    create_page,
    find_cursor_errors,
    find_option_errors,
    find_page_errors,
)
from local_stack.fake_api import FakeResponse, create_message
from local_stack.fake_hyperline import FakeHyperline


class Lists(Billing):
    """What the API returns for each path."""

    def __init__(self, hyperline: FakeHyperline | None) -> None:
        super().__init__(hyperline)
        # Whether the lists don't know their filters any more.
        self.ignores_filters = False
        # Whether the end of a usage's period belongs to it, and whether aggregators
        # without events are missing; neither is documented.
        self.includes_usage_end = False
        self.hides_unused = False
        # The most that `skip` and `take` can add up to in the list of an invoice's
        # events. It isn't documented that there is such a limit.
        self.max_event_offset: int | None = None
        # The fields that the events on an invoice don't show.
        self.hidden_event_fields: set[str] = set()

    def find_list(self, path: str, query: Query) -> FakeResponse:
        """Return the response to a GET request."""
        lists: dict[str, Callable[[Query], FakeResponse]] = {
            "/v1/customers": self._list_customers,
            "/v2/customers": self._list_customers_by_cursor,
            "/v1/invoicing-entities": self._list_entities,
            "/v1/aggregators": self._list_aggregators,
            "/v1/products": self._list_products,
            "/v2/subscriptions": self._list_subscriptions,
            "/v2/invoices": self._list_invoices,
        }
        if path in lists:
            return lists[path](query)
        match path.split("/")[1:]:
            case ["v1", "customers", customer_id, "usage"]:
                return self._list_usage(customer_id, query)
            case ["v1", "invoices", invoice_id, "events"]:
                return self._list_invoice_events(invoice_id, query)
            case _:
                return create_message(404, "Route not found")

    def _list_customers(self, query: Query) -> FakeResponse:
        # https://docs.hyperline.co/api-reference/endpoints/customers/list-customers
        return self._list(
            self.customers, query, fields.CUSTOMERS, self.complete_customer, MAX_OFFSET
        )

    def _list_customers_by_cursor(self, query: Query) -> FakeResponse:
        # https://docs.hyperline.co/api-reference/endpoints/customers/list-customers-1
        return self._list_by_cursor(
            self.customers, query, fields.CUSTOMERS, self.complete_customer
        )

    def _list_entities(self, query: Query) -> FakeResponse:
        return self._list(self.invoicing_entities, query, {})

    def _list_aggregators(self, query: Query) -> FakeResponse:
        return self._list(self.aggregators, query, {})

    def _list_products(self, query: Query) -> FakeResponse:
        return self._list(self.products, query, fields.PRODUCTS, self.complete_product)

    def _list_subscriptions(self, query: Query) -> FakeResponse:
        return self._list(self.subscriptions, query, fields.SUBSCRIPTIONS)

    def _filter(self, rows: Sequence[Row], query: Query, known: Fields) -> list[Row]:
        return select(rows, {} if self.ignores_filters else query, known)

    def _find_errors(self, query: Query, known: Fields) -> Errors:
        return {} if self.ignores_filters else find_filter_errors(query, known)

    def _list(
        self,
        rows: Sequence[Row],
        query: Query,
        known: Fields,
        complete: Callable[[Row], Row] = dict,
        max_offset: int | None = None,
    ) -> FakeResponse:
        """Return a page of *rows*, by their position."""
        errors = find_page_errors(query, max_offset) | self._find_errors(query, known)
        if errors:
            return create_error(errors)
        return create_page(self._filter(rows, query, known), query, complete)

    def _list_by_cursor(
        self,
        rows: Sequence[Row],
        query: Query,
        known: Fields,
        complete: Callable[[Row], Row],
    ) -> FakeResponse:
        """Return a page of *rows*; by default, the newest is first."""
        errors = find_cursor_errors(query) | self._find_errors(query, known)
        if errors:
            return create_error(errors)
        found = self._filter(rows, query, known)
        if query.get("order", "desc") == "desc":
            found.reverse()
        return create_cursor_page(found, query, complete)

    def _list_invoices(self, query: Query) -> FakeResponse:
        """Return a page of invoices, without open ones unless they are asked for.

        https://docs.hyperline.co/api-reference/endpoints/invoices/list-invoices-1
        """
        rows: Sequence[Row] = self.invoices
        errors = find_cursor_errors(query, ("created_at", "emitted_at"))
        if errors:
            return create_error(errors)
        if query.get("sort") == "emitted_at":
            rows = sorted(rows, key=lambda invoice: invoice["issued_at"] or "")
        if "line_item_id" in query:
            rows = [self.complete_invoice(invoice) for invoice in rows]
        return self._list_by_cursor(rows, query, fields.INVOICES, self.complete_invoice)

    def _list_invoice_events(self, invoice_id: str, query: Query) -> FakeResponse:
        """Return a page of the events on an invoice; the latest one is the first.

        https://docs.hyperline.co/api-reference/endpoints/invoices-%3E-events/list-invoice-events
        """
        invoice = next((i for i in self.invoices if i["id"] == invoice_id), None)
        if invoice is None:
            return create_message(404, "Invoice not found")
        errors = find_option_errors(
            query, {"order": ("desc", "asc"), "sort": ("timestamp",)}
        )
        if errors:
            return create_error(errors)
        events = sorted(self.find_bill(invoice).events, key=_find_time)
        if query.get("order", "desc") == "desc":
            events.reverse()
        known, limit = fields.INVOICE_EVENTS, self.max_event_offset
        return self._list(events, query, known, self._show_event, limit)

    def _show_event(self, event: Row) -> Row:
        hidden = self.hidden_event_fields
        return {name: value for name, value in event.items() if name not in hidden}

    def _list_usage(self, customer_id: str, query: Query) -> FakeResponse:
        """Return what each aggregator counts in a period, without pages.

        https://docs.hyperline.co/api-reference/endpoints/customers-%3E-usage/list-customer-usage
        """
        if all(customer["id"] != customer_id for customer in self.customers):
            return create_message(404, "Customer not found")
        errors = {
            name: ["Invalid ISO datetime" if name in query else "Required"]
            for name in ("start_date", "end_date")
            if not is_time(query.get(name, ""))
        }
        if errors:
            return create_error(errors)
        start, end = (
            to_microseconds(query[f"{edge}_date"]) for edge in ("start", "end")
        )
        period = range(start, end + self.includes_usage_end)
        rows = self.list_usage(customer_id, period)
        return create_json([r for r in rows if r["count"] or not self.hides_unused])


def _find_time(row: Row) -> str:
    return str(row["timestamp"])
