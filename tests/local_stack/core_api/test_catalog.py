"""The fake lists customers, entities, aggregators, products and subscriptions."""

import pytest

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from tests.local_stack.core_api.helpers import (
    ACME,
    END,
    INVOICE_EVENTS,
    START,
    find_errors,
    get,
    list_ids,
    read,
)

OFFSET_LISTS = [
    "/v1/aggregators",
    "/v1/products",
    "/v1/invoicing-entities",
    "/v2/subscriptions",
]


@pytest.mark.parametrize("path", OFFSET_LISTS)
def test_a_list_has_pages(core_api: FakeCoreApi, path: str) -> None:
    """`take` and `skip` select rows, and `meta` counts all."""
    core_api.add_aggregator("agg_2", "seats")
    core_api.add_product("itm_2", "Seats", "agg_2")
    core_api.add_entity("ive_2", is_default=False)
    core_api.add_subscription("sub_2", ACME, "itm_2")

    page = read(core_api, path, take="1", skip="1")

    assert page["meta"] == {"total": 2, "taken": 1, "skipped": 1}
    assert page["data"][0]["id"].endswith("_2")
    assert find_errors(core_api, path, take="101", skip="-1") == ["take", "skip"]


@pytest.mark.parametrize("path", OFFSET_LISTS)
def test_an_empty_page_repeats_what_was_asked_for(
    core_api: FakeCoreApi, path: str
) -> None:
    """So `taken` isn't the number of rows, as in live responses."""
    page = read(core_api, path, take="7", skip="5")

    assert page == {"meta": {"total": 1, "taken": 7, "skipped": 5}, "data": []}


def test_an_aggregator_has_its_filter(core_api: FakeCoreApi) -> None:
    """It also has what it sums, and the type of events that it aggregates."""
    condition = {"property": "region", "operator": "in", "value": ["eu", "us"]}
    where = {"conditional": "and", "fields": [condition]}
    core_api.add_aggregator("agg_2", "seats", "sum", property="seats", where=where)

    plain, row = read(core_api, "/v1/aggregators")["data"]

    assert (plain["operation"], plain["property"], plain["where"]) == (
        "count",
        None,
        None,
    )
    assert (row["entity"], row["operation"], row["property"]) == (
        "seats",
        "sum",
        "seats",
    )
    assert row["where"] == where


def test_an_entity_has_its_time_zone_and_grace_period(core_api: FakeCoreApi) -> None:
    """A report needs them to find the month and its deadline."""
    core_api.add_entity("ive_2", "America/New_York", 5, is_default=False)

    first, second = read(core_api, "/v1/invoicing-entities")["data"]

    assert (first["id"], first["is_default"], first["currency"]) == (
        "ive_1",
        True,
        "EUR",
    )
    assert second["is_default"] is False
    assert second["timezone"] == "America/New_York"
    assert second["invoice_grace_period_duration"] == 5


@pytest.mark.parametrize("path", ["/v1/customers", "/v2/customers"])
def test_a_customer_has_an_entity_and_subscriptions(
    core_api: FakeCoreApi, path: str
) -> None:
    """The entity is the default one unless the customer has another."""
    core_api.add_entity("ive_2", is_default=False)
    core_api.add_customer("cus_2", "other", invoicing_entity_id="ive_2")
    core_api.add_subscription(
        "sub_2", "cus_2", status="paused", current_period_ends_at=END
    )

    rows = {row["id"]: row for row in read(core_api, path)["data"]}

    assert rows[ACME]["invoicing_entity_id"] == "ive_1"
    assert rows["cus_2"]["invoicing_entity_id"] == "ive_2"
    (subscription,) = rows["cus_2"]["subscriptions"]
    assert subscription == {
        "id": "sub_2",
        "status": "paused",
        "current_period_started_at": None,
        "current_period_ends_at": END,
    }


