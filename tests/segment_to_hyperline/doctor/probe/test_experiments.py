"""Each experiment finds each answer, if Hyperline behaves like that."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_core_api import FakeCoreApi
from segment_to_hyperline.doctor.probe.run import EXPERIMENTS, UNKNOWN, run
from segment_to_hyperline.doctor.probe.sandbox import Sandbox
from segment_to_hyperline.hyperline.assumptions import ASSUMPTIONS
from segment_to_hyperline.hyperline.url import Endpoint
from tests.segment_to_hyperline.doctor.probe.conftest import CUSTOMER, FakeSandbox, Find

PAIRS = [(each.name, answer) for each in ASSUMPTIONS for answer in each.answers]
NAMES = [each.name for each in ASSUMPTIONS]
# What else is found then, because it follows from the answer.
FOLLOWS = {("paths", "v2"): {"response to a batch": "events_accepted"}}


def test_every_assumption_has_an_experiment() -> None:
    """And only one."""
    assert sorted(each.name for each in EXPERIMENTS) == sorted(NAMES)


@pytest.mark.parametrize(("name", "answer"), PAIRS)
def test_an_experiment_finds_the_answer(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find, name: str, answer: str
) -> None:
    """And the sandbox is as before, except for a customer that was created."""
    before = dict(hyperline.store)
    hyperline.behaviour[name] = answer

    finding = find(sandbox, name)

    assert (finding.found, finding.reason) == (answer, "")
    assert hyperline.store == before
    assert hyperline.rows.repeated == set()
    assert len(sandbox.stays) == (answer in {"a customer is created", "later"})


@pytest.mark.parametrize(("name", "answer"), PAIRS)
def test_no_answer_leads_another_experiment_astray(
    hyperline: FakeSandbox, sandbox: Sandbox, name: str, answer: str
) -> None:
    """The others find what they find without it, or that they can't decide."""
    before = dict(hyperline.store)
    hyperline.behaviour[name] = answer

    findings = run(sandbox, lambda _: True)

    assert hyperline.store == before
    expected = {each.name: each.answer for each in ASSUMPTIONS}
    expected |= {name: answer} | FOLLOWS.get((name, answer), {})
    found = {each.assumption.name: each.found for each in findings}
    different = {found[key] for key, each in expected.items() if found[key] != each}
    assert different <= {UNKNOWN}


@pytest.mark.parametrize(("name", "answer"), PAIRS)
def test_no_more_is_written_than_was_agreed_to(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find, name: str, answer: str
) -> None:
    """Whatever Hyperline does: the question has the most events."""
    hyperline.behaviour[name] = answer
    (experiment,) = (each for each in EXPERIMENTS if each.name == name)

    find(sandbox, name)

    posts = [json.loads(r.body) for r in hyperline.requests if r.method == "POST"]
    batches = [post if isinstance(post, list) else [post] for post in posts]
    written = [each for batch in batches for each in batch if "record" in each]
    assert len(written) <= experiment.events


def alter(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that changes a stored event."""
    return lambda event: event | changes


def alter_record(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that changes the record of a stored event."""
    return lambda event: event | {"record": event["record"] | changes}


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("null", alter_record(value=7), "the event is stored with another value"),
        ("decimals", alter_record(value="7"), "the number is read as something else"),
        (
            "microseconds",
            alter(timestamp="2026-01-16T09:30:59.7Z"),
            "the time is read as another one",
        ),
        (
            "repeated id",
            alter_record(number=7),
            "neither of the two events can be read",
        ),
    ],
)
def test_an_answer_that_is_not_in_the_table_is_unknown(
    hyperline: FakeSandbox,
    sandbox: Sandbox,
    find: Find,
    name: str,
    change: Callable[[dict[str, Any]], dict[str, Any]],
    reason: str,
) -> None:
    """Nothing is guessed; the reason has no content of the response."""

    def change_all() -> None:
        for key, body in hyperline.store.items():
            hyperline.store[key] = json.dumps(change(json.loads(body))).encode()
        hyperline.rows.forget()

    hyperline.behaviour["null"] = "accepted"
    hyperline.rows.before_read = change_all

    finding = find(sandbox, name)

    assert (finding.found, finding.reason) == (UNKNOWN, reason)


