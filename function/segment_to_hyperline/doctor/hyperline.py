"""Read at Hyperline what the mapping's events are counted and invoiced by."""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from segment_to_hyperline.doctor.findings import Result, Unread, split
from segment_to_hyperline.hyperline.url import Endpoint, UrlError, choose_core_url
from segment_to_hyperline.reconciliation.api import client
from segment_to_hyperline.reconciliation.api.client import (
    Client,
    Patience,
    ignore_wait,
)
from segment_to_hyperline.reconciliation.api.core.aggregators import (
    Aggregator,
    read_aggregators,
)
from segment_to_hyperline.reconciliation.api.core.catalog import (
    Product,
    Subscription,
    read_products,
    read_subscriptions,
)
from segment_to_hyperline.reconciliation.api.core.entities import Entity, read_entities
from segment_to_hyperline.reconciliation.api.customers import (
    CUSTOMER_PREFIX,
    Customers,
    find_customers,
)
from segment_to_hyperline.reconciliation.api.events import Events
from segment_to_hyperline.reconciliation.api.failures import (
    AccessError,
    Forbidden,
    HyperlineUnavailable,
)
from segment_to_hyperline.reconciliation.api.pace import CORE_LIMIT, Pace

# A person waits, and can run the command again.
_PATIENCE = Patience(success=5, connection=5, response=10)
# For so short a time, doctor may use most of the core API's limit.
_CORE_SHARE = 0.8
_CHECK = client.Endpoint("GET", "/v1/invoicing-entities", "read invoicing entities")
_NO_CORE_HOST = Unread(
    "the host of the core API isn't known",
    "set HYPERLINE_CORE_URL, because HyperlineUrl is not a host of Hyperline's",
    Result.UNKNOWN,
)


def open_api(url: str, key: str, pace: Pace) -> Client:
    """Return an API at the host *url*; raises `Unread` if the key can't be sent."""
    return _try(lambda: Client(url, key, pace, ignore_wait, _PATIENCE))


def open_core(endpoint: Endpoint) -> Client:
    """Return the core API for a key, if it accepts it; raises `Unread`."""
    url = find_core_url(endpoint)
    if url is None:
        raise _NO_CORE_HOST
    core = open_api(url, endpoint.api_key, Pace(limit=CORE_LIMIT, share=_CORE_SHARE))

    def check() -> None:
        with suppress(Forbidden):  # the key is valid
            core.get(_CHECK, {"take": "1"}, lambda _: None)

    _try(check)
    return core


def find_core_url(endpoint: Endpoint) -> str | None:
    """Return the host of the core API, if it is known; raises `Unread`."""
    try:
        return choose_core_url(endpoint, os.environ.get("HYPERLINE_CORE_URL") or None)
    except UrlError as error:
        raise Unread(*split(str(error))) from error


def check_ingestion(ingestion: Client) -> None:
    """Raise `Unread` if billable events can't be read."""
    _try(Events(ingestion).check)


class CoreReader:
    """Reads at the core API, after it has accepted the key; raises `Unread`."""

    def __init__(self, find_core: Callable[[], Client]) -> None:
        self._find_core = find_core

    def read_entities(self) -> list[Entity]:
        """Return the invoicing entities."""
        return self._read(read_entities)

    def read_aggregators(self) -> list[Aggregator]:
        """Return the aggregators."""
        return self._read(read_aggregators)

    def read_products(self) -> list[Product]:
        """Return the products."""
        return self._read(read_products)

    def read_subscriptions(self) -> list[Subscription]:
        """Return the subscriptions."""
        return self._read(read_subscriptions)

    def read_customers(self, names: Iterable[str]) -> Customers:
        """Return the customers with these ids of the owner's, and maybe others."""
        wanted = list(names)
        # Those with Hyperline's ids can't be looked up one by one.
        read_all = any(name.startswith(CUSTOMER_PREFIX) for name in wanted)
        return self._read(partial(find_customers, wanted=wanted, read_all=read_all))

    def _read[Content](self, read: Callable[[Client], Content]) -> Content:
        core = self._find_core()
        return _try(lambda: read(core))


def _try[Content](read: Callable[[], Content]) -> Content:
    try:
        return read()
    except Forbidden as error:
        raise Unread(*split(str(error)), Result.UNKNOWN) from error
    except AccessError as error:
        raise Unread(*split(str(error))) from error
    except HyperlineUnavailable as error:
        evidence, _, remedy = str(error).rpartition("; ")
        raise Unread(evidence, remedy) from error
