"""The lists of the core API are read completely, or not at all."""

import json
from typing import Any

import pytest

from local_stack.fake_api import FakeResponse
from local_stack.fake_core_api import FakeCoreApi
from segment_to_hyperline.closing.aggregation import takes
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.core.aggregators import read_aggregators
from segment_to_hyperline.reconciliation.api.core.catalog import (
    Product,
    read_products,
    read_subscriptions,
)
from segment_to_hyperline.reconciliation.api.core.entities import read_entities
from segment_to_hyperline.reconciliation.api.core.invoices import (
    InvoiceRow,
    read_invoiced_events,
    read_invoices,
)
from segment_to_hyperline.reconciliation.api.core.usage import read_usage
from segment_to_hyperline.reconciliation.api.failures import (
    AccessError,
    HyperlineUnavailable,
)
from tests.segment_to_hyperline.reconciliation.helpers import (
    START,
    create_client,
)

INVOICE = InvoiceRow("inv_1", "", "draft", "cus_1", START, START + 1_000, None)


@pytest.fixture
def client(core_api: FakeCoreApi) -> Client:
    """A client of the core API."""
    return create_client(core_api)


def page(total: int, *rows: Any) -> FakeResponse:
    """Return a page of a list."""
    content = {"meta": {"total": total}, "data": rows}
    return FakeResponse(200, json.dumps(content).encode())


def test_all_pages_are_read(core_api: FakeCoreApi, client: Client) -> None:
    """Each row once."""
    for number in range(250):
        core_api.add_aggregator(f"agg_{number}", "Seats")

    found = read_aggregators(client)

    assert sorted(each.id for each in found) == sorted(
        f"agg_{number}" for number in range(250)
    )
    assert client.requests == 3


def test_rows_that_move_are_found(core_api: FakeCoreApi, client: Client) -> None:
    """A row that was left out is on a page of the next pass."""
    rows = [{"id": f"agg_{number}"} for number in range(101)]
    core_api.respond(page(101, *rows[:100]), page(101, rows[0]))
    core_api.aggregators += [{"id": row["id"]} for row in rows]

    assert len(read_aggregators(client)) == 101


@pytest.mark.parametrize("rows", [[{"id": "agg_1"}], []])
def test_a_list_that_never_adds_up_is_not_complete(
    core_api: FakeCoreApi, client: Client, rows: list[Any]
) -> None:
    """It is read a few times, and isn't used."""
    core_api.outage = page(5, *rows)

    with pytest.raises(HyperlineUnavailable, match="counts 5 rows, but returns"):
        read_aggregators(client)
    assert client.requests == 5


@pytest.mark.parametrize(
    "content",
    [
        *({}, [], {"data": []}, 5),
        *({"meta": {"total": 1}, "data": [row]} for row in (1, {"id": 5})),
    ],
)
@pytest.mark.usefixtures("clock")
def test_another_response_is_an_error(
    core_api: FakeCoreApi, client: Client, content: Any
) -> None:
    """It isn't taken for an empty list."""
    core_api.outage = FakeResponse(200, json.dumps(content).encode())

    with pytest.raises(AccessError, match="isn't as documented"):
        read_aggregators(client)
    if content != {"data": []}:
        with pytest.raises(AccessError, match="isn't as documented"):
            read_invoices(client, START, START + 1)


@pytest.mark.parametrize("cursors", ["x", "xyz"])
@pytest.mark.usefixtures("clock")
def test_a_cursor_that_leads_back_is_an_error(
    core_api: FakeCoreApi, client: Client, cursors: str
) -> None:
    """The same pages would be read forever."""
    pages = [
        FakeResponse(200, json.dumps({"data": [], "next_cursor": each}).encode())
        for each in cursors
    ]
    core_api.respond(*pages)
    core_api.outage = pages[0]

    with pytest.raises(AccessError, match="other rows than those that were asked for"):
        read_invoices(client, START, START + 1)


@pytest.mark.parametrize("end", [{"next_cursor": 5}, {"has_more": True}])
@pytest.mark.usefixtures("clock")
def test_a_list_without_its_end_is_an_error(
    core_api: FakeCoreApi, client: Client, end: dict[str, Any]
) -> None:
    """Rows would be left out."""
    content = {"data": [], **end}
    core_api.outage = FakeResponse(200, json.dumps(content).encode())

    with pytest.raises(AccessError, match="isn't as documented"):
        read_invoices(client, START, START + 1)


