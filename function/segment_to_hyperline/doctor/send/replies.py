"""Read the response: what the Receiver says about the event, and what follows from it.

Pure: no network, no environment, no clock.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from segment_to_hyperline.hyperline.billable_event import Key
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.sending.responses import NoResponse, Response

_LABELS = tuple(dict.fromkeys(outcome.value.label for outcome in Outcome))


class Reply(NamedTuple):
    """The response of the Receiver, as far as it is about the event."""

    status: int
    label: str = ""
    """The label of the outcome; empty if the request was rejected as a whole."""
    code: str = ""
    """The code of the reason; empty if there is none."""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    """What should be corrected in the secret."""
    preview: Any = None
    """What the deployed mapping bills for a test event, if there is room for it."""


def read_reply(response: Response | NoResponse) -> Reply | None:
    """Return the response of the Receiver, or None if it is somebody else's."""
    if isinstance(response, NoResponse):
        return None
    content: Any = None
    with suppress(ValueError, RecursionError):
        content = json.loads(response.body)
    match content:
        case {"delivered": int(), "errors": [*errors]}:
            return _read_report(response.status, content, errors)
        case _:
            return None


def _read_report(status: int, content: dict[str, Any], errors: list[Any]) -> Reply:
    """Return what a report of the Receiver says about the only event."""
    label = next((name for name in _LABELS if content.get(name) == 1), "")
    error = errors[0] if errors and isinstance(errors[0], dict) else {}
    code, reason = map(str, (error.get("code", ""), error.get("reason", "")))
    found = content.get("warnings")
    warnings = tuple(map(str, found if isinstance(found, list) else ()))
    match content.get("preview"):
        case [{"billable_events": [*preview]}]:
            return Reply(status, label, code, reason, warnings, preview)
        case _:
            return Reply(status, label, code, reason, warnings)


def may_be_logged(response: Response | NoResponse) -> bool:
    """Return whether the Receiver can have logged the messageId.

    It logs no messageId if it rejects a request as a whole. A request that API Gateway
    rejects doesn't reach it.
    """
    if reply := read_reply(response):
        return bool(reply.label)
    return isinstance(response, NoResponse) or response.status >= 500


def may_be_stored(response: Response | NoResponse) -> bool:
    """Return whether Hyperline can have stored something of the event.

    A response that came too late doesn't say that nothing was delivered. A test event
    is previewed also if Hyperline doesn't accept it.
    """
    reply = read_reply(response)
    is_final = reply is not None and (
        reply.label == Outcome.FILTERED.value.label
        or reply.code == Code.TEST_EVENT
        or find_deployed(response) == {}
    )
    return may_be_logged(response) and not is_final


def find_deployed(response: Response | NoResponse) -> Mapping[Key, str] | None:
    """Return what the deployed mapping bills: the customers by the keys of the events.

    It is None if the response doesn't have it.
    """
    reply = read_reply(response)
    if reply is None or reply.preview is None:
        return None
    found: dict[Key, str] = {}
    for each in reply.preview:
        match each:
            case {
                "event_type": str(event_type),
                "customer_id": str(customer),
                "record": {"id": str(record_id)},
            }:
                found[Key(event_type, record_id)] = customer
            case _:
                return None
    return None if is_delivered(response) and not found else found


def is_delivered(response: Response | NoResponse) -> bool:
    """Return whether Hyperline accepted the event."""
    reply = read_reply(response)
    return reply is not None and reply.label == Outcome.DELIVERED.value.label
