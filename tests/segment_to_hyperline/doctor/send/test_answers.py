"""What each response means, and what to do about it."""

import json
from collections.abc import Sequence

import pytest

from segment_to_hyperline import secret_cache
from segment_to_hyperline.doctor.send.answers import (
    Expectation,
    explain_preview,
    explain_response,
    find_warnings,
)
from segment_to_hyperline.doctor.send.replies import (
    find_deployed,
    is_delivered,
    may_be_logged,
    may_be_stored,
)
from segment_to_hyperline.hyperline.billable_event import BillableEvent
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.report import create_report, report_rejection, write_body
from segment_to_hyperline.results import Result
from segment_to_hyperline.segment.events import Event
from segment_to_hyperline.sending.responses import NoResponse, Response
from tests.samples import read_rules, track

SANDBOX = Expectation(is_test=False, is_billed=True, billed="track Paid (rule 1)")
PRODUCTION = SANDBOX._replace(is_test=True)
OTHER = SANDBOX._replace(is_billed=False)
REASON = "the reason"


def reply(
    outcome: Outcome,
    code: Code | None = None,
    *,
    message_id: str = "doctor-1",
    warnings: Sequence[str] = (),
) -> Response:
    """Return the Receiver's response to one event."""
    event = Event("{}", message_id)
    result = Result(event, outcome, code, REASON if code else "")
    body = write_body(create_report([result], warnings))
    return Response(outcome.value.status, body.encode())


def preview(code: Code, warnings: Sequence[str] = ()) -> Response:
    """Return the response to a test event."""
    message_id = "segment-test-message-doctor-1"
    return reply(Outcome.PREVIEWED, code, message_id=message_id, warnings=warnings)


def reject(status: int, code: Code) -> Response:
    """Return the response to a request that is rejected as a whole."""
    return Response(status, write_body(report_rejection(code, REASON)).encode())


# The response, the state, what it means, and what to do.
REPLIES = [
    (reply(Outcome.DELIVERED), "ok", "status 200 delivered: Hyperline accepted", ""),
    (
        reply(Outcome.QUARANTINED, Code.EVENT_REJECTED),
        "wrong",
        (
            "status 422 quarantined, event_rejected: Hyperline rejected the event,"
            " probably because there is no such customer (the reason)"
        ),
        "pass --customer with the id of a customer who exists",
    ),
    (
        reply(Outcome.QUARANTINED, Code.EVENT_FAILED),
        "wrong",
        "no such customer",
        "pass --customer",
    ),
    (
        reply(Outcome.PENDING, Code.REQUEST_REJECTED),
        "wrong",
        "no such customer",
        "pass --customer",
    ),
    (
        reply(Outcome.QUARANTINED, Code.MAPPING_FAILED),
        "wrong",
        "because of a bug",
        "report the bug",
    ),
    (
        reply(Outcome.QUARANTINED, Code.EVENT_TOO_LARGE),
        "wrong",
        "too large",
        "a smaller event",
    ),
    (
        reply(Outcome.PENDING, Code.KEY_REJECTED),
        "wrong",
        "status 503 pending, key_rejected: Hyperline rejected the API key",
        "put a valid API key into the secret",
    ),
    (
        reply(Outcome.THROTTLED, Code.THROTTLED),
        "unknown",
        "status 429 pending, throttled: Hyperline's rate limit",
        "run the command again later",
    ),
    (
        reply(Outcome.PENDING, Code.HYPERLINE_FAILED),
        "unknown",
        "Hyperline failed",
        "status page",
    ),
    (
        reply(Outcome.PENDING, Code.NO_RESPONSE),
        "unknown",
        "didn't respond in time",
        "status page",
    ),
    (
        reply(Outcome.PENDING, Code.UNREACHABLE),
        "wrong",
        "can't connect to Hyperline",
        "HyperlineUrl",
    ),
    (reply(Outcome.PENDING, Code.FORBIDDEN), "wrong", "a firewall", "HyperlineUrl"),
    (reply(Outcome.PENDING, Code.REDIRECTED), "wrong", "redirected", "HyperlineUrl"),
    (
        reply(Outcome.PENDING, Code.UNKNOWN_STATUS),
        "wrong",
        "isn't as documented",
        "HyperlineUrl",
    ),
    (
        reply(Outcome.PENDING, Code.FOREIGN_RESPONSE),
        "wrong",
        "isn't Hyperline's",
        "HyperlineUrl",
    ),
    (reply(Outcome.PENDING, Code.LATE), "unknown", "enough time", "run the command"),
    (
        reply(Outcome.PENDING, Code.QUEUE_UNAVAILABLE),
        "wrong",
        "couldn't store the event",
        "check the queues",
    ),
    (
        reply(Outcome.PARKED, Code.UNCONFIRMED),
        "unknown",
        "not billed yet (the reason)",
        "see the log",
    ),
    (
        reply(Outcome.PENDING, Code.TOO_MUCH),
        "unknown",
        "Segment would retry",
        "see the log",
    ),
    (
        reply(Outcome.QUARANTINED, Code.EXPIRED),
        "wrong",
        "can't be billed",
        "see the log",
    ),
    (
        reply(Outcome.QUARANTINED, Code.WRONG_ENVIRONMENT),
        "wrong",
        "can't be billed",
        "see the log",
    ),
    (
        reject(401, Code.UNAUTHORIZED),
        "wrong",
        (
            "status 401 unauthorized: the Receiver rejected the signature or the token:"
            " its secret isn't the one that was read (the reason)"
        ),
        "wait for 5 minutes",
    ),
    (reject(400, Code.MALFORMED), "wrong", "changed on the way", "proxy"),
    (
        reject(503, Code.SECRET_UNUSABLE),
        "wrong",
        "status 503 secret_unusable: the Receiver can't use the secret (the reason)",
        "correct the secret",
    ),
    (
        reject(503, Code.PREVIOUS_SECRET),
        "unknown",
        "a newer secret",
        "run the command again",
    ),
]
FOREIGN = [
    (Response(403, b'{"message":"Forbidden"}'), "wrong", "rejected", "firewall"),
    (
        Response(404, b'{"message":"Not Found"}'),
        "wrong",
        "status 404, which is not from the Receiver: there is no such route",
        "WebhookUrl",
    ),
    (Response(413, b'{"message":"Too Long"}'), "wrong", "too large", "smaller"),
    (
        Response(429, b'{"message":"Too Many Requests"}'),
        "unknown",
        "rate limit",
        "MaxRequestsPerSecond",
    ),
    (Response(500, b'{"message":"Internal Server Error"}'), "wrong", "failed", "log"),
    (Response(503, b'{"message":"Service Unavailable"}'), "wrong", "too long", "log"),
    (Response(504, b""), "wrong", "took too long", "log"),
    (Response(502, b"<html>"), "wrong", "before the Receiver responded", "log"),
    (
        Response(401, b'{"message":"Unauthorized"}'),
        "wrong",
        "not by the Receiver",
        "URL",
    ),
    (
        Response(200, b"<html>ok</html>"),
        "wrong",
        "isn't the Receiver's",
        "check the URL",
    ),
    (Response(200, b"{}"), "wrong", "isn't the Receiver's", "check the URL"),
    (Response(200, b"[" * 100_000), "wrong", "isn't the Receiver's", "check the URL"),
    (Response(200, b"\xff"), "wrong", "isn't the Receiver's", "check the URL"),
    (Response(301, b""), "wrong", "redirects", "WebhookUrl"),
    (Response(700, b""), "wrong", "unknown status", "check the URL"),
    (NoResponse("no response in time"), "wrong", "no response in time", "log"),
]


