"""What Hyperline's responses mean for the events that were posted.

Pure: no network, no environment, no clock.
"""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

from forwarder.hyperline.billable_event import Key
from forwarder.outcomes import Failure, Outcome

# For each event that was posted: None if it was delivered, otherwise why it was not.
type Deliveries = dict[Key, Failure | None]

_MAX_DETAIL_LENGTH = 500

_KEY_REJECTED = Failure(
    Outcome.PENDING,
    "Hyperline rejected the API key; put a valid one into the secret",
    key_rejected=True,
)
# By status, otherwise by its class (4xx is 400). The owner can fix a rejected key, so
# the event has to survive until then.
# https://docs.hyperline.co/developers/error-handling
_FAILURES = {
    300: Failure(
        Outcome.PENDING, "Hyperline redirected the request; check HYPERLINE_URL"
    ),
    400: Failure(Outcome.QUARANTINED, "Hyperline rejected the event"),
    401: _KEY_REJECTED,
    403: _KEY_REJECTED,
    408: Failure(Outcome.PENDING, "Hyperline timed out waiting for the request"),
    429: Failure(Outcome.THROTTLED, "Hyperline's rate limit is exceeded"),
    500: Failure(Outcome.PENDING, "Hyperline failed"),
}
_UNKNOWN_STATUS = Failure(Outcome.PENDING, "Hyperline returned an unknown HTTP status")

_FAILED = Failure(
    Outcome.QUARANTINED, "Hyperline listed the event in events_failed, without a reason"
)
_FAILED_UNNAMED = Failure(
    Outcome.QUARANTINED, "Hyperline listed unknown events in events_failed"
)
_UNCONFIRMED = Failure(
    Outcome.QUARANTINED, "Hyperline did not confirm the events of a batch"
)
# What the body of a successful batch must contain; v2 has another name for it. Whether
# events that are overwritten are listed as created isn't documented, so only
# events_failed is compared with what was posted.
# https://docs.hyperline.co/api-reference/endpoints/billable-events/ingest-billable-events
_BATCH_FIELDS = {"events_created", "events_accepted", "events_failed"}


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, posted: AbstractSet[Key]
) -> Deliveries | Failure:
    """Return what a response means for each of the *posted* events.

    A single `Failure` applies to all of them.
    """
    content = _parse_object(body)
    if not 200 <= status < 300:
        detail = str(content.get("message", ""))[:_MAX_DETAIL_LENGTH]
        retry_after = parse_seconds(headers.get("Retry-After", ""))
        return _find_failure(status)._replace(detail=detail, retry_after=retry_after)
    if len(posted) > 1 and not _BATCH_FIELDS & content.keys():
        return _UNCONFIRMED
    failed = _read_failed(content)
    if not failed <= posted:
        return _FAILED_UNNAMED
    return {key: _FAILED if key in failed else None for key in posted}


def _find_failure(status: int) -> Failure:
    status_class = status // 100 * 100
    failure = _FAILURES.get(status) or _FAILURES.get(status_class, _UNKNOWN_STATUS)
    return failure._replace(reason=f"{failure.reason} ({status})")


def parse_seconds(text: str) -> float:
    """Return the seconds of a Retry-After header; 0 for any other value."""
    # https://docs.hyperline.co/developers/rate-limiting
    with suppress(ValueError):
        return max(0, int(text))
    return 0


def _read_failed(content: dict[str, Any]) -> set[Key | None]:
    """Return the keys in `events_failed`; None stands for one that can't be read."""
    failed = content.get("events_failed") or []
    return set(map(_read_key, failed)) if isinstance(failed, list) else {None}


def _read_key(event: Any) -> Key | None:
    match event:
        case {"event_type": str(event_type), "record": {"id": str(record_id)}}:
            return Key(event_type, record_id)
        case _:
            return None


def _parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*, or an empty one: a body is not required."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
