"""Experiments with responses and batches."""

from segment_to_hyperline.doctor.probe.experiment import Experiment
from segment_to_hyperline.doctor.probe.sandbox import Sandbox, Undecided


def find_response(sandbox: Sandbox) -> str:
    """Post an event alone."""
    response = sandbox.post(sandbox.create_event())
    if not response.body.strip():
        return "empty"
    return "an object" if isinstance(response.content, dict) else "something else"


def find_batch_response(sandbox: Sandbox) -> str:
    """Post two events together."""
    events = [sandbox.create_event() for _ in range(2)]
    response = sandbox.post_batch(events)
    if not response.is_accepted:
        raise Undecided(f"a batch of ordinary events is rejected ({response.status})")
    if not response.body.strip():
        return "empty"
    if not isinstance(response.content, dict):
        return "something else"
    for name in ("events_created", "events_accepted"):
        if name in response.content:
            return name
    return "not at all"


def find_two_types(sandbox: Sandbox) -> str:
    """Post two events of different types together."""
    other = sandbox.create_event(event_type=sandbox.other_type)
    response = sandbox.post_batch([sandbox.create_event(), other])
    if not response.is_accepted:
        return "rejected"
    return "listed as failed" if response.count_failed() else "accepted"


def find_bad_event(sandbox: Sandbox) -> str:
    """Post an event without a time between two others."""
    first, bad, last = (sandbox.create_event() for _ in range(3))
    del bad["timestamp"]
    response = sandbox.post_batch([first, bad, last])
    if not response.is_accepted:
        rows = sandbox.read_settled(first, last)
        return "the others are stored" if rows else "the batch is rejected"
    if response.count_failed():
        return "listed as failed"
    named = response.list_named()
    if not named or bad["record"]["id"] in named:
        raise Undecided("the response doesn't say what happened to the event")
    return "left out"


BATCHES = (
    Experiment("response to an event", 2, find_response),
    Experiment("response to a batch", 3, find_batch_response),
    Experiment("two event types", 3, find_two_types),
    Experiment("bad event in a batch", 5, find_bad_event),
)