@pytest.mark.parametrize(
    ("response", "state", "meaning", "remedy"), [*REPLIES, *FOREIGN]
)
def test_each_response_has_an_answer(
    response: Response | NoResponse, state: str, meaning: str, remedy: str
) -> None:
    """It says what happened, and what to do unless all is well."""
    step = explain_response(response, SANDBOX)

    assert step.result == state
    assert meaning in step.evidence
    assert remedy in step.remedy
    assert bool(step.remedy) == (state != "ok")


# An event that is sent is neither from a queue nor a backfill.
ELSEWHERE = {Code.BACKFILL, Code.NOT_ACCEPTED}
TESTED_BELOW = {Code.TEST_EVENT, Code.UNMAPPABLE}


def test_each_code_is_tested() -> None:
    """A new one needs an answer."""
    bodies = [r.body for r, *_ in REPLIES if isinstance(r, Response)]
    errors = [error for body in bodies for error in json.loads(body)["errors"]]
    tested = {error["code"] for error in errors}

    assert tested | ELSEWHERE | TESTED_BELOW == set(Code)


def test_a_test_event_is_previewed_with_a_production_key() -> None:
    """That is right, so there is nothing to do."""
    step = explain_response(preview(Code.TEST_EVENT), PRODUCTION)

    assert step == (
        "ok",
        "response",
        (
            "status 200 previewed, test_event: previewed as a test event, and not"
            " billed, because of the key"
        ),
        "",
    )


@pytest.mark.parametrize(
    "code", [Code.SECRET_UNUSABLE, Code.MAPPING_FAILED, Code.TOO_MUCH]
)
def test_a_test_event_that_could_not_be_billed(code: Code) -> None:
    """It is previewed too, and the reason counts."""
    step = explain_response(preview(code), PRODUCTION)

    assert step.result == "wrong"
    assert REASON in step.evidence


def preview_billable(*shown: BillableEvent) -> Response:
    """Return the response to a test event for which these would be billed."""
    event = Event("{}", "segment-test-message-doctor-1")
    result = Result(event, Outcome.PREVIEWED, Code.TEST_EVENT, REASON, shown)
    return Response(200, write_body(create_report([result])).encode())


