"""The fake of the core API returns what is documented."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local_stack.fake_api import KEY
from local_stack.fake_core_api import FakeCoreApi


@pytest.fixture
def core_api() -> Iterator[FakeCoreApi]:
    """A core API with 250 customers."""
    with FakeCoreApi() as api:
        for number in range(250):
            api.add_customer(f"cus_{number}", f"customer-{number}")
        yield api


def get(api: FakeCoreApi, path: str, **query: str) -> requests.Response:
    """Send a GET request with the key."""
    return requests.get(
        api.url + path, query, headers={"Authorization": f"Bearer {KEY}"}, timeout=10
    )


def read(api: FakeCoreApi, **query: str) -> Any:
    """Return the content of a successful response to a request for customers."""
    response = get(api, "/v1/customers", **query)
    assert response.status_code == 200
    return response.json()


def test_a_list_has_pages(core_api: FakeCoreApi) -> None:
    """A page has 50 rows, or as many as asked for, and the number of all rows."""
    assert len(read(core_api)["data"]) == 50
    page = read(core_api, take="100", skip="200")
    assert page["meta"] == {"total": 250, "taken": 50, "skipped": 200}
    assert page["data"][0]["id"] == "cus_200"


def test_customers_are_filtered_by_their_external_id(core_api: FakeCoreApi) -> None:
    """The operators are those that the vendor's command line has."""
    (row,) = read(core_api, external_id__equals="customer-7")["data"]
    assert row["id"] == "cus_7"
    assert read(core_api, external_id__startsWith="customer-24")["meta"]["total"] == 11


@pytest.mark.parametrize("parameter", ["external_id__in", "externalId__equals", "any"])
def test_an_unknown_parameter_is_ignored(core_api: FakeCoreApi, parameter: str) -> None:
    """The unfiltered list is returned with 200."""
    assert read(core_api, **{parameter: "customer-7"})["meta"]["total"] == 250


@pytest.mark.parametrize(
    "query", [{"take": "101"}, {"take": "x"}, {"skip": "9950", "take": "51"}]
)
def test_an_invalid_page_is_an_error(
    core_api: FakeCoreApi, query: dict[str, str]
) -> None:
    """A page has at most 100 rows, and no row is behind the 10,000th."""
    response = get(core_api, "/v1/customers", **query)
    assert response.status_code == 400
    assert response.json()["type"] == "ValidationError"


def test_a_key_without_the_scope_is_forbidden(core_api: FakeCoreApi) -> None:
    """A path that the key may not read has a 403."""
    core_api.forbidden.add("/v1/customers")
    assert get(core_api, "/v1/customers").status_code == 403


def test_other_paths_do_not_exist(core_api: FakeCoreApi) -> None:
    """Billable events are on the ingestion host only."""
    assert get(core_api, "/v1/events", event_type="x").status_code == 404
    assert get(core_api, "/v1/invoicing-entities").json()["data"] == []


def read_by_cursor(api: FakeCoreApi, **query: str) -> Any:
    """Return the content of a successful response of the newer list."""
    response = get(api, "/v2/customers", **query)
    assert response.status_code == 200
    return response.json()


def test_the_newer_list_has_a_cursor(core_api: FakeCoreApi) -> None:
    """The newest customer is first, and the last page has no cursor."""
    pages: list[Any] = []
    query = {"limit": "100"}
    while not pages or pages[-1]["has_more"]:
        pages.append(read_by_cursor(core_api, **query))
        query["cursor"] = pages[-1]["next_cursor"]

    ids = [row["id"] for page in pages for row in page["data"]]
    assert ids == [f"cus_{number}" for number in reversed(range(250))]
    assert [len(page["data"]) for page in pages] == [100, 100, 50]
    assert pages[-1]["next_cursor"] is None


def test_the_newer_list_has_a_total_if_asked(core_api: FakeCoreApi) -> None:
    """It counts what the filters leave."""
    assert "total" not in read_by_cursor(core_api)
    assert read_by_cursor(core_api, include_total="true")["total"] == 250
    found = read_by_cursor(
        core_api, include_total="true", external_id__equals="customer-7"
    )
    assert (found["total"], found["data"][0]["id"]) == (1, "cus_7")


def test_a_filter_can_be_ignored(core_api: FakeCoreApi) -> None:
    """As if its name had been changed."""
    core_api.ignores_filters = True
    found = read_by_cursor(core_api, external_id__equals="customer-7")
    assert len(found["data"]) == 50


@pytest.mark.parametrize("limit", ["0", "101", "x"])
def test_an_invalid_limit_is_an_error(core_api: FakeCoreApi, limit: str) -> None:
    """A page has 1 to 100 rows."""
    assert get(core_api, "/v2/customers", limit=limit).status_code == 400
