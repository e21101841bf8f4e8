"""What can't be read at Hyperline is wrong or unknown, with what to do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.doctor.findings import Finding, Result, Unread
from segment_to_hyperline.doctor.hyperline import (
    Clients,
    CoreReader,
    create_clients,
    find_clock_difference,
    read_core,
    read_ingestion,
)
from segment_to_hyperline.hyperline.url import Endpoint
from tests.segment_to_hyperline.reconciliation.helpers import Clock

HTML = {"Content-Type": "text/html"}
PAGE = FakeResponse(200, b"<html>Please sign in</html>", headers=HTML)


def open_apis(
    ingestion: FakeHyperline, core_api: FakeCoreApi, key: str = KEY
) -> Clients:
    """Return the clients of both APIs."""
    return create_clients(Endpoint(ingestion.url, key), core_api.url)


def fail(read: Callable[[], object]) -> Finding:
    """Return why something can't be read."""
    with pytest.raises(Unread) as caught:
        read()
    return caught.value.finding


@pytest.mark.parametrize(
    ("response", "result", "evidence", "remedy"),
    [
        (401, Result.WRONG, "rejected the API key (401)", "use a valid key"),
        (403, Result.UNKNOWN, "no permission (403) to read billable", "add the scope"),
        (404, Result.WRONG, "the path doesn't exist (404)", "check that the host"),
        (503, Result.WRONG, "server error (503)", "run the command again later"),
        (429, Result.WRONG, "rate limit is reached (429)", "run the command again"),
        (PAGE, Result.WRONG, "the response is a web page (200)", "a proxy"),
    ],
)
@pytest.mark.usefixtures("parallel_clock")
def test_the_ingestion_api_fails(
    ingestion: FakeHyperline,
    core_api: FakeCoreApi,
    response: int | FakeResponse,
    result: Result,
    evidence: str,
    remedy: str,
) -> None:
    """A key without the scope may still post, so that is unknown."""
    ingestion.outage = FakeResponse(response) if isinstance(response, int) else response
    clients = open_apis(ingestion, core_api)

    found = fail(lambda: read_ingestion(clients))

    assert found.result is result
    assert evidence in found.evidence
    assert remedy in found.remedy


def test_the_core_api_accepts_a_key_with_few_scopes(
    ingestion: FakeHyperline, core_api: FakeCoreApi
) -> None:
    """Which scope is missing is said where it is needed."""
    core_api.forbidden |= {"/v1/invoicing-entities", "/v1/products"}
    clients = open_apis(ingestion, core_api)
    reader = CoreReader(lambda: read_core(clients))

    assert fail(reader.read_products) == Finding(
        Result.UNKNOWN,
        f"{core_api.url}/v1/products: the API key has no permission (403) to read"
        " products",
        "add the scope to the key in Hyperline's settings",
    )
    assert reader.read_aggregators() == []


def test_a_key_of_the_other_environment(
    ingestion: FakeHyperline, core_api: FakeCoreApi
) -> None:
    """Hyperline's hosts reject it, and everything there is wrong."""
    clients = open_apis(ingestion, core_api, "test_of_another_account")

    assert "(401)" in fail(lambda: read_core(clients)).evidence
    assert "(401)" in fail(lambda: read_ingestion(clients)).evidence


def test_the_core_api_is_not_known(ingestion: FakeHyperline) -> None:
    """With another host than Hyperline's, the key is sent nowhere else."""
    clients = create_clients(Endpoint(ingestion.url, KEY), None)

    found = fail(lambda: read_core(clients))

    assert found.result is Result.UNKNOWN
    assert "HYPERLINE_CORE_URL" in found.remedy


def test_a_key_that_no_header_can_have() -> None:
    """It isn't sent."""
    endpoint = Endpoint("https://ingest.example", "test key")

    assert "without spaces" in fail(lambda: create_clients(endpoint, None)).remedy


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_the_clock(
    ingestion: FakeHyperline, core_api: FakeCoreApi, parallel_clock: Clock, hours: int
) -> None:
    """It is compared with the date of a response, also of one that is an error."""
    clients = open_apis(ingestion, core_api)
    assert find_clock_difference(clients) is None
    date = {"Date": "Wed, 07 Jan 2026 00:00:00 GMT"}
    parallel_clock.now = 1_767_744_000 + hours * 60 * 60
    ingestion.respond(FakeResponse(401, headers=date))

    fail(lambda: read_ingestion(clients))

    assert find_clock_difference(clients) == hours * 60 * 60


def test_long_lists_are_read_within_a_minute(
    ingestion: FakeHyperline, core_api: FakeCoreApi, parallel_clock: Clock
) -> None:
    """10,000 of each: four fifths of the core API's limit suffice."""
    number = 10_000
    core_api.add_customer("cus_1", "one")
    core_api.customers *= number
    for index, customer in enumerate(core_api.customers):
        core_api.customers[index] = {**customer, "id": f"cus_{index}"}
    core_api.add_aggregator("agg_1", "Seats Added")
    core_api.aggregators = [
        {**core_api.aggregators[0], "id": f"agg_{index}"} for index in range(number)
    ]
    core_api.add_product("prd_1", "Seats", "agg_1")
    core_api.products = [
        {**core_api.products[0], "id": f"prd_{index}"} for index in range(number)
    ]
    core_api.links = {f"prd_{index}": ("agg_1",) for index in range(number)}
    began = parallel_clock.now
    clients = open_apis(ingestion, core_api)
    reader = CoreReader(lambda: read_core(clients))

    with ThreadPoolExecutor() as executor:
        aggregators = executor.submit(reader.read_aggregators)
        products = executor.submit(reader.read_products)
        customers = executor.submit(reader.read_customers, ["one", "two"])

    assert len(aggregators.result()) == len(products.result()) == number
    assert customers.result().ids.keys() == {"one"}
    assert parallel_clock.now - began < 45
