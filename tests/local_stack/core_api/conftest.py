"""An account with one customer, who pays for API calls."""

from collections.abc import Iterator

import pytest

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from tests.local_stack.core_api.helpers import ACME


@pytest.fixture
def ingestion() -> Iterator[FakeHyperline]:
    """An ingestion API without events."""
    with FakeHyperline(rate_limit=1_000_000) as api:
        yield api


@pytest.fixture
def core_api(ingestion: FakeHyperline) -> Iterator[FakeCoreApi]:
    """A core API with a customer, an aggregator, a product and a subscription."""
    with FakeCoreApi(rate_limit=1_000_000, hyperline=ingestion) as api:
        api.add_entity("ive_1")
        api.add_customer(ACME, "acme")
        api.add_aggregator("agg_calls", "api_call")
        api.add_product("itm_calls", "API calls", "agg_calls")
        api.add_subscription("sub_1", ACME, "itm_calls")
        yield api
