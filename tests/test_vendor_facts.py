"""Hosts, paths, parameters and limits are those that Hyperline documents.

The tables are written by hand from the pages that they name, and not from the code.
"""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from local_stack import fake_api, fake_core_api, fake_hyperline
from local_stack.core_api import fields
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.delivery import deliver_events
from segment_to_hyperline.hyperline import facts
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.hyperline.plan import RECEIVER, Outgoing
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.reconciliation.api.client import Client
from segment_to_hyperline.reconciliation.api.core import lists
from segment_to_hyperline.reconciliation.api.customers import find_customers
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.failures import AccessError
from segment_to_hyperline.reconciliation.api.pace import CORE_LIMIT, Pace
from segment_to_hyperline.reconciliation.api.rows import Window
from segment_to_hyperline.secret_cache import read_secret
from segment_to_hyperline.simulation.template import read_template
from tests.conftest import Secret
from tests.samples import read_rules, track
from tests.segment_to_hyperline.closing.world import World

ROOT = Path(__file__).parents[1]
# The pages below are under it.
DOCUMENTATION = "https://docs.hyperline.co/"
EVENTS = "api-reference/endpoints/billable-events/"


class Fact(NamedTuple):
    """A value, and the page that has it."""

    value: Any
    page: str


# The host of the ingestion API for each prefix of an API key.
HOSTS = {
    "prod_": Fact("https://ingest.hyperline.co", f"{EVENTS}ingest-billable-event.md"),
    "test_": Fact(
        "https://sandbox.ingest.hyperline.co", f"{EVENTS}ingest-billable-event.md"
    ),
}
CORE_API = {
    Fact("https://api.hyperline.co", "api-reference/docs/third-party-app"),
    Fact("https://sandbox.api.hyperline.co", "api-reference/docs/third-party-app"),
}
# Methods and paths of the ingestion API that are used, with their parameters.
ENDPOINTS = {
    ("POST", "/v1/events"): Fact(set(), f"{EVENTS}create-billable-event"),
    ("POST", "/v1/events/batch"): Fact(set(), f"{EVENTS}ingest-billable-events.md"),
    # As the newest copies of the pages have them; see the parameter IngestionVersion.
    ("POST", "/v2/events"): Fact(set(), f"{EVENTS}ingest-billable-event"),
    ("POST", "/v2/events/batch"): Fact(set(), f"{EVENTS}ingest-billable-events"),
    ("GET", "/v1/events"): Fact(
        {
            *("take", "skip", "order", "sort", "event_type", "customer_id"),
            *("record_id__in", "timestamp_gte", "timestamp_lte"),
        },
        f"{EVENTS}get-events",
    ),
    ("DELETE", "/v1/events"): Fact(set(), f"{EVENTS}delete-billable-events"),
}
# Those of the core API.
CORE_ENDPOINTS = {
    ("GET", "/v2/customers"): Fact(
        {"cursor", "external_id__equals", "include_total", "limit"},
        "api-reference/endpoints/customers/list-customers-1",
    ),
    ("GET", "/v1/customers/{id}/usage"): Fact(
        {"start_date", "end_date"},
        "api-reference/endpoints/customers-%3E-usage/list-customer-usage",
    ),
    ("GET", "/v1/invoicing-entities"): Fact(
        {"take", "skip"},
        "api-reference/endpoints/invoicing-entities/get-invoicing-entities",
    ),
    ("GET", "/v1/aggregators"): Fact(
        {"take", "skip"}, "api-reference/endpoints/aggregators/list-aggregators"
    ),
    ("GET", "/v1/products"): Fact(
        {"take", "skip", "status"}, "api-reference/endpoints/products/list-products"
    ),
    ("GET", "/v2/subscriptions"): Fact(
        {"take", "skip", "status"},
        "api-reference/endpoints/subscriptions/list-subscriptions",
    ),
    ("GET", "/v2/invoices"): Fact(
        {"limit", "cursor", "type", "status", "period_start__lt", "period_end__gt"},
        "api-reference/endpoints/invoices/list-invoices-1",
    ),
    ("GET", "/v1/invoices/{id}/events"): Fact(
        {"take", "skip", "order", "sort", "timestamp__gte", "timestamp__lt"},
        "api-reference/endpoints/invoices-%3E-events/list-invoice-events",
    ),
}
# What the lists of the fake can be filtered by.
FILTERS = {
    "/v1/customers": Fact(
        {"name", "external_id", "currency", "country", "invoicing_entity_id"},
        "api-reference/endpoints/customers/list-customers",
    ),
    "/v1/invoicing-entities": Fact(
        set(),
        "api-reference/endpoints/invoicing-entities/get-invoicing-entities",
    ),
    "/v1/aggregators": Fact(
        set(), "api-reference/endpoints/aggregators/list-aggregators"
    ),
    "/v1/products": Fact(
        {"id", "name", "description", "type", "status"},
        "api-reference/endpoints/products/list-products",
    ),
    "/v2/subscriptions": Fact(
        {
            *("status", "currency", "plan_id", "customer_id", "purchase_order"),
            *("invoicing_entity_id", "updated_at"),
        },
        "api-reference/endpoints/subscriptions/list-subscriptions",
    ),
    "/v2/invoices": Fact(
        {
            *("type", "status", "customer_id", "customer_external_id"),
            *("subscription_id", "invoicing_entity_id", "invoice_number"),
            *("original_invoice_id", "original_invoice_number", "line_item_id"),
            *("period_start", "period_end", "issued_at", "due_at", "updated_at"),
        },
        "api-reference/endpoints/invoices/list-invoices-1",
    ),
}
EVENTS_IN_A_BATCH = Fact(5_000, f"{EVENTS}ingest-billable-events.md")
EVENTS_ON_A_PAGE = Fact(100, f"{EVENTS}get-events")
CUSTOMERS_ON_A_PAGE = Fact(100, "api-reference/docs/pagination")
# For all requests to the ingestion API, and in how many seconds.
REQUESTS = Fact((1_000, 10), "developers/rate-limiting")
CORE_REQUESTS = Fact((200, 10), "developers/rate-limiting")

