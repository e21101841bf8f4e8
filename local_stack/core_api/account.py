"""The customers, aggregators and products that a test adds.

The ids of customers are those that `find_customer_id` returns for the posted ids.
"""

from typing import Any

from local_stack.core_api.pages import Row
from local_stack.core_api.rows import (
    NewRow,
    create_aggregator,
    create_customer,
    create_entity,
    create_product,
    create_subscribed,
    create_subscription,
)


class Account:
    """An account at Hyperline, before it bills anything."""

    def __init__(self) -> None:
        self.customers: list[NewRow] = []
        self.invoicing_entities: list[NewRow] = []
        self.aggregators: list[NewRow] = []
        self.products: list[NewRow] = []
        self.subscriptions: list[NewRow] = []
        # The ids of each product's aggregators.
        self.links: dict[str, tuple[str, ...]] = {}
        # Whether products show their aggregators, which isn't documented.
        self.shows_links = False

    def add_customer(
        self, customer_id: str, external_id: str | None, **fields: Any
    ) -> None:
        """Add a customer with Hyperline's id `cus_…` and the owner's id."""
        self.customers.append(create_customer(customer_id, external_id) | fields)

    def add_entity(
        self,
        entity_id: str,
        timezone: str = "Europe/Paris",
        grace_days: int = 3,
        **fields: Any,
    ) -> None:
        """Add an invoicing entity, the default one unless `is_default` is False."""
        named = {"timezone": timezone, "invoice_grace_period_duration": grace_days}
        self.invoicing_entities.append(create_entity(entity_id) | named | fields)

    def add_aggregator(
        self, aggregator_id: str, entity: str, operation: str = "count", **fields: Any
    ) -> None:
        """Add an aggregator; `property` and `where` are among the *fields*."""
        row = create_aggregator(aggregator_id, entity, operation)
        self.aggregators.append(row | fields)

    def add_product(
        self, product_id: str, name: str, *aggregator_ids: str, **fields: Any
    ) -> None:
        """Add a product that bills what these aggregators count."""
        row = create_product(product_id, name, len(aggregator_ids))
        self.products.append(row | fields)
        self.links[product_id] = aggregator_ids

    def add_subscription(
        self, subscription_id: str, customer_id: str, *product_ids: str, **fields: Any
    ) -> None:
        """Add an active subscription of a customer to products."""
        products = [find_row(self.products, product_id) for product_id in product_ids]
        entity_id = self.find_entity(find_row(self.customers, customer_id))["id"]
        row = create_subscription(subscription_id, customer_id)
        row["invoicing_entity_id"] = entity_id
        row["products"] = [create_subscribed(product) for product in products]
        self.subscriptions.append(row | fields)

    def find_entity(self, customer: Row) -> Row:
        """Return the invoicing entity of a *customer*, by default the default one."""
        default = next((e for e in self.invoicing_entities if e["is_default"]), None)
        entity_id = customer.get("invoicing_entity_id")
        entities = (e for e in self.invoicing_entities if e["id"] == entity_id)
        return next(entities, default) or {"id": entity_id, "name": None}

    def complete_customer(self, customer: Row) -> Row:
        """Return a customer with the invoicing entity and the subscriptions."""
        shown = ("id", "status", "current_period_started_at", "current_period_ends_at")
        subscriptions = [
            {name: subscription[name] for name in shown}
            for subscription in self.subscriptions
            if subscription["customer_id"] == customer["id"]
        ]
        entity_id = self.find_entity(customer)["id"]
        defaults = {"invoicing_entity_id": entity_id, "subscriptions": subscriptions}
        return defaults | dict(customer)

    def complete_product(self, product: Row) -> Row:
        """Return a product, with its aggregators if products show them."""
        ids = self.links[product["id"]]
        if not self.shows_links or not ids:
            return product
        # https://docs.hyperline.co/api-reference/endpoints/products/create-product
        if len(ids) == 1:
            return {**product, "aggregator_id": ids[0]}
        credit = [{"aggregator_id": i, "weight": 1} for i in ids]
        return {**product, "credit_aggregators": credit}


def find_row(rows: list[NewRow], row_id: str) -> NewRow:
    """Return the row with an id that must be there."""
    return next(row for row in rows if row["id"] == row_id)
