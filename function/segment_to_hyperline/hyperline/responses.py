"""What Hyperline's responses mean for the events that were posted."""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any, NamedTuple

from segment_to_hyperline.hyperline.billable_event import Key
from segment_to_hyperline.hyperline.failures import Failure, Failures, Kind
from segment_to_hyperline.reasons import Code

_MAX_DETAIL_LENGTH = 500

_REJECTED = Failure(Kind.REJECTED, Code.EVENT_REJECTED, "Hyperline rejected the event")
_PERHAPS_REJECTED = Failure(
    Kind.UNAVAILABLE,
    Code.REQUEST_REJECTED,
    "Hyperline rejected the event, but has accepted no other lately",
)
_KEY_REJECTED = Failure(
    Kind.KEY_REJECTED,
    Code.KEY_REJECTED,
    "Hyperline rejected the API key; put a valid one into the secret",
)
# AWS's API Gateway and firewall also respond with {"message": "Forbidden"}.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
_FORBIDDEN = Failure(
    Kind.UNAVAILABLE,
    Code.FORBIDDEN,
    "Hyperline or a firewall rejected the request, but accepts others",
)
_THROTTLED = Failure(
    Kind.THROTTLED, Code.THROTTLED, "Hyperline's rate limit is exceeded"
)
_FAILED = Failure(Kind.UNAVAILABLE, Code.HYPERLINE_FAILED, "Hyperline failed")
_REDIRECTED = Failure(
    Kind.UNAVAILABLE,
    Code.REDIRECTED,
    "Hyperline redirected the request; check HYPERLINE_URL",
)
_TIMED_OUT = Failure(
    Kind.UNAVAILABLE,
    Code.HYPERLINE_FAILED,
    "Hyperline timed out waiting for the request",
)
_UNKNOWN_STATUS = Failure(
    Kind.UNAVAILABLE,
    Code.UNKNOWN_STATUS,
    "Hyperline returned an unknown HTTP status",
)
_FOREIGN = Failure(
    Kind.UNAVAILABLE,
    Code.FOREIGN_RESPONSE,
    "the response is not Hyperline's, but for example a proxy's",
)

_LISTED = Failure(
    Kind.REJECTED,
    Code.EVENT_FAILED,
    "Hyperline listed the event in events_failed, without a reason",
)
# The event of a batch that the response doesn't name. Posted alone, a 2xx confirms it.
UNCONFIRMED = Failure(
    Kind.UNFINISHED,
    Code.UNCONFIRMED,
    "Hyperline's response to the batch does not name the event",
)


class _Meaning(NamedTuple):
    """What a status means with an error of Hyperline's, and with any other body.

    The other bodies are those of a proxy, a firewall or a maintenance page, which say
    nothing about the event.
    """

    hyperline: Failure
    other: Failure


_REJECTION = _Meaning(_REJECTED, _FOREIGN)
# The path or the method, for example, can be wrong for every event; so this is about
# the event only if other events are accepted (_WHILE_OTHERS_ARE_ACCEPTED).
_POSSIBLE_REJECTION = _Meaning(_PERHAPS_REJECTED, _FOREIGN)

# By status, otherwise by its class (4xx is 400 to 499). Every other 4xx concerns the
# request, the route or the account, and not the event.
# https://docs.hyperline.co/developers/error-handling
_MEANINGS = {
    400: _REJECTION,
    401: _Meaning(_KEY_REJECTED, _KEY_REJECTED),
    403: _Meaning(_KEY_REJECTED, _FOREIGN),
    404: _POSSIBLE_REJECTION,
    408: _Meaning(_TIMED_OUT, _TIMED_OUT),
    409: _POSSIBLE_REJECTION,
    410: _POSSIBLE_REJECTION,
    413: _REJECTION,
    422: _REJECTION,
    429: _Meaning(_THROTTLED, _THROTTLED),
}
_CLASSES = {
    3: _Meaning(_REDIRECTED, _REDIRECTED),
    4: _Meaning(_FAILED, _FOREIGN),
    5: _Meaning(_FAILED, _FAILED),
}
_UNKNOWN = _Meaning(_UNKNOWN_STATUS, _UNKNOWN_STATUS)
# What an error of Hyperline's means instead while other events are accepted, by status.
_WHILE_OTHERS_ARE_ACCEPTED = {
    **dict.fromkeys((404, 409, 410), _REJECTED),
    403: _FORBIDDEN,
}

