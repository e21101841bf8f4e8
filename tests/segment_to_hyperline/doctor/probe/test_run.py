"""The probe asks first, touches nothing but its own events, and cleans up."""

import json
import time
from collections.abc import Callable

import pytest

from local_stack.fake_api import KEY, FakeResponse
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.doctor.probe.run import NOT_TRIED, UNKNOWN, run
from segment_to_hyperline.doctor.probe.sandbox import PREFIX, Sandbox
from segment_to_hyperline.hyperline.facts import HOSTS
from segment_to_hyperline.hyperline.url import Endpoint
from segment_to_hyperline.reconciliation.api.failures import AccessError, Forbidden
from tests.segment_to_hyperline.doctor.probe.conftest import (
    CUSTOMER,
    LIMITED_KEY,
    FakeSandbox,
    Find,
)
from tests.segment_to_hyperline.doctor.probe.test_experiments import PAIRS

EMPTY_PAGE = FakeResponse(200, b'{"meta":{"total":0},"data":[]}')
FORBIDDEN = FakeResponse(403, b'{"message":"Forbidden"}')


def answer(asked: list[str], *, yes: bool) -> Callable[[str], bool]:
    """Return a function that answers every question, and adds it to *asked*."""

    def confirm(question: str) -> bool:
        asked.append(question)
        return yes

    return confirm


@pytest.mark.parametrize(
    ("key", "limited_key", "problem"),
    [
        ("prod_1", None, "the probe writes events, so it needs a key of the sandbox"),
        ("other", None, "the probe writes events, so it needs a key of the sandbox"),
        (KEY, "prod_1", "--limited-key must be a key of the sandbox"),
        (KEY, "other", "--limited-key must be a key of the sandbox"),
    ],
)
def test_a_key_of_production_is_not_used(
    hyperline: FakeSandbox, key: str, limited_key: str | None, problem: str
) -> None:
    """Neither one with an unknown prefix, which can be one."""
    with pytest.raises(InputError, match=problem):
        Sandbox(Endpoint(hyperline.url, key), None, CUSTOMER, limited_key)

    assert [*hyperline.reads, *hyperline.requests] == []


def test_the_host_of_production_is_not_used() -> None:
    """It would reject the key; nothing is sent there."""
    with pytest.raises(InputError, match="needs a key of the sandbox"):
        Sandbox(Endpoint(HOSTS["prod_"], KEY))


def test_what_is_declined_sends_nothing(
    hyperline: FakeSandbox, sandbox: Sandbox
) -> None:
    """Not even a request that only reads."""
    findings = run(sandbox, lambda _: False)

    assert {each.found for each in findings} == {NOT_TRIED}
    assert {each.reason for each in findings} == {"declined"}
    assert [*hyperline.reads, *hyperline.requests] == []


def test_without_options_few_experiments_are_possible(hyperline: FakeSandbox) -> None:
    """Nothing is asked about the others."""
    asked: list[str] = []
    sandbox = Sandbox(Endpoint(hyperline.url, KEY))

    findings = run(sandbox, answer(asked, yes=True))

    tried = {each.assumption.name for each in findings if each.found != NOT_TRIED}
    assert tried == {"paths", "rate limit headers", "unknown customer"}
    assert len(asked) == len(tried)
    reasons = {each.assumption.name: each.reason for each in findings}
    assert reasons["null"] == "needs --customer"
    assert reasons["key without scope"] == "needs --limited-key"


def test_every_question_says_what_is_written(sandbox: Sandbox) -> None:
    """So that nobody agrees to more than they know."""
    asked: list[str] = []

    run(sandbox, answer(asked, yes=False))

    assert all("? It writes " in question for question in asked)
    assert asked[0] == (
        "paths: Which versions of the paths for posts exist? It writes nothing. Try it?"
    )


def test_only_events_of_its_own_are_written_and_deleted(
    hyperline: FakeSandbox, sandbox: Sandbox
) -> None:
    """They are deleted by their ids, and by nothing else."""
    run(sandbox, lambda _: True)

    written = {key for key in hyperline.writes if not key[1].startswith(PREFIX)}
    assert written == set()
    assert all(event_type.startswith(PREFIX) for event_type, _ in hyperline.writes)
    deletions = [json.loads(r.body) for r in hyperline.requests if r.method == "DELETE"]
    assert {content["matching"] for content in deletions} == {"record_ids"}
    ids = {record_id for content in deletions for record_id in content["record_ids"]}
    assert all(record_id.startswith(PREFIX) for record_id in ids)
    assert {key[1] for key in hyperline.writes} <= ids


