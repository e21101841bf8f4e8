"""Fixtures: a sandbox with one customer, and what the probe finds in it."""

import time
from collections.abc import Callable, Iterator

import pytest

from local_stack.behaviour import DELAY_SECONDS
from local_stack.fake_api import KEY, Ending, FakeResponse, Request
from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.doctor.probe.run import Finding, run
from segment_to_hyperline.doctor.probe.sandbox import Sandbox
from segment_to_hyperline.hyperline.url import Endpoint
from tests.clock import Clock

CUSTOMER = "customer-1"
LIMITED_KEY = "test_limited_key"
EVENT = (
    b'{"customer_id":"customer-1","event_type":"Seats Added",'
    b'"timestamp":"2026-01-16T09:30:59.243Z","record":{"id":"m-1"}}'
)

type Find = Callable[[Sandbox, str], Finding]


class FakeSandbox(FakeHyperline):
    """A sandbox with one customer, an event of somebody else, and a limited key."""

    def __init__(self) -> None:
        super().__init__(rate_limit=1_000_000)
        self.customers = {CUSTOMER}
        self.limited_key = LIMITED_KEY
        self.store["Seats Added", "m-1"] = EVENT
        # The responses to posts by their number, from 1 on.
        self.responses: dict[int, FakeResponse] = {}
        # Whether a deletion also deletes events that can't be read yet.
        self.deletes_hidden = True
        # The largest body that doesn't break the connection.
        self.most_bytes = 10_000_000
        self._posts = 0

    def route(self, request: Request) -> FakeResponse:
        """Process a request; a deletion may leave what can't be read yet."""
        if request.method != "DELETE" or self.deletes_hidden:
            return super().route(request)
        readable = time.time() - DELAY_SECONDS[self.behaviour["delay"]]
        stored_at = self.rows.stored_at.items()
        hidden = {key for key, stored in stored_at if stored >= readable}
        kept = {key: body for key, body in self.store.items() if key in hidden}
        response = super().route(request)
        self.store |= kept
        return response

    def find_failure(self, request: Request) -> FakeResponse | None:
        """Return the response to a post, if it isn't Hyperline's."""
        if request.method != "POST":
            return None
        self._posts += 1
        if len(request.body) > self.most_bytes:
            return FakeResponse(ending=Ending.RESET)
        return self.responses.get(self._posts)


@pytest.fixture
def hyperline(clock: Clock) -> Iterator[FakeSandbox]:
    """The sandbox; waiting takes no time."""
    assert clock
    with FakeSandbox() as hyperline:
        yield hyperline


@pytest.fixture
def core(hyperline: FakeSandbox) -> Iterator[FakeCoreApi]:
    """The core API of the sandbox, with the customer."""
    with FakeCoreApi(rate_limit=1_000_000, hyperline=hyperline) as core:
        core.add_customer("cus_0", CUSTOMER)
        yield core


@pytest.fixture
def sandbox(hyperline: FakeSandbox, core: FakeCoreApi) -> Sandbox:
    """What the probe knows of it, with all options."""
    return Sandbox(Endpoint(hyperline.url, KEY), core.url, CUSTOMER, LIMITED_KEY)


@pytest.fixture
def find() -> Find:
    """Return what is found about the assumption of this name; others aren't tried."""

    def find(sandbox: Sandbox, name: str) -> Finding:
        findings = run(sandbox, lambda question: question.startswith(f"{name}: "))
        return next(each for each in findings if each.assumption.name == name)

    return find