def test_a_preview_that_is_not_as_documented_shows_no_keys() -> None:
    """Another version of the Receiver may write another one."""
    (billable,) = apply_rules(read_rules("record = {}"), track())
    content = json.loads(preview_billable(billable).body)
    content["preview"] = [{"billable_events": [{"event_type": "a"}]}]

    assert find_deployed(Response(200, json.dumps(content).encode())) is None


def test_the_preview_is_compared() -> None:
    """It shows what the deployed mapping would bill."""
    ours = apply_rules(read_rules("record = {}"), track())
    other = apply_rules(read_rules('record = {n = "event"}'), track())
    long = apply_rules(read_rules('record = {n = "event"}'), track(event=5_000 * "x"))

    for shown, state, evidence in (
        (ours, "ok", "bills the same"),
        (other, "wrong", "bills something else"),
        ((), "wrong", "bills something else"),
        (long, "unknown", "too long for the response"),
    ):
        step = explain_preview(preview_billable(*shown), ours)
        assert step is not None
        assert step.result == state
        assert evidence in step.evidence
        assert bool(step.remedy) == (state != "ok")
    for response in (reply(Outcome.DELIVERED), preview(Code.LATE), NoResponse("")):
        assert explain_preview(response, ours) is None


def test_a_test_event_that_is_billed() -> None:
    """The Receiver still has the key of the sandbox, so it proves nothing."""
    step = explain_response(reply(Outcome.DELIVERED), PRODUCTION)

    assert step.result == "unknown"
    assert "in the sandbox, although this command has read another key" in step.evidence
    assert "wait for 5 minutes" in step.remedy


def test_a_test_event_that_is_not_billed_in_the_sandbox() -> None:
    """The Receiver has a production key, so the key that was read isn't proven."""
    step = explain_response(preview(Code.TEST_EVENT), SANDBOX)

    assert step.result == "unknown"
    assert "although this command has read a sandbox key" in step.evidence
    assert "wait for 5 minutes" in step.remedy


@pytest.mark.parametrize(
    "response",
    [reply(Outcome.FILTERED), reply(Outcome.QUARANTINED, Code.UNMAPPABLE)],
    ids=["filtered", "unmappable"],
)
def test_an_event_that_the_mapping_does_not_bill(response: Response) -> None:
    """The answer says which events it bills, unless the deployed mapping is another."""
    same, other = (explain_response(response, each) for each in (OTHER, SANDBOX))

    assert same.result == other.result == "wrong"
    assert "pass" in same.remedy
    assert same.remedy.endswith("as EVENTS: track Paid (rule 1)")
    assert other.remedy.startswith("the deployed mapping isn't the one")


@pytest.mark.parametrize(
    ("response", "logged", "stored"),
    [
        (reply(Outcome.DELIVERED), True, True),
        (reply(Outcome.PENDING, Code.LATE), True, True),
        (reply(Outcome.PARKED, Code.UNCONFIRMED), True, True),
        (reply(Outcome.QUARANTINED, Code.EVENT_REJECTED), True, True),
        (reply(Outcome.FILTERED), True, False),
        (preview(Code.TEST_EVENT), True, False),
        (reject(401, Code.UNAUTHORIZED), False, False),
        (reject(503, Code.SECRET_UNUSABLE), False, False),
        (Response(404, b""), False, False),
        (Response(429, b""), False, False),
        (Response(500, b'{"message":"Internal Server Error"}'), True, True),
        (Response(503, b'{"message":"Service Unavailable"}'), True, True),
        (NoResponse(""), True, True),
    ],
)
def test_where_the_event_can_be(
    response: Response | NoResponse, *, logged: bool, stored: bool
) -> None:
    """After a timeout, for example, it can be billed nevertheless."""
    assert may_be_logged(response) == logged
    assert may_be_stored(response) == stored
    delivered = response == reply(Outcome.DELIVERED)
    assert is_delivered(response) == delivered


def test_warnings_about_the_secret_are_shown() -> None:
    """The Receiver reports them for test events."""
    response = preview(Code.TEST_EVENT, ["the secret has a field 'x'"])

    (step,) = find_warnings(response)

    assert step[:3] == ("wrong", "secret", "the secret has a field 'x'")
    assert find_warnings(NoResponse("")) == []
    odd = b'{"delivered":1,"errors":[3],"warnings":5}'
    assert find_warnings(Response(200, odd)) == []


def test_a_foreign_text_is_shortened_and_printable() -> None:
    """A response can't write to the terminal what it likes."""
    error = {"code": "\x1b[31m", "reason": "\x1b" + 1_000 * "x"}
    body = json.dumps({"delivered": 0, "quarantined": 1, "errors": [error]})

    step = explain_response(Response(422, body.encode()), SANDBOX)

    assert step.evidence.isprintable()
    assert len(step.evidence) < 500


def test_a_changed_secret_is_used_after_5_minutes() -> None:
    """As the answers say: then the Receiver reads it again."""
    assert secret_cache._MAX_AGE_SECONDS == 5 * 60  # noqa: SLF001
