"""Hyperline's responses: what they mean for the events that were posted."""

import json
from typing import Any

import pytest

from forwarder.hyperline.billable_event import Key
from forwarder.hyperline.responses import read_response
from forwarder.outcomes import Failure, Outcome

FIRST, SECOND = Key("Seats Added", "m-1"), Key("Seats Added", "m-2")
POSTED = {FIRST, SECOND}
REDIRECTED = "Hyperline redirected the request; check HYPERLINE_URL"
REJECTED = "Hyperline rejected the event"
KEY_REJECTED = "Hyperline rejected the API key; put a valid one into the secret"
FAILED = "Hyperline failed"
UNKNOWN = "Hyperline returned an unknown HTTP status"


def read_failure(status: int, body: bytes = b"") -> Failure:
    """Return the failure that a response means for all events."""
    failure = read_response(status, {}, body, POSTED)
    assert isinstance(failure, Failure)
    return failure


def name(key: Key) -> dict[str, Any]:
    """Return an event of `events_failed`, with the fields that identify it."""
    return {"event_type": key.event_type, "record": {"id": key.record_id}}


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"rubbish",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b"[" * 99_999,
        b'{"message":"accepted"}',
        b'{"events_failed":[]}',
        b'{"events_failed":null}',
    ],
)
def test_every_status_2xx_for_one_event_is_a_success(status: int, body: bytes) -> None:
    """Hyperline has returned 201 and 202, with and without a body."""
    assert read_response(status, {}, body, {FIRST}) == {FIRST: None}


@pytest.mark.parametrize(
    "field", ["events_created", "events_accepted", "events_failed"]
)
@pytest.mark.parametrize("value", [b"[]", b"null"])
def test_a_batch_is_confirmed_by_the_documented_object(
    field: str, value: bytes
) -> None:
    """Both versions of the documentation are accepted."""
    body = b'{"' + field.encode() + b'":' + value + b"}"

    assert read_response(201, {}, body, POSTED) == {FIRST: None, SECOND: None}


@pytest.mark.parametrize(
    "body", [b"", b"rubbish", b"\xff", b"null", b"[]", b"{}", b'{"message":"accepted"}']
)
def test_a_batch_is_not_confirmed_by_another_body(body: bytes) -> None:
    """Rejected events could have been listed in the part that is missing."""
    failure = read_response(201, {}, body, POSTED)

    assert failure == Failure(
        Outcome.QUARANTINED, "Hyperline did not confirm the events of a batch"
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 60 ", 60),
        ("0", 0),
        ("", 0),
        ("-5", 0),
        ("nonsense", 0),
        ("1e400", 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
    ],
)
def test_retry_after_is_read_in_seconds(value: str, seconds: float) -> None:
    """Hyperline documents seconds; any other value is ignored."""
    failure = read_response(429, {"Retry-After": value}, b"", POSTED)

    assert isinstance(failure, Failure)
    assert failure.retry_after == seconds


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (100, Outcome.PENDING, UNKNOWN),
        (199, Outcome.PENDING, UNKNOWN),
        (300, Outcome.PENDING, REDIRECTED),
        (301, Outcome.PENDING, REDIRECTED),
        (302, Outcome.PENDING, REDIRECTED),
        (304, Outcome.PENDING, REDIRECTED),
        (400, Outcome.QUARANTINED, REJECTED),
        (401, Outcome.PENDING, KEY_REJECTED),
        (403, Outcome.PENDING, KEY_REJECTED),
        (404, Outcome.QUARANTINED, REJECTED),
        (408, Outcome.PENDING, "Hyperline timed out waiting for the request"),
        (409, Outcome.QUARANTINED, REJECTED),
        (413, Outcome.QUARANTINED, REJECTED),
        (422, Outcome.QUARANTINED, REJECTED),
        (429, Outcome.THROTTLED, "Hyperline's rate limit is exceeded"),
        (500, Outcome.PENDING, FAILED),
        (501, Outcome.PENDING, FAILED),
        (503, Outcome.PENDING, FAILED),
        (599, Outcome.PENDING, FAILED),
        (600, Outcome.PENDING, UNKNOWN),
        (999, Outcome.PENDING, UNKNOWN),
    ],
)
def test_every_other_status_is_a_failure(
    status: int, outcome: Outcome, reason: str
) -> None:
    """The reason contains the status, which decides the outcome."""
    failure = read_failure(status)

    assert failure.outcome is outcome
    assert failure.reason == f"{reason} ({status})"
    assert failure.key_rejected == (status in {401, 403})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"message":"customer jane@example.com does not exist"}', "customer jane@"),
        (b'{"message":1}', "1"),
        (b'{"error":"other"}', ""),
        (b'["message"]', ""),
        (b"<html>oops</html>", ""),
        (b"\xff", ""),
        (b"[" * 99_999, ""),
    ],
)
@pytest.mark.parametrize("status", [301, 400, 401, 429, 500])
def test_the_message_of_hyperline_is_a_detail(
    status: int, body: bytes, detail: str
) -> None:
    """It is not part of the reason, because it can contain values of the event."""
    failure = read_failure(status, body)

    assert failure.detail.startswith(detail)
    assert bool(failure.detail) == bool(detail)
    assert failure.reason == read_failure(status).reason


def test_a_long_message_is_cut_off() -> None:
    """A message in the queue has room for the events."""
    body = json.dumps({"message": "x" * 1_000}).encode()

    assert read_failure(400, body).detail == "x" * 500


def test_an_event_in_events_failed_is_quarantined() -> None:
    """The response to a batch can be 2xx although some events were rejected."""
    body = json.dumps({"events_failed": [name(SECOND), name(SECOND)]}).encode()

    deliveries = read_response(201, {}, body, POSTED)

    assert deliveries == {
        FIRST: None,
        SECOND: Failure(
            Outcome.QUARANTINED,
            "Hyperline listed the event in events_failed, without a reason",
        ),
    }


@pytest.mark.parametrize(
    "failed",
    [
        [{}],
        [1],
        ["m-1"],
        {"id": "m-1"},
        1,
        [{"event_type": [], "record": {}}],
        [{"event_type": [], "record": {"id": "m-1"}}],
        [{"event_type": "Seats Added", "record": {"id": []}}],
        [{"event_type": "Seats Added", "record": {"id": 1}}],
        [name(FIRST), {}],
        [name(Key("Seats Added", "m-3"))],
        [name(Key("Seats Removed", "m-1"))],
    ],
)
def test_unknown_events_in_events_failed_are_a_failure(failed: object) -> None:
    """Any of the posted events could have been rejected."""
    body = json.dumps({"events_failed": failed}).encode()

    assert read_failure(201, body) == Failure(
        Outcome.QUARANTINED, "Hyperline listed unknown events in events_failed"
    )
