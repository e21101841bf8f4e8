"""An experiment has an answer only if what is stored proves it."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from local_stack.fake_api import FakeResponse
from segment_to_hyperline.doctor.probe.run import UNKNOWN
from segment_to_hyperline.doctor.probe.sandbox import Sandbox
from tests.segment_to_hyperline.doctor.probe.conftest import FakeSandbox, Find

type Respond = Callable[[list[Any], list[Any], str], FakeResponse]


def list_events(
    created: Sequence[Any] = (), failed: Sequence[Any] = ()
) -> FakeResponse:
    """Return the response to a batch."""
    content = {"events_created": created, "events_failed": failed}
    return FakeResponse(201, json.dumps(content).encode())


def show_others(created: list[Any], _failed: list[Any], _version: str) -> FakeResponse:
    """Name the events in a form that isn't documented."""
    return list_events([{"record_id": event["record"]["id"]} for event in created])


def show_ids(created: list[Any], _failed: list[Any], _version: str) -> FakeResponse:
    """Name the events by their ids only."""
    return list_events([event["record"]["id"] for event in created])


def fail_all(created: list[Any], _failed: list[Any], _version: str) -> FakeResponse:
    """List all events as failed."""
    return list_events(failed=created)


@pytest.mark.parametrize("respond", [show_others, show_ids])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bad event in a batch", "the response doesn't say what happened to the event"),
        (
            "response to a batch",
            "events_created doesn't name the events as documented",
        ),
    ],
)
def test_events_in_another_form_decide_nothing(
    hyperline: FakeSandbox,
    sandbox: Sandbox,
    find: Find,
    monkeypatch: pytest.MonkeyPatch,
    respond: Respond,
    name: str,
    reason: str,
) -> None:
    """What the list of a batch contains is documented as echoed events only."""
    hyperline.behaviour["bad event in a batch"] = "left out"
    monkeypatch.setattr(hyperline, "_respond_to_batch", respond)

    finding = find(sandbox, name)

    assert (finding.found, finding.reason) == (UNKNOWN, reason)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("largest body", "1000 of 1000 events are listed as failed"),
        ("response to a batch", "a batch of ordinary events is rejected (201)"),
    ],
)
def test_a_batch_whose_events_failed_was_not_accepted(
    hyperline: FakeSandbox,
    sandbox: Sandbox,
    find: Find,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    reason: str,
) -> None:
    """Whatever the status is."""
    monkeypatch.setattr(hyperline, "_respond_to_batch", fail_all)

    finding = find(sandbox, name)

    assert (finding.found, finding.reason) == (UNKNOWN, reason)


@pytest.mark.parametrize(
    ("name", "behaviour", "reason"),
    [
        ("two event types", "accepted", "2 events were accepted, and 1 can be read"),
        ("largest body", "", "1000 events were accepted, and 999 can be read"),
        ("bad event in a batch", "left out", "1 of the 3 events can be read"),
        ("bad event in a batch", "listed as failed", "1 of the 3 events can be read"),
        ("bad event in a batch", "the others are stored", "1 of the 3 events can be"),
    ],
)
def test_an_event_that_was_dropped_is_noticed(
    hyperline: FakeSandbox,
    sandbox: Sandbox,
    find: Find,
    name: str,
    behaviour: str,
    reason: str,
) -> None:
    """Hyperline accepts a batch, and stores all but the last of its events."""
    if behaviour:
        hyperline.behaviour[name] = behaviour
    store, route = hyperline.store, hyperline.route

    def drop(request: Any) -> FakeResponse:
        response = route(request)
        is_batch = request.method == "POST" and request.path.endswith("/batch")
        if is_batch and (sent := json.loads(request.body)):
            store.pop((sent[-1]["event_type"], sent[-1]["record"]["id"]), None)
            hyperline.rows.forget()
        return response

    hyperline.route = drop  # type: ignore[method-assign] # what Hyperline does

    finding = find(sandbox, name)

    assert finding.found == UNKNOWN
    assert finding.reason.startswith(reason)


def test_an_event_that_is_rejected_has_no_response_to_an_event(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """The body is that of an error."""
    hyperline.responses[2] = FakeResponse(422, b'{"message":"no"}')

    finding = find(sandbox, "response to an event")

    assert finding.reason == "an ordinary event is rejected (422)"


def test_a_repeated_id_that_is_listed_as_failed_is_rejected(
    hyperline: FakeSandbox, sandbox: Sandbox, find: Find
) -> None:
    """As with a 4xx, the event goes to Quarantine."""
    hyperline.responses[3] = list_events(failed=[{}])

    assert find(sandbox, "repeated id").found == "rejected"