def test_odd_rows_are_read_as_far_as_possible(
    core_api: FakeCoreApi, client: Client
) -> None:
    """A field that isn't as documented doesn't make a list unreadable."""
    core_api.outage = page(1, {"id": "x", "where": 5, "products": 5, "timezone": 1})
    (aggregator,) = read_aggregators(client)
    (product,) = read_products(client)
    (subscription,) = read_subscriptions(client)
    (entity,) = read_entities(client)

    assert (aggregator.name, aggregator.entity) == ("x", "")
    assert aggregator.conditions == (("where", "in another form", 5),)
    assert product.aggregators is None
    assert subscription[:3] == ("", frozenset(), None)
    assert (entity.time_zone, entity.grace_days, entity.is_default) == ("", 3, False)


CONDITION = {"property": "plan", "operator": "equals", "value": "pro"}


@pytest.mark.parametrize(
    "where",
    [
        *(5, {}, [], {"conditional": "and", "conditions": [CONDITION]}),
        *({"fields": 5}, {"fields": [5]}, {"fields": [{"property": "plan"}]}),
        {"fields": [CONDITION, CONDITION]},
        {"conditional": "xor", "fields": [CONDITION, CONDITION]},
    ],
)
def test_a_filter_in_another_form_cannot_be_evaluated(
    core_api: FakeCoreApi, client: Client, where: Any
) -> None:
    """It isn't taken for one that selects everything."""
    core_api.outage = page(1, {"id": "x", "where": where})

    (aggregator,) = read_aggregators(client)

    assert takes(aggregator, {"plan": "pro"}) is None


@pytest.mark.parametrize("where", [None, {"fields": []}, {"fields": [CONDITION]}])
def test_a_filter_can_be_empty_or_have_one_condition(
    core_api: FakeCoreApi, client: Client, where: Any
) -> None:
    """Then no word has to join its conditions."""
    core_api.outage = page(1, {"id": "x", "where": where})

    (aggregator,) = read_aggregators(client)

    assert takes(aggregator, {"plan": "pro"}) is True


@pytest.mark.parametrize(
    "link",
    [
        {"aggregator_id": "agg_1"},
        {"aggregator": {"id": "agg_1"}},
        {"aggregator": "agg_1"},
        {"credit_aggregators": [{"aggregator_id": "agg_1", "weight": 1}]},
        {"aggregators": [{"id": "agg_1"}]},
        {"aggregator_ids": ["agg_1"]},
    ],
)
def test_a_product_shows_its_aggregators_in_any_way(
    core_api: FakeCoreApi, client: Client, link: dict[str, Any]
) -> None:
    """It isn't documented how."""
    core_api.outage = page(1, {"id": "itm_1", **link})

    assert read_products(client) == [Product("itm_1", frozenset({"agg_1"}))]


def test_a_product_can_have_no_aggregator(
    core_api: FakeCoreApi, client: Client
) -> None:
    """That is something else than not showing it."""
    core_api.outage = page(1, {"id": "itm_1", "aggregator_id": None})

    assert read_products(client) == [Product("itm_1", frozenset())]


def test_subscriptions_that_ended_count(core_api: FakeCoreApi, client: Client) -> None:
    """Drafts don't."""
    rows = [
        {"id": status, "status": status, "customer": {"id": "cus_1"}}
        for status in ("active", "cancelled", "draft", "voided", "pending")
    ]
    core_api.outage = page(5, *rows)

    assert len(read_subscriptions(client)) == 2


def create_invoices(*rows: dict[str, Any]) -> FakeResponse:
    """Return a page of invoices."""
    return FakeResponse(200, json.dumps({"data": rows}).encode())


PERIOD = {
    "period_starts_at": "2026-01-01T00:00:00.000Z",
    "period_ends_at": "2026-01-31T23:59:59.999Z",
}


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, 1),
        ({"type": "invoice", "status": "paid"}, 1),
        ({"type": "child_invoice_ref"}, 1),
        ({"type": "credit_note"}, 0),
        ({"type": "document"}, 0),
        ({"status": "voided"}, 0),
        ({"status": "archived"}, 0),
        ({"status": "closed"}, 0),
        ({"period_starts_at": None}, 0),
        ({"period_ends_at": "soon"}, 0),
        ({"period_starts_at": "2026-02-01T00:00:00Z"}, 0),
        ({"period_ends_at": "2026-01-01T00:00:00Z"}, 0),
    ],
)
def test_only_invoices_of_the_time_are_read(
    core_api: FakeCoreApi, client: Client, changes: dict[str, Any], number: int
) -> None:
    """Not credit notes, nor what nobody has to pay, nor other periods."""
    row = {"id": "inv_1", "customer": {"id": "cus_1"}, **PERIOD, **changes}
    core_api.outage = create_invoices(row)

    found = read_invoices(client, START, START + 31 * 24 * 60 * 60 * 1_000)

    assert [each.customer_id for each in found] == ["cus_1"] * number


