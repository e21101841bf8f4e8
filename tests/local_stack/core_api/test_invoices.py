"""The fake lists invoices, which can be live or issued."""

import json
from base64 import urlsafe_b64decode

import pytest

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from tests.local_stack.core_api.helpers import (
    ACME,
    END,
    START,
    find_errors,
    list_ids,
    post,
    read,
)

INVOICES = "/v2/invoices"


def test_an_invoice_has_its_customer_seller_and_period(core_api: FakeCoreApi) -> None:
    """The period's last millisecond is shown, as in live responses."""
    core_api.add_invoice("inv_1", ACME, START, END)

    (row,) = read(core_api, INVOICES)["data"]

    customer = row["customer"]
    assert (customer["id"], customer["external_id"]) == (ACME, "acme")
    assert row["seller"]["id"] == "ive_1"
    assert (row["type"], row["status"], row["issued_at"]) == ("invoice", "draft", None)
    assert row["period_starts_at"] == "2026-11-01T00:00:00.000Z"
    assert row["period_ends_at"] == "2026-11-30T23:59:59.999Z"


def test_a_period_can_end_when_the_next_one_starts(core_api: FakeCoreApi) -> None:
    """As in the documentation's example."""
    core_api.shows_last_millisecond = False
    core_api.add_invoice("inv_1", ACME, START, END)

    (row,) = read(core_api, INVOICES)["data"]

    assert row["period_ends_at"] == "2026-12-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["paid", "draft"]),
        ({"status": "open"}, ["open"]),
        ({"status": "draft"}, ["draft"]),
        ({"status__in": "draft,open"}, ["open", "draft"]),
        ({"status__in": "open", "customer_id": "cus_unknown"}, []),
    ],
)
def test_open_invoices_have_to_be_asked_for(
    core_api: FakeCoreApi, query: dict[str, str], found: list[str]
) -> None:
    """The newest is first."""
    for status in ("draft", "open", "paid"):
        core_api.add_invoice(status, ACME, START, END, status=status)

    assert list_ids(core_api, INVOICES, **query) == found


def test_an_issued_invoice_has_a_time_and_a_number(core_api: FakeCoreApi) -> None:
    """Its status says that it has to be paid."""
    core_api.add_invoice("inv_1", ACME, START, END)
    core_api.issue("inv_1", "2026-12-04T01:00:00+01:00")

    (row,) = read(core_api, INVOICES)["data"]

    assert row["status"] == "to_pay"
    assert row["issued_at"] == "2026-12-04T00:00:00.000Z"
    assert row["number"] == "INV-1"


