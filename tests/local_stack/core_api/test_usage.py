"""The fake evaluates the usage of a customer from the stored events."""

from typing import Any

import pytest

from local_stack.core_api.conditions import OPERATORS
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from tests.local_stack.core_api.helpers import ACME, END, START, find_errors, get, post
from tests.local_stack.core_api.helpers import read as read_path

USAGE = f"/v1/customers/{ACME}/usage"


def read(api: FakeCoreApi) -> dict[str, Any]:
    """Return the rows of November by aggregator."""
    rows = read_path(api, USAGE, start_date=START, end_date=END)
    return {row.pop("aggregator_id"): row for row in rows}


def test_events_are_counted(core_api: FakeCoreApi, ingestion: FakeHyperline) -> None:
    """Only those of the customer and the type, and the latest version of each."""
    post(ingestion, "r-1", tokens=2)
    post(ingestion, "r-1", tokens=3)
    post(ingestion, "r-2")
    post(ingestion, "r-3", customer="other")
    post(ingestion, "r-4", event_type="seats")
    core_api.aggregators[0] |= {"name": "Calls", "unit_name": "call"}

    row = read(core_api)["agg_calls"]

    assert row == {"name": "Calls", "unit_name": "call", "total": 2, "count": 2}


def test_later_events_are_counted_at_once(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Nothing is kept from an earlier request."""
    post(ingestion, "r-1")
    first = read(core_api)["agg_calls"]["total"]
    post(ingestion, "r-2")

    assert (first, read(core_api)["agg_calls"]["total"]) == (1, 2)


def test_an_event_counts_for_the_customer_that_is_shown(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """A test can set another one than the posted one."""
    post(ingestion, "r-1")
    first = read(core_api)["agg_calls"]["total"]
    ingestion.rows.customers["r-1"] = "cus_other"

    assert (first, read(core_api)["agg_calls"]["total"]) == (1, 0)


def test_a_property_is_summed(core_api: FakeCoreApi, ingestion: FakeHyperline) -> None:
    """Only numbers are; the count has all events that the filter selects."""
    core_api.add_aggregator("agg_sum", "api_call", "sum", property="tokens")
    for number, tokens in enumerate([2, 0.5, "7", True]):
        post(ingestion, f"r-{number}", tokens=tokens)
    post(ingestion, "r-none")

    row = read(core_api)["agg_sum"]

    assert (row["total"], row["count"]) == (2.5, 5)


def test_a_negative_total_has_to_be_allowed(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Otherwise it is zero."""
    fields: dict[str, Any] = {"property": "tokens"}
    core_api.add_aggregator("agg_1", "api_call", "sum", **fields)
    fields["allow_negative_values"] = True
    core_api.add_aggregator("agg_2", "api_call", "sum", **fields)
    post(ingestion, "r-1", tokens=-4)

    rows = read(core_api)

    assert (rows["agg_1"]["total"], rows["agg_2"]["total"]) == (0, -4)


def test_a_formula_has_the_total_that_a_test_sets(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Its count is that of the events which the filter selects."""
    core_api.add_aggregator("agg_1", "api_call", "sql_formula", formula_sql="max(x)")
    core_api.formula_totals[ACME, "agg_1"] = 12.5
    post(ingestion, "r-1")

    row = read(core_api)["agg_1"]

    assert (row["total"], row["count"]) == (12.5, 1)


def test_a_period_does_not_have_its_end(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """A test can include it, because the documentation doesn't say."""
    post(ingestion, "r-0", "2026-10-31T23:59:59.999Z")
    post(ingestion, "r-1", START)
    post(ingestion, "r-2", END)
    without = read(core_api)["agg_calls"]["total"]
    core_api.includes_usage_end = True

    assert (without, read(core_api)["agg_calls"]["total"]) == (1, 2)


def test_an_aggregator_without_events_is_listed(core_api: FakeCoreApi) -> None:
    """A test can hide it, because the documentation doesn't say."""
    listed = list(read(core_api))
    core_api.hides_unused = True

    assert (listed, list(read(core_api))) == (["agg_calls"], [])


def test_an_unknown_customer_is_not_found(core_api: FakeCoreApi) -> None:
    """The owner's id is unknown too."""
    for customer in ("cus_unknown", "acme"):
        path = f"/v1/customers/{customer}/usage"
        response = get(core_api, path, start_date=START, end_date=END)
        assert response.status_code == 404


@pytest.mark.parametrize("invalid", ["2026-11-01", "x", "2026-11-01T00:00:00"])
def test_a_period_is_required(core_api: FakeCoreApi, invalid: str) -> None:
    """Both of its ends are times with a time zone."""
    assert find_errors(core_api, USAGE) == ["start_date", "end_date"]
    errors = find_errors(core_api, USAGE, start_date=START, end_date=invalid)
    assert errors == ["end_date"]


CONDITIONS = [
    ("equals", "eu", {"eu"}),
    ("equals", 3, {3}),
    ("equals", "3", set()),
    ("equals", 1, set()),
    ("not", "eu", {"us-1", 3, 20, True, None}),
    ("lt", 20, {3}),
    ("lte", 20, {3, 20}),
    ("gt", 3, {20}),
    ("gte", 3, {3, 20}),
    ("gte", "f", {"us-1"}),
    ("contains", "s-", {"us-1"}),
    ("startsWith", "us", {"us-1"}),
    ("endWith", "-1", {"us-1"}),
    ("in", ["eu", 3], {"eu", 3}),
    ("in", "eu,us-1", {"eu", "us-1"}),
    ("notIn", ["eu", 3], {"us-1", 20, True, None}),
    ("isNull", None, {None}),
    ("isNotNull", None, {"eu", "us-1", 3, 20, True}),
    ("unknown", "eu", set()),
]


@pytest.mark.parametrize(("operator", "value", "found"), CONDITIONS)
def test_a_filter_has_operators(
    core_api: FakeCoreApi,
    ingestion: FakeHyperline,
    operator: str,
    value: Any,
    found: set[Any],
) -> None:
    """A string isn't a number, and a missing property is null."""
    values = ["eu", "us-1", 3, 20, True]
    for number, region in enumerate(values):
        post(ingestion, f"r-{number}", region=region)
    post(ingestion, "r-none")
    condition = {"property": "region", "operator": operator, "value": value}
    where = {"conditional": "and", "fields": [condition]}
    core_api.add_aggregator("agg_1", "api_call", where=where)

    assert read(core_api)["agg_1"]["total"] == len(found)


def test_each_operator_is_tested() -> None:
    """The table above has all of them."""
    assert {operator for operator, _, _ in CONDITIONS} == {*OPERATORS, "unknown"}


def test_a_list_contains_an_item(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """It doesn't contain a part of one."""
    post(ingestion, "r-1", tags=["a", "bc"])
    post(ingestion, "r-2", tags=["b"])
    condition = {"property": "tags", "operator": "contains", "value": "b"}
    where = {"conditional": "and", "fields": [condition]}
    core_api.add_aggregator("agg_1", "api_call", where=where)

    assert read(core_api)["agg_1"]["total"] == 1


@pytest.mark.parametrize(("conditional", "total"), [("and", 1), ("or", 3)])
def test_conditions_are_combined(
    core_api: FakeCoreApi, ingestion: FakeHyperline, conditional: str, total: int
) -> None:
    """All of them have to be true, or one."""
    post(ingestion, "r-1", region="eu", plan="pro")
    post(ingestion, "r-2", region="eu")
    post(ingestion, "r-3", plan="pro")
    post(ingestion, "r-4")
    fields = [
        {"property": "region", "operator": "equals", "value": "eu"},
        {"property": "plan", "operator": "equals", "value": "pro"},
    ]
    where = {"conditional": conditional, "fields": fields}
    core_api.add_aggregator("agg_1", "api_call", where=where)

    assert read(core_api)["agg_1"]["total"] == total


def test_a_filter_without_conditions_selects_all(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """Whatever combines them."""
    post(ingestion, "r-1")
    core_api.add_aggregator(
        "agg_1", "api_call", where={"conditional": "or", "fields": []}
    )

    assert read(core_api)["agg_1"]["total"] == 1


def test_an_operator_can_be_added(
    core_api: FakeCoreApi, ingestion: FakeHyperline
) -> None:
    """A test can have one that the application doesn't know."""
    core_api.operators["isEven"] = lambda value, _: value % 2 == 0
    condition = {"property": "tokens", "operator": "isEven"}
    where = {"conditional": "and", "fields": [condition]}
    core_api.add_aggregator("agg_1", "api_call", where=where)
    for number in range(5):
        post(ingestion, f"r-{number}", tokens=number)

    assert read(core_api)["agg_1"]["total"] == 3