def test_a_product_hides_its_aggregators(core_api: FakeCoreApi) -> None:
    """A test can show them, because the documentation doesn't say."""
    core_api.add_aggregator("agg_2", "seats")
    core_api.add_product("itm_2", "Credits", "agg_calls", "agg_2")
    core_api.add_product("itm_3", "Fee")
    hidden = read(core_api, "/v1/products")["data"]
    core_api.shows_links = True

    one, two, none = read(core_api, "/v1/products")["data"]

    assert [row["type"] for row in hidden] == ["dynamic", "credit", "flat_fee"]
    assert not any("agg" in name for row in hidden for name in row)
    assert one["aggregator_id"] == "agg_calls"
    links = [link["aggregator_id"] for link in two["credit_aggregators"]]
    assert links == ["agg_calls", "agg_2"]
    assert none == hidden[2]


def test_a_subscription_has_products(core_api: FakeCoreApi) -> None:
    """They have a type, but no aggregator."""
    (row,) = read(core_api, "/v2/subscriptions")["data"]

    assert (row["customer_id"], row["status"]) == (ACME, "active")
    assert row["invoicing_entity_id"] == "ive_1"
    (product,) = row["products"]
    assert (product["id"], product["type"]) == ("itm_calls", "dynamic")
    assert "agg_calls" not in str(product)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["active", "paused"]),
        ({"status": "all"}, ["active", "paused"]),
        (
            {"status": "any"},
            ["active", "paused", "draft", "voided", "cancelled", "archived"],
        ),
        ({"status": "inactive"}, ["paused"]),
        ({"status": "cancelled"}, ["cancelled"]),
        ({"status__in": "draft,voided"}, ["draft", "voided"]),
        ({"status": "any", "customer_id": "cus_unknown"}, []),
    ],
)
def test_subscriptions_that_are_over_are_hidden(
    core_api: FakeCoreApi, query: dict[str, str], found: list[str]
) -> None:
    """They are listed if their status, or any, is asked for."""
    core_api.subscriptions.clear()
    for status in ("active", "paused", "draft", "voided", "cancelled", "archived"):
        core_api.add_subscription(status, ACME, status=status)

    assert list_ids(core_api, "/v2/subscriptions", **query) == found


def test_an_unknown_status_is_an_error(core_api: FakeCoreApi) -> None:
    """The value of a known filter is checked."""
    assert find_errors(core_api, "/v2/subscriptions", status="x") == ["status"]


@pytest.mark.parametrize(
    ("forbidden", "path", "status"),
    [
        ("/v1/aggregators", "/v1/aggregators", 403),
        ("/v1/customers/", f"/v1/customers/{ACME}/usage", 403),
        ("/v1/customers/", "/v1/customers", 200),
        ("/v1/customers", f"/v1/customers/{ACME}/usage", 400),
        ("/v1/invoices/", INVOICE_EVENTS, 403),
    ],
)
def test_a_key_can_be_forbidden_to_read_paths_below_another(
    core_api: FakeCoreApi, forbidden: str, path: str, status: int
) -> None:
    """A slash at the end stands for all of them, but not for the path itself."""
    core_api.forbidden.add(forbidden)
    assert get(core_api, path).status_code == status


@pytest.mark.parametrize("path", ["/v2/subscriptions", "/v2/invoices", "/v1/customers"])
def test_filters_can_be_ignored(core_api: FakeCoreApi, path: str) -> None:
    """As if their names had been changed."""
    core_api.add_invoice("inv_1", ACME, START, END)
    known = list_ids(core_api, path, invoicing_entity_id="x")
    core_api.ignores_filters = True

    assert known == []
    assert len(list_ids(core_api, path, invoicing_entity_id="x")) == 1


def test_nothing_is_counted_without_an_ingestion_api(ingestion: FakeHyperline) -> None:
    """A test that only reads lists needs none."""
    assert ingestion
    with FakeCoreApi() as api:
        api.add_customer(ACME, "acme")
        api.add_aggregator("agg_1", "api_call")
        path = f"/v1/customers/{ACME}/usage"
        (row,) = read(api, path, start_date=START, end_date=END)

    assert row["count"] == 0