def test_requests_are_few_and_spaced(hyperline: FakeSandbox, sandbox: Sandbox) -> None:
    """A run takes less than two minutes, if stored events can be read soon."""
    began = time.monotonic()

    run(sandbox, lambda _: True)

    requests = len(hyperline.reads) + len(hyperline.requests)
    assert requests < 150
    assert requests / 5 <= time.monotonic() - began < 120


def test_a_run_takes_few_minutes_at_most(
    hyperline: FakeSandbox, sandbox: Sandbox
) -> None:
    """A minute is waited for an event only once."""
    hyperline.behaviour["delay"] = "later"
    began = time.monotonic()

    run(sandbox, lambda _: True)

    assert time.monotonic() - began < 180


@pytest.mark.parametrize("number", range(1, 85, 3))
def test_an_interruption_leaves_nothing(
    hyperline: FakeSandbox,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """Wherever Ctrl-C is pressed, or it is reported; here, during this pause."""
    before, pauses, pause = dict(hyperline.store), [0], time.sleep

    def interrupt(seconds: float) -> None:
        pauses[0] += 1
        if pauses[0] == number:
            raise KeyboardInterrupt
        pause(seconds)

    monkeypatch.setattr(time, "sleep", interrupt)

    with pytest.raises(KeyboardInterrupt):
        run(sandbox, lambda _: True)

    assert hyperline.store == before
    customer = f"perhaps the customer {sandbox.event_type}-customer"
    stays = [text for text in sandbox.stays if not text.startswith(customer)]
    assert all(text.endswith("interrupted") for text in stays)


def test_a_second_interruption_is_reported(
    hyperline: FakeSandbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it isn't known whether everything is deleted."""
    pause = time.sleep

    def interrupt(seconds: float) -> None:
        if hyperline.writes:
            raise KeyboardInterrupt
        pause(seconds)

    monkeypatch.setattr(time, "sleep", interrupt)

    with pytest.raises(KeyboardInterrupt):
        run(sandbox, lambda _: True)

    (text,) = sandbox.stays
    assert text.startswith(
        f"perhaps events whose type begins with {sandbox.event_type}"
    )
    assert text.endswith("interrupted")


@pytest.mark.parametrize(("name", "answer"), PAIRS)
def test_an_interruption_leaves_nothing_whatever_the_answer(
    hyperline: FakeSandbox,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    answer: str,
) -> None:
    """In the middle of the experiment; a customer that was created can stay."""
    hyperline.behaviour[name] = answer
    before = dict(hyperline.store)
    writes, pause = sum(map(len, hyperline.writes.values())), time.sleep
    is_interrupted = False

    def interrupt(seconds: float) -> None:
        nonlocal is_interrupted
        is_written = sum(map(len, hyperline.writes.values())) > writes
        if is_written and not is_interrupted:
            is_interrupted = True
            raise KeyboardInterrupt
        pause(seconds)

    monkeypatch.setattr(time, "sleep", interrupt)

    try:
        run(sandbox, lambda question: question.startswith(f"{name}: "))
    except KeyboardInterrupt:
        assert is_interrupted

    assert hyperline.store == before


def test_a_key_that_may_not_delete_writes_nothing(
    hyperline: FakeSandbox, sandbox: Sandbox
) -> None:
    """What is written could not be cleaned up."""
    hyperline.respond(EMPTY_PAGE, FORBIDDEN)

    with pytest.raises(Forbidden, match=r"no permission .* to delete billable"):
        run(sandbox, lambda _: True)

    assert [request.method for request in hyperline.requests] == ["DELETE"]
    assert not hyperline.writes


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (FakeResponse(401), r"Hyperline rejected the API key \(401\)"),
        (
            FakeResponse(403, b"<html>", headers={"Content-Type": "text/html"}),
            r"the response is a web page \(403\)",
        ),
        (FakeResponse(200, b"[]"), "the response isn't as documented"),
        (FakeResponse(200, b'{"meta":{}}'), "the response isn't as documented"),
        (
            FakeResponse(302, b"", headers={"Location": "https://example.com"}),
            "the response has the status 302",
        ),
    ],
)
def test_another_host_is_noticed_before_anything_is_written(
    hyperline: FakeSandbox, sandbox: Sandbox, response: FakeResponse, problem: str
) -> None:
    """One sentence says what to check; a redirect is not followed."""
    hyperline.outage = response

    with pytest.raises(AccessError, match=problem):
        run(sandbox, lambda _: True)

    assert hyperline.requests == []