TEMPLATES = ("template.yaml", "monitoring.yaml", "daily_check.yaml")


def create_events(number: int) -> list[BillableEvent]:
    """Return billable events."""
    rules = read_rules("record = {}")
    tracks = (track(messageId=f"m-{index}") for index in range(number))
    return [event for each in tracks for event in apply_rules(rules, each)]


def deliver(number: int = 1) -> None:
    """Post events as both functions do."""
    events = Outgoing(create_events(number))
    deliver_events(events, read_secret(Deadline(5)), Deadline(5), RECEIVER)


def open_events() -> Events:
    """Return what `reconcile`, `backfill`, `ledger` and the DailyCheck use."""
    return Events(Client(*read_secret(Deadline(5)).endpoint, Pace()))


def count() -> None:
    """Read a number of events as the commands do."""
    open_events().count(Window("Seats Added", 0, 1))


def post() -> None:
    """Post an event as `backfill` does."""
    open_events().post(create_events(1)[0].json)


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The hosts that were looked up; only those on this machine are found."""
    hosts: set[str] = set()
    resolve = socket.getaddrinfo

    def look_up(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        if host in {"127.0.0.1", "localhost"}:
            return resolve(host, port, *arguments, **options)
        scheme = {443: "https", 80: "http"}[port]
        hosts.add(f"{scheme}://{host}")
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setenv("HYPERLINE_URL", "")
    return hosts


@pytest.mark.parametrize(
    ("prefix", "use"),
    [
        *(("prod_", deliver), ("prod_", count)),
        *(("test_", deliver), ("test_", count), ("test_", post)),
    ],
)
def test_each_request_goes_to_the_documented_host(
    secret: Secret, resolved: set[str], prefix: str, use: Callable[[], None]
) -> None:
    """Events are posted to and read from the ingestion API of the key's environment."""
    secret.put(hyperline_api_key=f"{prefix}1")

    with suppress(requests.ConnectionError, AccessError):
        use()

    assert resolved == {HOSTS[prefix].value}