def test_events_that_were_not_asked_for_are_an_error(
    core_api: FakeCoreApi, client: Client
) -> None:
    """If Hyperline ignored the time, the parts of an invoice would have no end."""
    row = {"id": "evt_1", "timestamp": "2020-01-01T00:00:00.000Z"}
    core_api.respond(page(10_001), page(1, row))

    with pytest.raises(AccessError, match="other rows than those that were asked for"):
        list_ids(client)


@pytest.mark.parametrize("name", ["product_id", "price_name"])
def test_an_event_can_have_several_prices(
    core_api: FakeCoreApi, client: Client, name: str
) -> None:
    """All of them are on one line."""
    rows = [
        {"id": "evt_1", "billing": {"invoice_line_item_id": "ili_1", name: price}}
        for price in ("first", "second")
    ]
    core_api.outage = page(2, *rows)

    assert list_ids(client) == ["evt_1"] * 2


def list_ids(client: Client) -> list[str]:
    """Return the ids of the events on the lines of an invoice."""
    events = read_invoiced_events(client, INVOICE, START, START + 2_000)
    return [event.id for event in events]


def test_an_event_can_be_on_several_lines(
    core_api: FakeCoreApi, client: Client
) -> None:
    """Two products can bill it."""
    lines = [
        {"id": "evt_1", "billing": {"invoice_line_item_id": f"ili_{number}"}}
        for number in range(3)
    ]
    core_api.outage = page(3, *lines)

    assert list_ids(client) == ["evt_1"] * 3
    assert client.requests == 1
    core_api.outage = page(1, {"id": "evt_2", "billing": None})
    assert list_ids(client) == ["evt_2"]


def test_an_invoice_with_many_events_is_read_in_parts(
    core_api: FakeCoreApi, client: Client
) -> None:
    """Other lists don't show rows beyond the 10,000th."""
    empty = page(0)
    core_api.respond(page(10_001), page(1, {"id": "evt_1"}), empty)

    assert list_ids(client) == ["evt_1"]
    assert client.requests == 3


@pytest.mark.parametrize(
    "content",
    [
        *({}, [5], [{"aggregator_id": "a", "total": "1", "count": 1}]),
        [{"aggregator_id": "a", "total": True, "count": 1}],
        [{"aggregator_id": "a", "total": 1, "count": 1.5}],
        [{"aggregator_id": "a", "total": 1, "count": 1}] * 2,
    ],
)
@pytest.mark.usefixtures("clock")
def test_a_usage_must_have_numbers(
    core_api: FakeCoreApi, client: Client, content: Any
) -> None:
    """Anything else isn't taken for zero."""
    core_api.outage = FakeResponse(200, json.dumps(content).encode())

    with pytest.raises(AccessError, match="isn't as documented"):
        read_usage(client, "cus_1", START, START + 1)


def test_an_id_of_a_customer_is_quoted(core_api: FakeCoreApi, client: Client) -> None:
    """It can't lead to another path."""
    core_api.outage = FakeResponse(200, b"[]")

    assert read_usage(client, "cus_/../1?", START, START + 1) == {}
    assert core_api.reads[-1].startswith("/v1/customers/cus_%2F..%2F1%3F/usage?")


def test_a_list_that_is_cut_off_is_not_complete(
    core_api: FakeCoreApi, client: Client
) -> None:
    """Some lists return 400 for rows beyond the 10,000th."""
    rejected = FakeResponse(400, b"{}")
    pages = [page(10_050, {"id": f"agg_{number}"}) for number in range(100)]
    core_api.respond(*pages, rejected)

    with pytest.raises(AccessError, match="Hyperline shows 10,000 rows of this list"):
        read_aggregators(client)

    core_api.respond(rejected)
    with pytest.raises(AccessError, match="rejected the query"):
        read_aggregators(client)
