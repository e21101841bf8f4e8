"""Hyperline's responses: what they mean for the events that were posted."""

import json
from typing import Any

import pytest

from segment_to_hyperline.hyperline.billable_event import Key
from segment_to_hyperline.hyperline.failures import Failure, Failures, Kind
from segment_to_hyperline.hyperline.responses import (
    UNCONFIRMED,
    read_response,
)
from segment_to_hyperline.reasons import Code

FIRST, SECOND = Key("Seats Added", "m-1"), Key("Seats Added", "m-2")
POSTED = {FIRST, SECOND}
EMPTY = {"Content-Length": "0"}
REDIRECTED = "Hyperline redirected the request; check HYPERLINE_URL"
REJECTED = "Hyperline rejected the event"
PERHAPS_REJECTED = "Hyperline rejected the event, but has accepted no other lately"
KEY_REJECTED = "Hyperline rejected the API key; put a valid one into the secret"
THROTTLED = "Hyperline's rate limit is exceeded"
TIMED_OUT = "Hyperline timed out waiting for the request"
FAILED = "Hyperline failed"
FOREIGN = "the response is not Hyperline's, but for example a proxy's"
UNKNOWN = "Hyperline returned an unknown HTTP status"
LISTED = Failure(
    Kind.REJECTED,
    Code.EVENT_FAILED,
    "Hyperline listed the event in events_failed, without a reason",
)

# An event in a list of a response, which we have not posted: our ids are strings.
WITH_NUMBER = {"event_type": "Seats Added", "record": {"id": 1}}

# https://docs.hyperline.co/developers/error-handling
ERROR = b'{"message":"no"}'
# What a proxy, a firewall or a maintenance page responds with.
FOREIGN_BODIES = [
    *(b"<html>oops</html>", b"\xff", b"null", b"[]", b'["message"]', b"{}", b"1"),
    *(b"[" * 99_999, b'{"error":"other"}', b"", b'"message"', b" "),
]


def read(
    status: int,
    body: bytes,
    posted: set[Key] = POSTED,
    headers: dict[str, str] | None = None,
) -> Failures | Failure:
    """Return what a response means, if no other post was accepted before."""
    return read_response(status, headers or {}, body, posted, accepts_others=False)


def read_failure(
    status: int, body: bytes = b"", *, accepts_others: bool = False
) -> Failure:
    """Return the failure that a response means for all events."""
    failure = read_response(status, {}, body, POSTED, accepts_others=accepts_others)
    assert isinstance(failure, Failure)
    return failure


def name(key: Key) -> dict[str, Any]:
    """Return an event of a list in a response, with the fields that identify it."""
    return {"event_type": key.event_type, "record": {"id": key.record_id}}