def test_each_request_has_a_documented_method_path_and_parameters(
    secret: Secret, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hyperline ignores unknown parameters, so a misspelled one would go unnoticed."""
    assert secret

    for version in ("v1", "v2"):
        monkeypatch.setenv("INGESTION_VERSION", version)
        deliver()
        deliver(3)
    post()
    count()
    open_events().read(Window("Seats Added", 0, 1))
    open_events().find("Seats Added", ["m-1"])
    open_events().delete(["m-1"])

    urls = [("GET", path) for path in hyperline.reads]
    urls += [(request.method, request.path) for request in hyperline.requests]
    assert {(method, urlsplit(url).path) for method, url in urls} == set(ENDPOINTS)
    for method, url in urls:
        names = {name for name, _ in parse_qsl(urlsplit(url).query)}
        assert names <= ENDPOINTS[method, urlsplit(url).path].value


def test_customers_are_read_as_documented() -> None:
    """Hyperline ignores unknown parameters, and then returns every customer."""
    with FakeCoreApi(rate_limit=1_000_000) as api:
        for number in range(300):
            api.add_customer(f"cus_{number}", f"customer-{number}")
        client = Client(api.url, api.key, Pace())

        find_customers(client, ["customer-1"])
        find_customers(client, [f"customer-{number}" for number in range(300)])

    assert len(api.reads) > 1
    check_core_requests(api)


def test_a_month_is_read_as_documented(
    hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """With the parameters that each list has."""
    with FakeCoreApi(rate_limit=1_000_000, hyperline=hyperline) as api:
        World(tmp_path, hyperline, api).create_report()

        assert check_core_requests(api) == set(CORE_ENDPOINTS)


def check_core_requests(api: FakeCoreApi) -> set[tuple[str, str]]:
    """Return what was requested, and check its parameters."""
    found = set()
    for url in map(urlsplit, api.reads):
        path = re.sub(r"/(cus|inv)_[^/]+", "/{id}", url.path)
        fact = CORE_ENDPOINTS["GET", path]
        assert {name for name, _ in parse_qsl(url.query)} <= fact.value
        found.add(("GET", path))
    return found


def test_the_limits_are_the_documented_ones() -> None:
    """In the functions, in the commands, and in the fake of Hyperline."""
    batches = {facts.MAX_BATCH_EVENTS, fake_hyperline.MAX_BATCH}
    pages = {facts.MAX_PAGE_EVENTS, fake_hyperline.MAX_PAGE}
    rates = {
        (facts.MAX_REQUESTS, facts.MAX_REQUESTS_SECONDS),
        (fake_hyperline.RATE_LIMIT, fake_api.RATE_PERIOD_SECONDS),
    }

    assert batches == {EVENTS_IN_A_BATCH.value}
    assert pages == {EVENTS_ON_A_PAGE.value}
    assert rates == {REQUESTS.value}
    assert {lists.MAX_PAGE, fake_core_api.MAX_PAGE} == {CUSTOMERS_ON_A_PAGE.value}
    core = {(CORE_LIMIT, 10), (fake_core_api.RATE_LIMIT, fake_api.RATE_PERIOD_SECONDS)}
    assert core == {CORE_REQUESTS.value}


def test_the_hosts_are_the_documented_ones() -> None:
    """Those of both APIs, by the prefix of the key."""
    assert {prefix: fact.value for prefix, fact in HOSTS.items()} == facts.HOSTS
    assert set(facts.CORE_API_HOSTS.values()) == {fact.value for fact in CORE_API}


def test_the_fake_knows_the_documented_filters() -> None:
    """Its lists ignore other parameters."""
    filters = {
        "/v1/customers": fields.CUSTOMERS,
        "/v1/invoicing-entities": {},
        "/v1/aggregators": {},
        "/v1/products": fields.PRODUCTS,
        "/v2/subscriptions": fields.SUBSCRIPTIONS,
        "/v2/invoices": fields.INVOICES,
    }

    known = {path: set(names) for path, names in filters.items()}
    assert known == {path: fact.value for path, fact in FILTERS.items()}


def list_texts() -> Iterator[Path]:
    """Yield the files that can name a host or a path of Hyperline."""
    for folder in ("function", "local_stack", "maintenance", "bench", "docs"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".mjs", ".md", ".yml", ".yaml", ".toml"}:
                yield path
    for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", *TEMPLATES):
        yield ROOT / name


def test_no_text_names_another_host_or_path() -> None:
    """Neither the code nor the documentation has one that isn't in the tables."""
    ingestion = {urlsplit(fact.value).netloc for fact in HOSTS.values()}
    core = {urlsplit(fact.value).netloc for fact in CORE_API}
    known = {*ingestion, urlsplit(DOCUMENTATION).netloc}
    paths = {path.partition("/{")[0] for _, path in [*ENDPOINTS, *CORE_ENDPOINTS]}
    paths |= FILTERS.keys()

    for path in list_texts():
        text = path.read_text("utf-8")
        hosts = set(re.findall(r"[\w.-]*hyperline\.co\b", text))
        assert hosts <= (
            known | core if path.name in {"facts.py", "reconcile.md"} else known
        ), path
        assert set(re.findall(r"/v\d+/[a-z_-]+(?:/[a-z_-]+)*", text)) <= paths, path


def test_the_descriptions_have_the_documented_hosts_and_limits() -> None:
    """The parameter says which host belongs to which key, and the guide the limit."""
    description = read_template()["Parameters"]["HyperlineUrl"]["Description"]
    guide = (ROOT / "docs/reconcile.md").read_text("utf-8")

    for prefix, host in HOSTS.items():
        assert re.search(rf"{re.escape(host.value)} for [^,]*{prefix}", description)
        assert f"`{host.value}`" in guide
    assert "{:,} requests in {} seconds".format(*REQUESTS.value) in guide
