"""Experiments with paths, headers, keys and bodies."""

from segment_to_hyperline.doctor.probe.experiment import Experiment
from segment_to_hyperline.doctor.probe.poster import Response
from segment_to_hyperline.doctor.probe.sandbox import (
    Sandbox,
    Undecided,
    encode,
)
from segment_to_hyperline.doctor.probe.stored import Event
from segment_to_hyperline.hyperline.facts import POST_PATHS
from segment_to_hyperline.reconciliation.api.failures import HyperlineUnavailable

_MISSING_PATH = frozenset((404, 405, 410))
_LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining")
_NO_SCOPE = frozenset((401, 403, 404))
_SIZES = {
    "at least 4 MB": 4_000_000,
    "at least 1 MB": 1_000_000,
    "at least 250 KB": 250_000,
}
_EVENT_BYTES = 4_000
_IN_ANOTHER_ACCOUNT = "--limited-key"


def find_paths(sandbox: Sandbox) -> str:
    """Post what is no event: where the path exists, it is invalid.

    The other experiments post to the first version that exists.
    """
    found = [version for version in POST_PATHS if _has_paths(sandbox, version)]
    if not found:
        return "neither"
    sandbox.version = found[0]
    return " and ".join(found)


def _has_paths(sandbox: Sandbox, version: str) -> bool:
    path, batch_path = POST_PATHS[version]
    responses = (
        sandbox.poster.post(path, b"{}"),
        sandbox.poster.post(batch_path, b"[]"),
    )
    if any(response.status == 403 for response in responses):
        raise Undecided(f"posts to the paths of {version} are forbidden (403)")
    return all(response.status not in _MISSING_PATH for response in responses)


def find_headers(sandbox: Sandbox) -> str:
    """Look for the documented headers in the response to what is no event."""
    headers = sandbox.poster.post(POST_PATHS[sandbox.version][0], b"{}").headers
    has_numbers = all(headers.get(name, "").isdecimal() for name in _LIMIT_HEADERS)
    return "X-RateLimit" if has_numbers else "none"


def find_scope(sandbox: Sandbox) -> str:
    """Post an event with the key that may not."""
    poster = sandbox.limited or sandbox.poster
    path = POST_PATHS[sandbox.version][0]
    event = sandbox.create_event()
    # The key can be that of another account, which `finish` doesn't delete in.
    sandbox.note(
        _IN_ANOTHER_ACCOUNT,
        f"perhaps the event {event['record']['id']} of the type"
        f" {sandbox.event_type}, and the customer {sandbox.customer}, in the account"
        " of --limited-key, if that is another one: delete the event there, and"
        " archive the customer if Hyperline created it",
    )
    response = poster.post(path, encode(event))
    if response.is_accepted:
        if sandbox.wait_for(event)[0]:
            sandbox.dismiss(_IN_ANOTHER_ACCOUNT)
        raise Undecided("the key of --limited-key may write billable events")
    sandbox.dismiss(_IN_ANOTHER_ACCOUNT)
    if response.status not in _NO_SCOPE:
        raise Undecided(f"the status is {response.status}")
    return str(response.status)


def find_largest_body(sandbox: Sandbox) -> str:
    """Post batches, each smaller than the one before, until one is accepted."""
    for answer, size in _SIZES.items():
        try:
            events = _create_batch(sandbox, size)
            response = sandbox.post_batch(events)
        except HyperlineUnavailable:
            continue  # a server can close the connection instead
        if response.is_accepted:
            _check_stored(sandbox, events, response)
            return answer
    return "less than 250 KB"


def _check_stored(sandbox: Sandbox, events: list[Event], response: Response) -> None:
    """Raise `Undecided` unless all *events* are stored."""
    if failed := response.count_failed():
        raise Undecided(f"{failed} of {len(events)} events are listed as failed")
    found = sandbox.count_settled(sandbox.large_type)
    if found != len(events):
        raise Undecided(f"{len(events)} events were accepted, and {found} can be read")


def _create_batch(sandbox: Sandbox, size: int) -> list[Event]:
    """Return events that take exactly *size* bytes together."""
    events = [
        sandbox.create_event({"text": ""}, event_type=sandbox.large_type)
        for _ in range(size // _EVENT_BYTES)
    ]
    left, rest = divmod(size - len(encode(events)), len(events))
    for number, event in enumerate(events):
        event["record"]["text"] = "x" * (left + (number < rest))
    return events


PATHS = Experiment("paths", 0, find_paths, needs_customer=False)
ACCESS = (
    Experiment("rate limit headers", 0, find_headers, needs_customer=False),
    Experiment("key without scope", 2, find_scope, needs_limited_key=True),
)
LARGEST_BODY = Experiment("largest body", 1_314, find_largest_body)