def lists(**lists: Any) -> bytes:
    """Return the body of the response to a batch."""
    return json.dumps(lists).encode()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{}", b'{"message":"accepted"}', b'{"error":null}'),
        *(b'{"events_failed":[]}', b'{"events_failed":null}', b'{"errors":[]}'),
        lists(events_created=[], events_failed=[name(SECOND)]),
    ],
)
def test_a_success_of_hyperline_confirms_a_single_event(
    status: int, body: bytes
) -> None:
    """Hyperline has returned 201 and 202, with and without a body."""
    assert read(status, body, {FIRST}) == {FIRST: None}


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("posted", [{FIRST}, POSTED])
@pytest.mark.parametrize(
    "body",
    [
        *(body for body in FOREIGN_BODIES if body.strip() and body != b"{}"),
        b'{"errors":["no"]}',
        lists(error="no", events_created=[name(FIRST), name(SECOND)]),
    ],
)
def test_a_success_of_another_server_confirms_nothing(
    status: int, posted: set[Key], body: bytes
) -> None:
    """A maintenance page can have the status 200; the events are posted again."""
    assert read(status, body, posted) == Failure(
        Kind.UNAVAILABLE, Code.FOREIGN_RESPONSE, f"{FOREIGN} ({status})"
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("headers", [EMPTY, {"Transfer-Encoding": "chunked"}])
def test_a_complete_empty_response_confirms_a_batch(
    status: int, headers: dict[str, str]
) -> None:
    """Hyperline responds to single events like this."""
    assert read(status, b"", POSTED, headers) == {FIRST: None, SECOND: None}


def test_an_empty_response_without_a_length_does_not_confirm_a_batch() -> None:
    """The connection may have been closed before the body, which can list failures."""
    assert read(200, b"") == {FIRST: UNCONFIRMED, SECOND: UNCONFIRMED}
    assert read(204, b"") == {FIRST: None, SECOND: None}


@pytest.mark.parametrize("field", ["events_created", "events_accepted"])
def test_a_batch_is_confirmed_by_its_names(field: str) -> None:
    """Both versions of the documentation are accepted."""
    assert read(201, lists(**{field: [name(FIRST), name(SECOND)]})) == {
        FIRST: None,
        SECOND: None,
    }


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"message":"accepted"}',
        lists(events_created=[], events_failed=[]),
        lists(events_created=None, events_failed=None),
        lists(events_failed=None),
        lists(events_created=2),
        lists(events_created=[name(Key("Seats Added", "m-3"))]),
        lists(events_created=[name(Key("Seats Removed", "m-1"))]),
        lists(events_created=[name(FIRST) | {"event_type": []}, {}, 1, "m-1"]),
        lists(events_created=[WITH_NUMBER]),
        lists(events_created=[{"event_type": "Seats Added", "record": {"id": []}}]),
    ],
)
def test_an_event_that_is_not_named_is_not_confirmed(body: bytes) -> None:
    """What Hyperline did with it is unknown: it is neither delivered nor rejected."""
    assert read(201, body) == {FIRST: UNCONFIRMED, SECOND: UNCONFIRMED}


def test_a_batch_confirms_what_it_accounts_for() -> None:
    """Created, failed and not named at all are three outcomes of one batch."""
    third = Key("Seats Added", "m-3")
    body = lists(events_created=[name(FIRST)], events_failed=[name(SECOND)])

    assert read(201, body, {*POSTED, third}) == {
        FIRST: None,
        SECOND: LISTED,
        third: UNCONFIRMED,
    }


def test_an_event_that_is_both_created_and_failed_is_quarantined() -> None:
    """A person has to find out which of them is true."""
    body = lists(events_created=[name(FIRST)], events_failed=[name(FIRST)])

    assert read(201, body) == {FIRST: LISTED, SECOND: UNCONFIRMED}


