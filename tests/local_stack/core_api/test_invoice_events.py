"""The fake lists the events on an invoice: live ones, or those when it was issued."""

import pytest

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, OddRow
from tests.local_stack.core_api.helpers import (
    ACME,
    END,
    INVOICE_EVENTS,
    START,
    delete,
    find_errors,
    find_event_ids,
    get,
    list_events,
    list_ids,
    post,
    read,
)


@pytest.fixture(autouse=True)
def _invoice(core_api: FakeCoreApi) -> None:
    """A draft of November."""
    core_api.add_invoice("inv_1", ACME, START, END)


def test_an_event_has_what_is_billed(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Its id is that of the ingestion API; the record's id isn't shown."""
    post(ingestion, "r-1", region="eu")

    page = read(core_api, INVOICE_EVENTS)

    assert page["meta"] == {"total": 1, "taken": 1, "skipped": 0}
    (row,) = page["data"]
    billing = row.pop("billing")
    assert row == {
        "id": find_event_ids(ingestion)["r-1"],
        "name": "api_call",
        "event_type": "api_call",
        "timestamp": "2026-11-15T12:00:00.000Z",
        "properties": {"region": "eu"},
    }
    assert billing["invoice_id"] == "inv_1"
    assert billing["invoice_line_item_id"] == "ili_inv_1_itm_calls"
    assert (billing["product_id"], billing["currency"]) == ("itm_calls", "EUR")


def test_only_events_of_the_customer_and_the_period_are_billed(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """The period has its start, and not the start of the next one."""
    post(ingestion, "before", "2026-10-31T23:59:59.999Z")
    post(ingestion, "first", START)
    post(ingestion, "last", "2026-11-30T23:59:59.9999Z")
    post(ingestion, "after", END)
    post(ingestion, "other", customer="other")

    assert list_events(core_api, ingestion) == ["last", "first"]


def test_an_aggregator_has_to_select_the_event(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """By its type and by its filter."""
    condition = {"property": "region", "operator": "equals", "value": "eu"}
    core_api.aggregators[0]["where"] = {"conditional": "and", "fields": [condition]}
    post(ingestion, "r-1", region="eu")
    post(ingestion, "r-2", region="us")
    post(ingestion, "r-3", event_type="seats", region="eu")

    assert list_events(core_api, ingestion) == ["r-1"]


def test_a_product_has_to_use_the_aggregator(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """An aggregator alone bills nothing."""
    core_api.links["itm_calls"] = ()
    post(ingestion, "r-1")

    assert list_events(core_api, ingestion) == []


@pytest.mark.parametrize("status", ["paused", "cancelled", "draft"])
def test_a_subscription_has_to_be_active(
    core_api: FakeCoreApi, ingestion: FakeHyperline, status: str
) -> None:
    """Its products aren't billed otherwise."""
    core_api.subscriptions[0]["status"] = status
    post(ingestion, "r-1")

    assert list_events(core_api, ingestion) == []


def test_a_subscription_has_to_be_the_customers(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Another customer's subscription doesn't count."""
    core_api.subscriptions[0]["customer_id"] = "cus_other"
    post(ingestion, "r-1")

    assert list_events(core_api, ingestion) == []


def test_an_invoice_can_belong_to_a_subscription(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Then the other subscriptions of the customer aren't on it."""
    core_api.add_subscription("sub_2", ACME)
    core_api.invoices[0]["subscription_id"] = "sub_2"
    post(ingestion, "r-1")

    assert list_events(core_api, ingestion) == []


def test_an_event_is_billed_once_for_each_product(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Even if two aggregators of one product select it."""
    core_api.add_aggregator("agg_2", "api_call")
    core_api.links["itm_calls"] = ("agg_calls", "agg_2")
    core_api.add_product("itm_2", "Support", "agg_2")
    core_api.add_subscription("sub_2", ACME, "itm_2")
    post(ingestion, "r-1")

    rows = read(core_api, INVOICE_EVENTS)["data"]

    assert len({row["id"] for row in rows}) == 1
    assert sorted(row["billing"]["product_id"] for row in rows) == [
        "itm_2",
        "itm_calls",
    ]


@pytest.mark.parametrize("status", ["draft", "open"])
def test_an_invoice_that_is_not_issued_is_live(
    core_api: FakeCoreApi, ingestion: FakeHyperline, status: str
) -> None:
    """A later event is on it, and a deleted one isn't."""
    core_api.invoices[0]["status"] = status
    post(ingestion, "r-1")
    first = list_events(core_api, ingestion)
    post(ingestion, "r-2", "2026-11-16T00:00:00Z")
    second = list_events(core_api, ingestion)
    delete(ingestion, "r-1")
    third = list_events(core_api, ingestion)

    assert (first, second, third) == (["r-1"], ["r-2", "r-1"], ["r-2"])


def test_an_issued_invoice_has_its_snapshot(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """An event that is stored later isn't on it."""
    post(ingestion, "r-1")
    core_api.issue("inv_1", END)
    post(ingestion, "r-2")
    core_api.subscriptions.clear()

    assert list_events(core_api, ingestion) == ["r-1"]


def test_an_invoice_can_be_added_when_it_is_issued(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Then it has the events of that moment."""
    post(ingestion, "r-1")
    core_api.add_invoice("inv_2", ACME, START, END, status="paid")
    post(ingestion, "r-2")

    assert list_ids(core_api, "/v1/invoices/inv_2/events") == [
        find_event_ids(ingestion)["r-1"]
    ]


def test_a_credit_note_has_no_events(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """It is in the list of invoices, and reverses one."""
    post(ingestion, "r-1")
    core_api.add_invoice("inv_2", ACME, START, END, type="credit_note")

    assert list_ids(core_api, "/v1/invoices/inv_2/events") == []


def test_a_row_without_a_record_can_be_billed(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Another writer can have stored it."""
    content = {
        "id": "evt_odd",
        "event_type": "api_call",
        "timestamp": "2026-11-15T12:00:00.000Z",
        "customer_id": ACME,
    }
    ingestion.rows.odd.append(OddRow("api_call", 1_794_744_000_000_000, content))

    assert list_ids(core_api, INVOICE_EVENTS) == ["evt_odd"]


def test_events_have_pages_in_both_orders(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """The latest event is first unless the order says otherwise."""
    for day in range(1, 6):
        post(ingestion, f"r-{day}", f"2026-11-0{day}T00:00:00Z")

    latest = list_events(core_api, ingestion, take="2", skip="1", sort="timestamp")
    earliest = list_events(core_api, ingestion, take="2", skip="1", order="asc")

    assert (latest, earliest) == (["r-4", "r-3"], ["r-2", "r-3"])


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({"product_id": "itm_calls"}, 2),
        ({"product_id__not": "itm_calls"}, 0),
        ({"event_type": "api_call"}, 2),
        ({"timestamp__gte": "2026-11-02T00:00:00Z"}, 1),
        ({"product_id__in": "itm_2"}, 2),
    ],
)
def test_events_are_filtered(
    core_api: FakeCoreApi,
    ingestion: FakeHyperline,
    query: dict[str, str],
    number: int,
) -> None:
    """By their product, type and time."""
    post(ingestion, "r-1", "2026-11-01T00:00:00Z")
    post(ingestion, "r-2", "2026-11-02T00:00:00Z")

    assert len(list_events(core_api, ingestion, **query)) == number


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("take", "101"),
        ("skip", "x"),
        ("order", "up"),
        ("sort", "id"),
        ("timestamp__gte", "x"),
    ],
)
def test_an_invalid_value_is_an_error(
    core_api: FakeCoreApi, name: str, value: str
) -> None:
    """The value of each known parameter is checked."""
    assert find_errors(core_api, INVOICE_EVENTS, **{name: value}) == [name]


def test_the_last_events_can_be_out_of_reach(core_api: FakeCoreApi) -> None:
    """A test can set a limit as that of customers, because it isn't documented."""
    query = {"take": "100", "skip": "9901"}
    assert get(core_api, INVOICE_EVENTS, **query).status_code == 200
    core_api.max_event_offset = 10_000

    assert find_errors(core_api, INVOICE_EVENTS, **query) == ["skip"]
    query["skip"] = "9900"
    assert get(core_api, INVOICE_EVENTS, **query).status_code == 200


def test_an_unknown_invoice_is_not_found(core_api: FakeCoreApi) -> None:
    """As each invoice of another account."""
    assert get(core_api, "/v1/invoices/inv_unknown/events").status_code == 404