def test_a_line_item_has_the_units_of_a_product(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """They are live until the invoice is issued."""
    core_api.add_invoice("inv_1", ACME, START, END)
    post(ingestion, "r-1")
    (before,) = read(core_api, INVOICES)["data"]
    core_api.issue("inv_1", END)
    post(ingestion, "r-2")

    (after,) = read(core_api, INVOICES)["data"]

    (item,) = before["line_items"]
    assert (item["product_id"], item["product_type"]) == ("itm_calls", "dynamic")
    assert item["units_count"] == 1
    assert after["line_items"] == before["line_items"]


def test_a_product_with_two_aggregators_has_one_line_item(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Its units are the sum of their totals."""
    core_api.add_aggregator("agg_2", "api_call", "sum", property="tokens")
    core_api.links["itm_calls"] = ("agg_calls", "agg_2")
    core_api.add_invoice("inv_1", ACME, START, END)
    post(ingestion, "r-1", tokens=5)

    (row,) = read(core_api, INVOICES)["data"]

    assert [item["units_count"] for item in row["line_items"]] == [6]


@pytest.mark.parametrize(
    "query",
    [
        {"customer_id": ACME},
        {"customer_external_id": "acme"},
        {"invoicing_entity_id": "ive_1"},
        {"subscription_id__equals": "sub_1"},
        {"invoice_number": "INV-1"},
        {"period_start": START},
        {"period_start__gte": START, "period_start__lt": "2026-11-02T00:00:00Z"},
        {"period_end__lte": END, "period_end__gt": "2026-11-30T00:00:00+01:00"},
        {"issued_at__gte": "2026-12-04T00:00:00Z"},
        {"line_item_id": "ili_inv_1_itm_calls"},
        {"type": "invoice"},
        {"status__in": "to_pay,paid"},
    ],
)
def test_invoices_are_filtered(core_api: FakeCoreApi, query: dict[str, str]) -> None:
    """The names of the filters aren't always those of the fields."""
    core_api.add_entity("ive_2", is_default=False)
    core_api.add_customer("cus_2", "other", invoicing_entity_id="ive_2")
    core_api.add_invoice("inv_1", ACME, START, END, subscription_id="sub_1")
    core_api.issue("inv_1", "2026-12-04T00:00:00Z")
    core_api.add_invoice("inv_2", "cus_2", "2026-10-01T00:00:00Z", START)
    core_api.invoices[1]["type"] = "credit_note"

    assert list_ids(core_api, INVOICES, **query) == ["inv_1"]


@pytest.mark.parametrize(
    "parameter",
    [
        "customer_id__in",
        "customer_external_id__equals",
        "period_starts_at__gte",
        "created_at__gte",
    ],
)
def test_an_unknown_parameter_is_ignored(core_api: FakeCoreApi, parameter: str) -> None:
    """The unfiltered list is returned with 200."""
    core_api.add_invoice("inv_1", ACME, START, END)
    assert list_ids(core_api, INVOICES, **{parameter: "x"}) == ["inv_1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("cursor", "x"),
        ("cursor", "W10"),
        ("order", "up"),
        ("sort", "updated_at"),
        ("status", "pending"),
        ("status__in", "draft,x"),
        ("type", "x"),
        ("period_start__gte", "2026-11-01"),
        ("updated_at__isNull", "true"),
    ],
)
def test_an_invalid_value_is_an_error(
    core_api: FakeCoreApi, name: str, value: str
) -> None:
    """A filter for missing times can't be used, as in live responses."""
    assert find_errors(core_api, INVOICES, **{name: value}) == [name]


def test_the_cursor_is_that_of_live_responses(core_api: FakeCoreApi) -> None:
    """It has the last row's id, and the order of the list."""
    for number in range(5):
        core_api.add_invoice(f"inv_{number}", ACME, START, END)
    query = {"limit": "2", "include_total": "true"}

    first = read(core_api, INVOICES, **query)
    second = read(core_api, INVOICES, **query, cursor=first["next_cursor"])
    third = read(core_api, INVOICES, **query, cursor=second["next_cursor"])

    pages = [[row["id"] for row in page["data"]] for page in (first, second, third)]
    assert pages == [["inv_4", "inv_3"], ["inv_2", "inv_1"], ["inv_0"]]
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    assert (first["total"], third["next_cursor"]) == (5, None)
    cursor = first["next_cursor"]
    content = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    assert content == {"i": "inv_3", "s": "created_at", "o": "desc"}


def test_invoices_can_be_sorted(core_api: FakeCoreApi) -> None:
    """By their creation, or by when they were issued."""
    for number in range(3):
        core_api.add_invoice(f"inv_{number}", ACME, START, END)
    core_api.issue("inv_1", "2026-12-01T00:00:00Z")
    core_api.issue("inv_0", "2026-12-02T00:00:00Z")

    created = list_ids(core_api, INVOICES, order="asc")
    issued = list_ids(core_api, INVOICES, sort="emitted_at", order="desc")

    assert created == ["inv_0", "inv_1", "inv_2"]
    assert issued == ["inv_0", "inv_1", "inv_2"]
    assert list_ids(core_api, INVOICES, sort="emitted_at", order="asc") == issued[::-1]
