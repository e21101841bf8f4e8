"""Bad input: each has its answer and a reason that can be read, and nothing is lost."""

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Call, Queue, Secret
from fake_hyperline import KEY, FakeHyperline
from samples import BILLABLE, track, without
from segment_webhook import (
    BEARER_TOKEN,
    SHARED_SECRET,
    Webhook,
    array,
    sign,
    single,
    to_api_gateway,
    write,
)

TEXT = write(track())


def changed(old: str, new: str) -> str:
    """Return the JSON of an event that could be billed, with *old* replaced."""
    assert old in TEXT
    return TEXT.replace(old, new)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "not JSON: Expecting value (character 0)"),
        (TEXT[:-30], "not JSON: "),
        ("null", "the body is neither a JSON object nor an array"),
        ("5", "the body is neither a JSON object nor an array"),
        ('"track"', "the body is neither a JSON object nor an array"),
        ("[]", "the array is empty"),
        ("9" * 5_000, "the body is neither a JSON object nor an array"),
        ("NaN", "not JSON: it holds NaN"),
        ("1e400", "the body is neither a JSON object nor an array"),
        (changed('"seats":3', '"seats":' + "NaN"), "not JSON: it holds NaN"),
        ("[" * 100_000, "the body is nested too deeply to be read"),
        (
            changed('"seats":3', '"seats":' + "[" * 100_000 + "]" * 100_000),
            "the body is nested too deeply",
        ),
    ],
)
def test_a_body_in_which_no_event_can_be_read(
    call: Call, hyperline: FakeHyperline, quarantine: Queue, body: str, reason: str
) -> None:
    """It is answered 400: there is nothing to bill, and nothing to keep."""
    answer = call(single(body))

    assert (answer.status, answer.counts) == (400, {})
    assert answer.reasons[0].startswith(reason)
    assert hyperline.requests == []
    assert quarantine.messages() == []


def test_a_call_without_a_body(call: Call) -> None:
    """An absent body is answered as an empty one is."""
    absent = to_api_gateway(single(""))
    del absent["body"]

    assert call(absent).status == 400


def test_a_body_that_is_not_utf_8(call: Call) -> None:
    """A signature over bytes that are no text does not make them text."""
    body = TEXT.encode().replace(b"Seats", b"S\xffats")
    request = to_api_gateway(Webhook("", {"X-Signature": sign(body)}))
    request |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}

    answer = call(request)

    assert answer.status == 400
    assert answer.reasons == [f"the body is not UTF-8 at byte {body.index(0xFF)}"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1]", "the event is a number, not an object"),
        ("{}", "type is missing"),
        (
            changed('"seats":3', '"seats":' + "1e400"),
            "rule 1 (track): record holds a number too large to be billed",
        ),
        (
            changed('"seats":3', '"seats":' + "9" * 5_000),
            "rule 1 (track): record holds a number too large to be billed",
        ),
        (write(without("messageId")), "rule 1 (track): messageId is missing"),
        (write(track(messageId="")), "rule 1 (track): messageId is empty"),
        (write(track(messageId=5)), "rule 1 (track): messageId is a number, not text"),
        (write(without("userId")), "rule 1 (track): customer_id: userId is missing"),
        (write(track(userId=None)), "rule 1 (track): customer_id: userId is null"),
        (write(without("event")), "rule 1 (track): event_type: event is missing"),
        (
            write(without("timestamp")),
            "rule 1 (track): timestamp: timestamp is missing",
        ),
        (
            write(track(timestamp="x")),
            "rule 1 (track): timestamp: timestamp is not an ISO 8601 date and time",
        ),
        (
            write(track(timestamp=1768555859243)),
            "rule 1 (track): timestamp: timestamp is a number, not text",
        ),
        (
            write(track(properties=[])),
            "rule 1 (track): record.*: properties is an array, not an object",
        ),
    ],
)
def test_an_event_that_cannot_be_billed(
    call: Call, hyperline: FakeHyperline, quarantine: Queue, text: str, reason: str
) -> None:
    """It is answered 422, and is in the queue to the letter."""
    answer = call(single(text))

    assert (answer.status, answer.counts) == (422, {"quarantined": 1})
    assert answer.reasons == [reason]
    assert hyperline.requests == []
    (body,) = quarantine.bodies()
    assert body == f'{{"reason": "{reason}", "events": [{text.strip("[]")}]}}'


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        (write(track(userId=42)), {"customer_id": "42"}),
        (
            write(track(timestamp="2026-01-16T09:30:59.862826965Z")),
            {"timestamp": "2026-01-16T09:30:59.862Z"},
        ),
        (write(track(properties=None)), {"record": {}}),
        (write(without("properties")), {"record": {}}),
        (write(track(properties={"deep": {"a": [{"b": [[]]}]}})), {"record": {}}),
        (write(track(properties={"id": "other"})), {"record": {}}),
        (write(track(properties={"__proto__": 1})), {"record": {"__proto__": 1}}),
        (write(track(properties={"t": "x" * 32_000})), {"record": {"t": "x" * 32_000}}),
        (changed('"team"', r'"\ud800"'), {"record": {"seats": 3, "plan": "\ud800"}}),
        (changed('"team"', '1,"plan":2'), {"record": {"seats": 3, "plan": 2}}),
        (
            changed('"seats":3', '"seats":' + "9" * 400),
            {"record": {"seats": int("9" * 400), "plan": "team"}},
        ),
    ],
)
def test_an_odd_event_that_can_be_billed(
    call: Call, hyperline: FakeHyperline, text: str, difference: dict[str, Any]
) -> None:
    """It is billed as it is; what Hyperline takes no part of is left out."""
    expected = BILLABLE | difference
    expected["record"] = {**expected["record"], "id": track()["messageId"]}

    answer = call(single(text))

    assert (answer.status, answer.counts) == (200, {"delivered": 1})
    assert [json.loads(event) for event in hyperline.store.values()] == [expected]


