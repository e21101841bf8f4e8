"""Experiments with responses and batches."""

from segment_to_hyperline.doctor.probe.experiment import Experiment
from segment_to_hyperline.doctor.probe.sandbox import Sandbox, Undecided


def find_response(sandbox: Sandbox) -> str:
    """Post an event alone."""
    response = sandbox.post(sandbox.create_event())
    if not response.is_stored:
        raise Undecided(f"an ordinary event is rejected ({response.status})")
    if not response.body.strip():
        return "empty"
    return "an object" if isinstance(response.content, dict) else "something else"


def find_batch_response(sandbox: Sandbox) -> str:
    """Post two events together."""
    events = [sandbox.create_event() for _ in range(2)]
    response = sandbox.post_batch(events)
    if not response.is_stored:
        raise Undecided(f"a batch of ordinary events is rejected ({response.status})")
    if not response.body.strip():
        return "empty"
    if not isinstance(response.content, dict):
        return "something else"
    for name in ("events_created", "events_accepted"):
        if name in response.content:
            if not {each["record"]["id"] for each in events} <= {
                *response.list_named()
            }:
                raise Undecided(f"{name} doesn't name the events as documented")
            return name
    return "not at all"


def find_two_types(sandbox: Sandbox) -> str:
    """Post two events of different types together."""
    first = sandbox.create_event()
    other = sandbox.create_event(event_type=sandbox.other_type)
    response = sandbox.post_batch([first, other])
    if not response.is_accepted:
        return "rejected"
    if response.count_failed():
        return "listed as failed"
    found = len(sandbox.read_settled(first)) + len(sandbox.read(other))
    if found != len((first, other)):
        raise Undecided(f"2 events were accepted, and {found} can be read")
    return "accepted"


def find_bad_event(sandbox: Sandbox) -> str:
    """Post an event without a time between two others."""
    first, bad, last = (sandbox.create_event() for _ in range(3))
    del bad["timestamp"]
    response = sandbox.post_batch([first, bad, last])
    named = response.list_named()
    failed = response.count_failed()
    is_shown = bool(failed or named) and bad["record"]["id"] not in named
    if response.is_accepted and not is_shown:
        raise Undecided("the response doesn't say what happened to the event")
    stored = [row["record_id"] for row in sandbox.read_settled(first, bad, last)]
    if not response.is_accepted and not stored:
        return "the batch is rejected"
    if {*stored} != {first["record"]["id"], last["record"]["id"]}:
        raise Undecided(f"{len(stored)} of the 3 events can be read")
    if not response.is_accepted:
        return "the others are stored"
    return "listed as failed" if failed else "left out"


BATCHES = (
    Experiment("response to an event", 2, find_response),
    Experiment("response to a batch", 3, find_batch_response),
    Experiment("two event types", 4, find_two_types),
    Experiment("bad event in a batch", 5, find_bad_event),
)