def test_a_host_that_fails_is_unknown(hyperline: FakeSandbox, find: Find) -> None:
    """An experiment ends after some attempts, with the reason."""
    sandbox = Sandbox(Endpoint(hyperline.url, KEY), None, CUSTOMER)
    hyperline.outage = FakeResponse(503)

    finding = find(sandbox, "null")

    assert finding.found == UNKNOWN
    assert "server error (503)" in finding.reason
    assert not finding.works


def test_an_answer_that_needs_nothing_works(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """Also if it isn't the assumed one."""
    hyperline.behaviour |= {"null": "accepted", "delay": "within a minute"}

    assert find(sandbox, "null").works
    assert not find(sandbox, "delay").works


def test_rows_of_others_are_not_used(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """Hyperline returns them if it ignores a parameter."""
    page = {"meta": {"total": 1}, "data": [{"record_id": "m-1"}]}
    other = FakeResponse(200, json.dumps(page).encode())
    accepted = FakeResponse(202, b"")
    hyperline.respond(EMPTY_PAGE, FakeResponse(200, b"1"), accepted, accepted)
    hyperline.respond(*[other] * 3)

    with pytest.raises(AccessError, match="other rows than those"):
        find(sandbox, "delay")


def test_a_page_that_is_not_as_documented_decides_nothing(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """It can be a gateway's."""
    accepted = FakeResponse(202, b"")
    hyperline.respond(EMPTY_PAGE, FakeResponse(200, b"1"), accepted, accepted)
    hyperline.respond(*[FakeResponse(200, b'{"data":[1]}')] * 9)

    finding = find(sandbox, "delay")

    assert finding.found == UNKNOWN
    assert "the response isn't as documented" in finding.reason


def test_what_can_not_be_deleted_is_reported(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """With its type, by which it can be found."""

    def store_again() -> None:
        body = json.dumps({"timestamp": "2026-01-16T09:30:59Z", "record": {}})
        event = json.loads(body) | {"customer_id": CUSTOMER}
        key = sandbox.event_type, f"{sandbox.event_type}-0"
        hyperline.store[key] = json.dumps(event).encode()
        hyperline.rows.forget()

    hyperline.rows.before_read = store_again

    find(sandbox, "response to an event")

    assert sandbox.stays == [f"events of the type {sandbox.event_type} (1)"]


def test_what_is_stored_late_is_deleted_late(
    hyperline: FakeSandbox, sandbox: Sandbox
) -> None:
    """Hyperline may process a post only after a deletion that came later."""
    before = dict(hyperline.store)
    hyperline.deletes_hidden = False
    hyperline.behaviour["delay"] = "within a minute"

    run(sandbox, lambda _: True)

    assert hyperline.store == before
    assert sandbox.stays == []


def test_what_is_stored_too_late_is_reported(
    hyperline: FakeSandbox, sandbox: Sandbox
) -> None:
    """With its type, so that a person can look for it."""
    hyperline.deletes_hidden = False
    hyperline.behaviour["delay"] = "later"

    run(sandbox, lambda _: True)

    (text,) = sandbox.stays
    assert text.startswith(
        f"perhaps events whose type begins with {sandbox.event_type}: they"
    )


def test_a_deletion_that_fails_is_reported(
    hyperline: FakeSandbox, sandbox: Sandbox
) -> None:
    """The other findings are not lost."""

    def confirm(question: str) -> bool:
        if question.startswith("equal times"):
            hyperline.outage = FakeResponse(503)
        return question.startswith("delay")

    findings = run(sandbox, confirm)

    assert findings[1].found == "within 5 seconds"
    (text,) = sandbox.stays
    assert text.startswith(
        f"perhaps events whose type begins with {sandbox.event_type}: it"
    )


def test_the_limited_key_is_sent_to_the_same_host_only(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """And with a post only."""
    find(sandbox, "key without scope")

    used = [r for r in hyperline.requests if r.authorization.endswith(LIMITED_KEY)]
    assert [(request.method, request.path) for request in used] == [
        ("POST", "/v1/events")
    ]
