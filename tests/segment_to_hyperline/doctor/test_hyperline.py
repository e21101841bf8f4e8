"""What can't be read at Hyperline is wrong or unknown, with what to do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.doctor.findings import Finding, Result, Unread
from segment_to_hyperline.doctor.hyperline import (
    CoreReader,
    check_ingestion,
    open_api,
    open_core,
)
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.reconciliation.api.pace import Pace
from tests.segment_to_hyperline.reconciliation.helpers import Clock

HTML = {"Content-Type": "text/html"}
PAGE = FakeResponse(200, b"<html>Please sign in</html>", headers=HTML)


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
    response: int | FakeResponse,
    result: Result,
    evidence: str,
    remedy: str,
) -> None:
    """A key without the scope may still post, so that is unknown."""
    ingestion.outage = FakeResponse(response) if isinstance(response, int) else response
    api = open_api(ingestion.url, KEY, Pace())

    found = fail(lambda: check_ingestion(api))

    assert found.result is result
    assert evidence in found.evidence
    assert remedy in found.remedy


@pytest.fixture
def endpoint(core_api: FakeCoreApi, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """A key of the core API."""
    monkeypatch.setenv("HYPERLINE_CORE_URL", core_api.url)
    return Endpoint("https://ingest.example", KEY)


def test_the_core_api_accepts_a_key_with_few_scopes(
    core_api: FakeCoreApi, endpoint: Endpoint
) -> None:
    """Which scope is missing is said where it is needed."""
    core_api.forbidden |= {"/v1/invoicing-entities", "/v1/products"}
    reader = CoreReader(lambda: open_core(endpoint))

    assert fail(reader.read_products) == Finding(
        Result.UNKNOWN,
        f"{core_api.url}/v1/products: the API key has no permission (403) to read"
        " products",
        "add the scope to the key in Hyperline's settings",
    )
    assert reader.read_aggregators() == []


def test_a_key_of_the_other_environment(
    ingestion: FakeHyperline, endpoint: Endpoint
) -> None:
    """Hyperline's hosts reject it, and everything there is wrong."""
    other = endpoint._replace(api_key="test_of_another_account")
    api = open_api(ingestion.url, other.api_key, Pace())

    assert "(401)" in fail(lambda: open_core(other)).evidence
    assert "(401)" in fail(lambda: check_ingestion(api)).evidence


def test_the_core_api_is_not_known() -> None:
    """With another host than Hyperline's, the key is sent nowhere else."""
    found = fail(lambda: open_core(Endpoint("https://ingest.example", KEY)))

    assert found.result is Result.UNKNOWN
    assert "HYPERLINE_CORE_URL" in found.remedy


def test_a_host_that_can_not_be_the_core_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key isn't sent to it."""
    monkeypatch.setenv("HYPERLINE_CORE_URL", "http://hyperline.example")

    found = fail(lambda: open_core(Endpoint("https://ingest.example", KEY)))

    assert found.evidence.startswith("HYPERLINE_CORE_URL must be https://")


def test_a_key_that_no_header_can_have() -> None:
    """It isn't sent."""
    found = fail(lambda: open_api("https://ingest.example", "test key", Pace()))

    assert "without spaces" in found.remedy


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_the_clock(ingestion: FakeHyperline, parallel_clock: Clock, hours: int) -> None:
    """It is compared with the date of a response, also of one that is an error."""
    api = open_api(ingestion.url, KEY, Pace())
    assert api.clock_difference is None
    date = {"Date": "Wed, 07 Jan 2026 00:00:00 GMT"}
    parallel_clock.now = 1_767_744_000 + hours * 60 * 60
    ingestion.respond(FakeResponse(401, headers=date))

    fail(lambda: check_ingestion(api))

    assert api.clock_difference == hours * 60 * 60


def test_long_lists_are_read_within_a_minute(
    core_api: FakeCoreApi, endpoint: Endpoint, parallel_clock: Clock
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
    core_api.add_subscription("sub_1", "cus_1", "prd_1")
    core_api.subscriptions = [
        {**core_api.subscriptions[0], "id": f"sub_{index}"} for index in range(number)
    ]
    began = parallel_clock.now
    core = open_core(endpoint)
    reader = CoreReader(lambda: core)

    with ThreadPoolExecutor() as executor:
        aggregators = executor.submit(reader.read_aggregators)
        products = executor.submit(reader.read_products)
        subscriptions = executor.submit(reader.read_subscriptions)
        customers = executor.submit(reader.read_customers, ["one", "two"])

    assert len(aggregators.result()) == len(products.result()) == number
    assert len(subscriptions.result()) == number
    assert customers.result().ids.keys() == {"one"}
    assert parallel_clock.now - began < 45