def test_the_same_message_twice_in_one_array(
    call: Call, hyperline: FakeHyperline, secret: Secret
) -> None:
    """Both are delivered, and billed once."""
    secret.put(segment_bearer_token=BEARER_TOKEN)

    answer = call(array([TEXT, TEXT]))

    assert (answer.status, answer.counts) == (200, {"delivered": 2})
    assert [json.loads(request.body) for request in hyperline.requests] == [BILLABLE]


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_headers_in_any_case(call: Call, secret: Secret, change: Any) -> None:
    """API Gateway writes them in lower case; other callers need not."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    request = to_api_gateway(single(TEXT))
    request["headers"] = {change(k): v for k, v in request["headers"].items()}

    assert call(request).status == 200


def test_an_array_of_6_mb(
    call: Call,
    hyperline: FakeHyperline,
    quarantine: Queue,
    secret: Secret,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The most that Lambda is ever passed ends whole, in calls that Hyperline takes."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "60")  # the machine may be slow
    texts = [
        write(track(messageId=str(number), properties={"text": "x" * 1000}))
        for number in range(4_500)
    ]
    webhook = array([*texts[:-1], write(track(userId=None))])
    assert len(webhook.body) > 6_000_000

    answer = call(webhook)

    assert (answer.status, answer.counts) == (
        200,
        {"delivered": 4_499, "quarantined": 1},
    )
    assert len(hyperline.store) == 4_499
    assert max(len(request.body) for request in hyperline.requests) <= 4_000_000
    assert len(quarantine.messages()) == 1


@pytest.mark.parametrize("body", ["", "[" * 100_000, "NaN", "{}", TEXT[:-5]])
def test_no_answer_shows_a_traceback_or_a_secret(call: Call, body: str) -> None:
    """Who reads the answer learns what is wrong with the call, and nothing about us."""
    answer = json.dumps(call(single(body)).body)

    for private in ("Traceback", "File ", "function/", SHARED_SECRET, KEY):
        assert private not in answer


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={name: JSON | st.just(value) for name, value in track().items()},
)


@given(content=EVENTS | st.lists(EVENTS | JSON, max_size=5) | JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_breaks_the_function(
    call: Call, hyperline: FakeHyperline, secret: Secret, content: Any
) -> None:
    """Whatever genuine JSON says, it is answered, and each event is accounted for."""
    if "segment_bearer_token" not in secret.content:
        secret.put(segment_bearer_token=BEARER_TOKEN)
    events = content if isinstance(content, list) else [content]

    answer = call(single(json.dumps(content)))

    if isinstance(content, list | dict) and events:
        assert answer.status in (200, 422)
        assert sum(answer.counts.values()) == len(events)
    else:
        assert (answer.status, answer.counts) == (400, {})
    assert len(json.dumps(answer.body)) <= 4_096
    assert all(json.loads(event)["record"]["id"] for event in hyperline.store.values())


@given(body=st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_the_function(call: Call, body: bytes) -> None:
    """Whatever genuine bytes are, they are answered."""
    request = to_api_gateway(Webhook("", {"X-Signature": sign(body)}))
    request |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}

    assert call(request).status in (400, 422)