@pytest.mark.parametrize(
    ("name", "number", "response", "reason"),
    [
        (
            "response to a batch",
            2,
            FakeResponse(400, b"{}"),
            "a batch of ordinary events is rejected (400)",
        ),
        (
            "equal times",
            2,
            FakeResponse(400, b"{}"),
            "a batch of ordinary events is rejected (400)",
        ),
        ("equal times", 2, FakeResponse(202, b""), "only 0 of 6 events can be read"),
        ("null", 1, FakeResponse(422, b"{}"), "an ordinary event is rejected (422)"),
        (
            "null",
            1,
            FakeResponse(201, b'{"events_failed":[{}]}'),
            "an ordinary event is rejected (201)",
        ),
        ("null", 2, FakeResponse(202, b""), "the event was accepted, and can't be"),
        (
            "bad event in a batch",
            2,
            FakeResponse(201, b"{}"),
            "the response doesn't say what happened to the event",
        ),
        (
            "paths",
            1,
            FakeResponse(403, b"{}"),
            "posts to the paths of v1 are forbidden",
        ),
        (
            "key without scope",
            2,
            FakeResponse(202, b""),
            "the key of --limited-key may",
        ),
        ("key without scope", 2, FakeResponse(409, b"{}"), "the status is 409"),
    ],
)
def test_an_experiment_that_cannot_decide_says_why(
    hyperline: FakeSandbox,
    sandbox: Sandbox,
    find: Find,
    name: str,
    number: int,
    response: FakeResponse,
    reason: str,
) -> None:
    """The response is that to the post of this number."""
    hyperline.responses[number] = response

    finding = find(sandbox, name)

    assert finding.found == UNKNOWN
    assert finding.reason.startswith(reason)


@pytest.mark.parametrize("shown", ["unknown-1", 7])
def test_an_event_of_an_unknown_customer_can_be_shown_with_another_id(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find, shown: str
) -> None:
    """It doesn't say whether there is such a customer."""
    hyperline.behaviour["unknown customer"] = "a customer is created"
    for number in range(9):
        hyperline.rows.customers[f"{sandbox.event_type}-{number}"] = shown

    finding = find(sandbox, "unknown customer")

    assert finding.found == UNKNOWN
    assert finding.reason == "the event is read with another id than Hyperline's"


@pytest.mark.parametrize(
    ("answer", "found"),
    [("a customer is created", "a customer is created"), ("not stored", UNKNOWN)],
)
def test_without_a_customer_an_event_that_cannot_be_read_may_be_stored(
    hyperline: FakeSandbox, find: Find, answer: str, found: str
) -> None:
    """Nothing shows that others could be read."""
    hyperline.behaviour["unknown customer"] = answer
    sandbox = Sandbox(Endpoint(hyperline.url, KEY))

    assert find(sandbox, "unknown customer").found == found


def test_a_hyperline_that_creates_no_customers_leaves_none(
    hyperline: FakeSandbox,
) -> None:
    """Once that is known, an event for another customer leaves nothing either."""
    sandbox = Sandbox(Endpoint(hyperline.url, KEY))
    sandbox.rejects_unknown_customers()

    sandbox.note_customer("typo")
    sandbox.finish()

    assert sandbox.stays == []


@pytest.mark.parametrize("forbidden", [False, True])
def test_the_core_api_shows_a_customer_that_was_created(
    hyperline: FakeSandbox,
    find: Find,
    forbidden: bool,  # noqa: FBT001 - a case
) -> None:
    """Even if the event was not stored; a key may lack the scope to read it."""
    hyperline.behaviour["unknown customer"] = "not stored"
    with FakeCoreApi(hyperline=hyperline) as core:
        core.forbidden = {"/v2/customers"} if forbidden else set()
        core.add_customer("cus_0", CUSTOMER)
        sandbox = Sandbox(Endpoint(hyperline.url, KEY), core.url, CUSTOMER)
        customer = f"{sandbox.event_type}-customer"
        core.add_customer("cus_1", customer)

        assert find(sandbox, "unknown customer").found == "not stored"

    expected = (
        f"perhaps the customer {customer}" if forbidden else f"the customer {customer}"
    )
    assert [text.partition(",")[0] for text in sandbox.stays] == [expected]


def test_an_unknown_customer_is_noticed_before_it_is_created(
    hyperline: FakeSandbox, find: Find
) -> None:
    """The id could be mistyped."""
    with FakeCoreApi(hyperline=hyperline) as core:
        sandbox = Sandbox(Endpoint(hyperline.url, KEY), core.url, "mistyped")

        finding = find(sandbox, "null")

    assert finding.reason == "the sandbox has no customer with the id of --customer"
    assert not hyperline.writes


def test_an_id_of_hyperline_is_not_looked_up(
    hyperline: FakeSandbox, find: Find
) -> None:
    """The core API is asked by the owner's ids only."""
    hyperline.customers = {"cus_1"}
    with FakeCoreApi(hyperline=hyperline) as core:
        sandbox = Sandbox(Endpoint(hyperline.url, KEY), core.url, "cus_1")

        assert find(sandbox, "delay").found == "within 5 seconds"
        assert core.reads == []
        assert sandbox.stays == []


def test_a_large_body_can_break_the_connection(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """Then a smaller one is tried."""
    hyperline.most_bytes = 2_000_000

    assert find(sandbox, "largest body").found == "at least 1 MB"