# The lists of events in the response to a batch; v2 has another name for the first.
# https://docs.hyperline.co/api-reference/endpoints/billable-events/ingest-billable-events
_ACCEPTED_LISTS = ("events_created", "events_accepted")
_FAILED_LISTS = ("events_failed",)


def read_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    posted: AbstractSet[Key],
    *,
    accepts_others: bool,
) -> Failures | Failure:
    """Return what a response means for each of the *posted* events.

    A single `Failure` applies to all of them. *accepts_others* is whether Hyperline has
    accepted another post lately.
    """
    content = _parse_object(body) if body else None
    if not 200 <= status < 300:
        return _read_failure(status, headers, content, accepts_others=accepts_others)
    if not body.strip():
        # This is how Hyperline responds to single events.
        is_confirmed = len(posted) == 1 or _is_complete(status, headers)
        return dict.fromkeys(posted, None if is_confirmed else UNCONFIRMED)
    if content is None or content.get("error") or content.get("errors"):
        return _FOREIGN._replace(reason=f"{_FOREIGN.reason} ({status})")
    failed = _read_keys(content, _FAILED_LISTS)
    if len(posted) == 1:
        is_failed = not failed.isdisjoint({*posted, None})
        return dict.fromkeys(posted, _LISTED if is_failed else None)
    named = dict.fromkeys(_read_keys(content, _ACCEPTED_LISTS))
    named |= dict.fromkeys(failed, _LISTED)
    return {key: named.get(key, UNCONFIRMED) for key in posted}


def _read_failure(
    status: int,
    headers: Mapping[str, str],
    content: Mapping[str, Any] | None,
    *,
    accepts_others: bool,
) -> Failure:
    meaning = _MEANINGS.get(status) or _CLASSES.get(status // 100, _UNKNOWN)
    # https://docs.hyperline.co/developers/error-handling
    is_hyperline = content is not None and "message" in content
    failure = meaning.hyperline if is_hyperline else meaning.other
    if is_hyperline and accepts_others:
        failure = _WHILE_OTHERS_ARE_ACCEPTED.get(status, failure)
    message = content["message"] if content is not None and is_hyperline else ""
    return failure._replace(
        reason=f"{failure.reason} ({status})",
        detail=str(message)[:_MAX_DETAIL_LENGTH],
        retry_after=parse_seconds(headers.get("Retry-After", "")),
    )


def parse_seconds(text: str) -> float:
    """Return the seconds of a Retry-After header; 0 for any other value."""
    # https://docs.hyperline.co/developers/rate-limiting
    with suppress(ValueError):
        return max(0, int(text))
    return 0


def _is_complete(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether an empty body is one, and not the beginning of a lost one."""
    # https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length
    has_length = "Content-Length" in headers or "Transfer-Encoding" in headers
    return has_length or status == 204


def _read_keys(
    content: Mapping[str, Any], names: tuple[str, ...]
) -> set[tuple[str, str] | None]:
    """Return the keys of the listed events; None stands for one that can't be read.

    They are equal to `Key`, which takes longer to create.
    """
    keys: set[tuple[str, str] | None] = set()
    for name in names:
        listed = content.get(name) or []
        keys |= set(map(_read_key, listed)) if isinstance(listed, list) else {None}
    return keys


def _read_key(event: Any) -> tuple[str, str] | None:
    try:
        event_type, record_id = event["event_type"], event["record"]["id"]
    except (KeyError, TypeError):
        return None
    is_key = isinstance(event_type, str) and isinstance(record_id, str)
    return (event_type, record_id) if is_key else None


def _parse_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in *body*, or None if it is anything else."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
