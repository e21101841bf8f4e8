"""What may stay in Hyperline is reported, whatever happens meanwhile."""

import json
import time
from collections.abc import Iterator

import pytest

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_core_api import FakeCoreApi
from segment_to_hyperline.doctor.probe.poster import Poster
from segment_to_hyperline.doctor.probe.run import UNKNOWN, run
from segment_to_hyperline.doctor.probe.sandbox import Sandbox
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.reconciliation.api.pace import Pace
from tests.segment_to_hyperline.doctor.probe.conftest import (
    CUSTOMER,
    LIMITED_KEY,
    FakeSandbox,
    Find,
)

CREATED = "a customer is created"


@pytest.fixture
def creating(hyperline: FakeSandbox) -> FakeSandbox:
    """A sandbox that creates unknown customers."""
    hyperline.behaviour["unknown customer"] = CREATED
    return hyperline


@pytest.fixture
def other_account(hyperline: FakeSandbox) -> Iterator[FakeSandbox]:
    """The sandbox of another account."""
    assert hyperline
    with FakeSandbox() as other:
        other.limited_key = ""
        yield other


def test_a_customer_is_reported_after_an_interruption(
    creating: FakeSandbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is deleted, and the customer that was created for it isn't."""
    pause, customer = time.sleep, f"{sandbox.event_type}-customer"

    def interrupt(seconds: float) -> None:
        written = [json.loads(*versions) for versions in creating.writes.values()]
        if any(event["customer_id"] == customer for event in written):
            monkeypatch.setattr(time, "sleep", pause)
            raise KeyboardInterrupt
        pause(seconds)

    monkeypatch.setattr(time, "sleep", interrupt)

    with pytest.raises(KeyboardInterrupt):
        run(sandbox, lambda question: question.startswith("unknown customer"))

    assert [text.partition(",")[0] for text in sandbox.stays] == [
        f"perhaps the customer {customer}"
    ]


def test_a_customer_is_reported_if_events_are_read_late(
    creating: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """Beside the events."""
    creating.behaviour["delay"] = "later"

    assert find(sandbox, "unknown customer").found == UNKNOWN
    customer, events = sandbox.stays
    assert customer.startswith(f"perhaps the customer {sandbox.event_type}-customer")
    assert events.startswith("perhaps events whose type begins with")


@pytest.mark.parametrize("forbidden", [False, True])
def test_a_mistyped_customer_is_reported(
    creating: FakeSandbox,
    find: Find,
    *,
    forbidden: bool,
) -> None:
    """If the key may not read customers, or the host of the core API isn't known."""
    with FakeCoreApi(hyperline=creating) as core:
        core.forbidden = {"/v2/customers"}
        url = core.url if forbidden else None
        sandbox = Sandbox(Endpoint(creating.url, KEY), url, "typo")

        find(sandbox, "delay")

    assert [text.partition(",")[0] for text in sandbox.stays] == [
        "perhaps the customer typo"
    ]


def test_a_customer_is_not_created_where_an_unknown_one_is_rejected(
    hyperline: FakeSandbox,
) -> None:
    """So nothing stays, even if customers can't be read."""
    sandbox = Sandbox(Endpoint(hyperline.url, KEY), None, CUSTOMER)

    run(sandbox, lambda _: True)

    assert sandbox.stays == []


def test_a_customer_that_is_rejected_is_not_reported(
    hyperline: FakeSandbox, find: Find
) -> None:
    """It wasn't created."""
    sandbox = Sandbox(Endpoint(hyperline.url, KEY), None, "typo")

    assert find(sandbox, "null").found == UNKNOWN
    assert sandbox.stays == []


def test_a_limited_key_of_another_account_is_reported(
    hyperline: FakeSandbox, other_account: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """An event in that account isn't deleted with the key of this one."""
    sandbox.limited = Poster(other_account.url, KEY, Pace(), is_limited=True)

    finding = find(sandbox, "key without scope")

    assert finding.reason == "the key of --limited-key may write billable events"
    (record_id,) = (key[1] for key in other_account.writes)
    (text,) = (text for text in sandbox.stays if "--limited-key" in text)
    assert text.startswith(f"perhaps the event {record_id} of the type")
    assert hyperline.store.keys() == {("Seats Added", "m-1")}


def test_a_limited_key_of_this_account_leaves_nothing(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """Its event is read, and deleted, with the other key."""
    sandbox.limited = Poster(hyperline.url, KEY, Pace(), is_limited=True)

    assert find(sandbox, "key without scope").found == UNKNOWN
    assert hyperline.store.keys() == {("Seats Added", "m-1")}
    assert sandbox.stays == []


def test_a_limited_key_that_may_not_write_leaves_nothing(
    sandbox: Sandbox, find: Find
) -> None:
    """It was rejected in whichever account it is."""
    assert LIMITED_KEY
    assert find(sandbox, "key without scope").found == "403"
    assert sandbox.stays == []


def test_a_limited_key_without_a_response_is_reported(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """The event can be stored nevertheless."""
    hyperline.responses |= dict.fromkeys((2, 3, 4), FakeResponse(503))
    sandbox.limited = Poster(hyperline.url, KEY, Pace(), is_limited=True)

    assert find(sandbox, "key without scope").found == UNKNOWN
    assert "--limited-key" in sandbox.stays[0]