@pytest.mark.parametrize(
    "failed",
    [
        *([name(FIRST)], [{}], [1], ["m-1"], {"id": "m-1"}, 1),
        *([name(SECOND), {}], [WITH_NUMBER]),
    ],
)
def test_a_single_event_that_failed_is_quarantined(failed: object) -> None:
    """What can't be read in the response to a single event is about this event."""
    assert read(201, lists(events_failed=failed), {FIRST}) == {FIRST: LISTED}


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
    failure = read(429, b"", POSTED, {"Retry-After": value})

    assert isinstance(failure, Failure)
    assert failure.retry_after == seconds


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (100, Kind.UNAVAILABLE, UNKNOWN),
        (199, Kind.UNAVAILABLE, UNKNOWN),
        (300, Kind.UNAVAILABLE, REDIRECTED),
        (301, Kind.UNAVAILABLE, REDIRECTED),
        (304, Kind.UNAVAILABLE, REDIRECTED),
        (400, Kind.REJECTED, REJECTED),
        (401, Kind.KEY_REJECTED, KEY_REJECTED),
        (402, Kind.UNAVAILABLE, FAILED),
        (403, Kind.KEY_REJECTED, KEY_REJECTED),
        (404, Kind.UNAVAILABLE, PERHAPS_REJECTED),
        (405, Kind.UNAVAILABLE, FAILED),
        (407, Kind.UNAVAILABLE, FAILED),
        (408, Kind.UNAVAILABLE, TIMED_OUT),
        (409, Kind.UNAVAILABLE, PERHAPS_REJECTED),
        (410, Kind.UNAVAILABLE, PERHAPS_REJECTED),
        (412, Kind.UNAVAILABLE, FAILED),
        (413, Kind.REJECTED, REJECTED),
        (415, Kind.UNAVAILABLE, FAILED),
        (421, Kind.UNAVAILABLE, FAILED),
        (422, Kind.REJECTED, REJECTED),
        (425, Kind.UNAVAILABLE, FAILED),
        (429, Kind.THROTTLED, THROTTLED),
        (431, Kind.UNAVAILABLE, FAILED),
        (451, Kind.UNAVAILABLE, FAILED),
        (499, Kind.UNAVAILABLE, FAILED),
        (500, Kind.UNAVAILABLE, FAILED),
        (503, Kind.UNAVAILABLE, FAILED),
        (599, Kind.UNAVAILABLE, FAILED),
        (600, Kind.UNAVAILABLE, UNKNOWN),
        (999, Kind.UNAVAILABLE, UNKNOWN),
    ],
)
def test_an_error_of_hyperline_decides_about_the_event(
    status: int, kind: Kind, reason: str
) -> None:
    """Only few statuses are about the event; after the others it is posted again."""
    failure = read_failure(status, ERROR)

    assert failure.kind is kind
    assert failure.reason == f"{reason} ({status})"


@pytest.mark.parametrize("status", [404, 409, 410])
def test_a_possible_rejection_is_one_while_others_are_accepted(status: int) -> None:
    """A wrong route fails for every event, and an unknown customer for one."""
    failure = read_failure(status, ERROR, accepts_others=True)

    assert failure.kind is Kind.REJECTED
    assert failure.reason == f"{REJECTED} ({status})"


def test_a_403_is_not_about_the_key_while_others_are_accepted() -> None:
    """A firewall can respond to one event with {"message": "Forbidden"}."""
    failure = read_failure(403, ERROR, accepts_others=True)

    assert failure.kind is Kind.UNAVAILABLE


@pytest.mark.parametrize("body", FOREIGN_BODIES)
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (301, REDIRECTED),
        *((status, FOREIGN) for status in (400, 402, 403, 404, 405, 409, 410)),
        *((status, FOREIGN) for status in (413, 415, 421, 422, 425, 451, 499)),
        (401, KEY_REJECTED),
        (408, TIMED_OUT),
        (500, FAILED),
        (503, FAILED),
    ],
)
@pytest.mark.parametrize("accepts_others", [False, True])
def test_an_error_of_another_server_is_not_about_the_event(
    body: bytes, status: int, reason: str, *, accepts_others: bool
) -> None:
    """A firewall's 403 is not about the key, and a proxy's 400 is not a rejection."""
    failure = read_failure(status, body, accepts_others=accepts_others)

    assert failure.kind is (Kind.KEY_REJECTED if status == 401 else Kind.UNAVAILABLE)
    assert failure.reason == f"{reason} ({status})"
    assert not failure.detail


@pytest.mark.parametrize("body", [ERROR, *FOREIGN_BODIES])
def test_the_rate_limit_needs_no_body(body: bytes) -> None:
    """A proxy can limit the requests on behalf of Hyperline."""
    assert read_failure(429, body).kind is Kind.THROTTLED


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"message":"customer jane@example.com does not exist"}', "customer jane@"),
        (b'{"message":["must be a string"]}', "['must be a string']"),
        (b'{"message":1}', "1"),
        (b'{"message":""}', ""),
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
    assert failure.reason == read_failure(status, ERROR).reason


def test_a_long_message_is_cut_off() -> None:
    """A message in the queue has room for the events."""
    body = json.dumps({"message": "x" * 1_000}).encode()

    assert read_failure(400, body).detail == "x" * 500
