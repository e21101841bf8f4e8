"""Bad input: each has a status and a readable reason, and no event is lost."""

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_stack.fake_api import KEY, FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import (
    BEARER_TOKEN,
    SHARED_SECRET,
    Webhook,
    array,
    extensible,
    sign,
    single,
    to_api_gateway,
    write,
)
from tests.conftest import Log, Queue, Secret, Send
from tests.samples import BILLABLE, track, without

TEXT = write(track())


def replaced(old: str, new: str) -> str:
    """Return the JSON of `track()`, in which *new* replaces *old*."""
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
        ("NaN", "not JSON: the body contains NaN"),
        ("1e400", "the body is neither a JSON object nor an array"),
        (replaced('"seats":3', '"seats":' + "NaN"), "not JSON: the body contains NaN"),
        ("[" * 100_000, "not JSON: Unterminated array or object (character 1)"),
    ],
)
def test_a_malformed_body_returns_400(
    send: Send, hyperline: FakeHyperline, quarantine: Queue, body: str, reason: str
) -> None:
    """There is nothing to bill and nothing to store."""
    response = send(single(body))

    assert (response.status, response.counts) == (400, {})
    assert response.reasons[0].startswith(reason)
    assert hyperline.requests == []
    assert quarantine.messages() == []


DEEP = replaced('"seats":3', '"seats":' + "[" * 12_000 + "]" * 12_000)
OTHERS = [write(track(messageId=f"other-{number}")) for number in range(2)]


@pytest.mark.parametrize(
    "webhook",
    [
        array([OTHERS[0], DEEP, OTHERS[1]]),
        array([DEEP, *OTHERS]),
        extensible([OTHERS[0], DEEP, OTHERS[1]]),
        extensible([DEEP, *OTHERS]),
    ],
    ids=["array", "first", "wrapped", "wrapped-first"],
)
def test_a_deeply_nested_event_does_not_stop_the_others(
    send: Send, quarantine: Queue, secret: Secret, log: Log, webhook: Webhook
) -> None:
    """It is quarantined as Segment wrote it, and the log has its messageId."""
    secret.put(segment_bearer_token=BEARER_TOKEN)

    response = send(webhook)

    assert response.counts == {"delivered": 2, "quarantined": 1}
    assert response.body["errors"] == [
        {
            "message_id": track()["messageId"],
            "code": "unmappable",
            "reason": "the event is nested too deeply",
        }
    ]
    (body,) = quarantine.bodies()
    assert body == (
        '{"code": "unmappable", "reason": "the event is nested too deeply",'
        f' "events": [{DEEP}]}}'
    )
    (line,) = log()
    assert line["events"][0]["ids"] == track()["messageId"]


def test_a_single_event_can_be_nested_deeply(send: Send, quarantine: Queue) -> None:
    """It is an event that can't be mapped, so it is quarantined too."""
    response = send(single(f" {DEEP}\n"))

    assert (response.status, response.counts) == (422, {"quarantined": 1})
    assert len(quarantine.bodies()) == 1


def test_a_wrapper_is_no_level_of_the_event(send: Send, secret: Secret) -> None:
    """An event that can be decoded is billed, also if its wrapper can't."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    texts = [
        replaced('"seats":3', f'"seats":3,"deep":{"[" * depth}{"]" * depth}')
        for depth in range(0, 12_000, 100)
    ]

    alone = send(array(texts))
    wrapped = send(extensible(texts))

    assert alone.counts == wrapped.counts


def test_an_event_of_1_mb_is_quarantined(send: Send, quarantine: Queue) -> None:
    """A message of SQS can have 1 MiB."""
    large = write(track(userId=None, properties={"text": "x" * 1_000_000}))

    response = send(single(large))

    assert (response.status, response.counts) == (422, {"quarantined": 1})
    assert large in quarantine.bodies()[0]


@pytest.mark.parametrize("parked", [False, True])
def test_of_an_event_above_1_mib_the_beginning_is_quarantined(
    send: Send, hyperline: FakeHyperline, quarantine: Queue, *, parked: bool
) -> None:
    """It is not retried with its batch for ever; a person gets its messageId."""
    hyperline.respond(503)
    old = {"receivedAt": "2026-01-16T09:31:00Z", "traits": "x" * 1_200_000}
    large = write(track(**old, userId="customer-42" if parked else None))

    response = send(single(large))

    assert (response.status, response.counts) == (422, {"quarantined": 1})
    assert response.reasons[0].startswith("the event is too large for a message of SQS")
    (message,) = quarantine.messages()
    assert message["code"] == response.body["errors"][0]["code"] == "event_too_large"
    (beginning,) = message["events"]
    assert beginning.startswith(f"{track()['messageId']}: {large[:1_000]}")
    assert len(beginning) < 33_000


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, {"delivered": 1}),
        ({"type": "identify"}, {"filtered": 1}),
        ({"userId": "failing"}, {"pending": 1}),
    ],
)
def test_an_event_above_1_mib_is_only_quarantined_if_it_has_to_be(
    send: Send,
    hyperline: FakeHyperline,
    quarantine: Queue,
    changes: dict[str, str],
    counts: dict[str, int],
) -> None:
    """One that was delivered would be billed by hand a second time."""
    hyperline.unprocessable["failing"] = FakeResponse(503)
    large = write(track(traits="x" * 1_200_000, **changes))

    assert send(single(large)).counts == counts

    assert quarantine.messages() == []


def test_a_missing_body_returns_400(send: Send) -> None:
    """A missing body is the same as an empty one."""
    request = to_api_gateway(single(""))
    del request["body"]

    assert send(request).status == 400


def test_a_body_that_is_not_utf_8_returns_400(send: Send) -> None:
    """The reason has the position of the first invalid byte."""
    body = TEXT.encode().replace(b"Seats", b"S\xffats")
    request = to_api_gateway(Webhook("", {"X-Signature": sign(body)}))
    request |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}

    response = send(request)

    assert response.status == 400
    assert response.reasons == [f"the body is not UTF-8 at byte {body.index(0xFF)}"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1]", "the event is a number, not an object"),
        ("{}", "type is missing"),
        (
            replaced('"seats":3', '"seats":' + "1e400"),
            "rule 1 (track): record contains a number that JSON can't represent",
        ),
        (
            replaced('"seats":3', '"seats":' + "9" * 5_000),
            "rule 1 (track): record contains a number that JSON can't represent",
        ),
        (write(without("messageId")), "rule 1 (track): messageId is missing"),
        (write(track(messageId="")), "rule 1 (track): messageId is empty"),
        (
            write(track(messageId=5)),
            "rule 1 (track): messageId is a number, not a string",
        ),
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
            "rule 1 (track): timestamp: timestamp is a number, not a string",
        ),
        (
            write(track(timestamp="1970-01-01T00:00:00.000Z")),
            (
                "rule 1 (track): timestamp: timestamp is more than 366 days earlier"
                " than receivedAt (max_days_in_past)"
            ),
        ),
        (
            write(track(userId=" ")),
            (
                "rule 1 (track): customer_id: userId has only spaces or invisible"
                " characters"
            ),
        ),
        (
            write(track(properties=[])),
            "rule 1 (track): record.*: properties is an array, not an object",
        ),
    ],
)
def test_an_event_that_cannot_be_billed_returns_422(
    send: Send, hyperline: FakeHyperline, quarantine: Queue, text: str, reason: str
) -> None:
    """The queue has the event exactly as Segment wrote it."""
    response = send(single(text))

    assert (response.status, response.counts) == (422, {"quarantined": 1})
    assert response.reasons == [reason]
    assert hyperline.requests == []
    (body,) = quarantine.bodies()
    fields = f'"code": "unmappable", "reason": "{reason}"'
    assert body == f'{{{fields}, "events": [{text.strip("[]")}]}}'


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        (write(track(userId=42)), {"customer_id": "42"}),
        (
            write(track(timestamp="2026-01-16T09:30:59.862826965Z", receivedAt=None)),
            {"timestamp": "2026-01-16T09:30:59.862Z"},
        ),
        (write(track(properties=None)), {"record": {}}),
        (write(without("properties")), {"record": {}}),
        (write(track(properties={"deep": {"a": [{"b": [[]]}]}})), {"record": {}}),
        (write(track(properties={"id": "other"})), {"record": {}}),
        (write(track(properties={"__proto__": 1})), {"record": {"__proto__": 1}}),
        (write(track(properties={"t": "x" * 32_000})), {"record": {"t": "x" * 32_000}}),
        (replaced('"team"', r'"\ud800"'), {"record": {"seats": 3, "plan": "\ud800"}}),
        (replaced('"team"', '1,"plan":2'), {"record": {"seats": 3, "plan": 2}}),
        (
            replaced('"seats":3', '"seats":' + "9" * 400),
            {"record": {"seats": int("9" * 400), "plan": "team"}},
        ),
    ],
)
def test_an_unusual_event_is_billed(
    send: Send, hyperline: FakeHyperline, text: str, difference: dict[str, Any]
) -> None:
    """Only the properties that Hyperline doesn't accept are omitted."""
    expected = BILLABLE | difference
    expected["record"] = {**expected["record"], "id": track()["messageId"]}

    response = send(single(text))

    assert (response.status, response.counts) == (200, {"delivered": 1})
    assert [json.loads(event) for event in hyperline.store.values()] == [expected]


def test_duplicates_in_one_array_are_billed_once(
    send: Send, hyperline: FakeHyperline, secret: Secret
) -> None:
    """Both events are delivered, and only one of them is posted."""
    secret.put(segment_bearer_token=BEARER_TOKEN)

    response = send(array([TEXT, TEXT]))

    assert (response.status, response.counts) == (200, {"delivered": 2})
    assert [json.loads(request.body) for request in hyperline.requests] == [BILLABLE]


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_the_case_of_header_names_is_ignored(
    send: Send, secret: Secret, change: Any
) -> None:
    """API Gateway converts them to lower case; other senders may not."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    request = to_api_gateway(single(TEXT))
    request["headers"] = {change(k): v for k, v in request["headers"].items()}

    assert send(request).status == 200


def test_an_array_of_6_mb_is_delivered(
    send: Send,
    hyperline: FakeHyperline,
    quarantine: Queue,
    secret: Secret,
) -> None:
    """The largest request that Lambda accepts is posted in batches of at most 4 MB."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    texts = [
        write(track(messageId=str(number), properties={"text": "x" * 1000}))
        for number in range(4_500)
    ]
    webhook = array([*texts[:-1], write(track(userId=None))])
    assert len(webhook.body) > 6_000_000

    response = send(webhook)

    assert (response.status, response.counts) == (
        200,
        {"delivered": 4_499, "quarantined": 1},
    )
    assert len(hyperline.store) == 4_499
    assert max(len(request.body) for request in hyperline.requests) <= 4_000_000
    assert len(quarantine.messages()) == 1


@pytest.mark.parametrize("body", ["", "[" * 100_000, "NaN", "{}", TEXT[:-5]])
def test_no_response_contains_a_traceback_or_a_secret(send: Send, body: str) -> None:
    """The response says what is wrong with the request, and no more."""
    response = json.dumps(send(single(body)).body)

    for private in ("Traceback", "File ", "function/", SHARED_SECRET, KEY):
        assert private not in response


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
def test_any_json_gets_a_response(
    send: Send, hyperline: FakeHyperline, secret: Secret, content: Any
) -> None:
    """The function never fails, and the counts include each event."""
    if "segment_bearer_token" not in secret.content:
        secret.put(segment_bearer_token=BEARER_TOKEN)
    events = content if isinstance(content, list) else [content]

    response = send(single(json.dumps(content)))

    if isinstance(content, list | dict) and events:
        assert response.status in (200, 422)
        assert sum(response.counts.values()) == len(events)
    else:
        assert (response.status, response.counts) == (400, {})
    assert len(json.dumps(response.body)) <= 4_096
    assert all(json.loads(event)["record"]["id"] for event in hyperline.store.values())


@given(body=st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_get_a_response(send: Send, body: bytes) -> None:
    """The function never fails."""
    request = to_api_gateway(Webhook("", {"X-Signature": sign(body)}))
    request |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}

    assert send(request).status in (400, 422)


@pytest.mark.parametrize("content", ["x", "\ud800"])
def test_a_large_event_with_a_lone_surrogate_does_not_fail_its_batch(
    send: Send, secret: Secret, quarantine: Queue, content: str
) -> None:
    """Neither in its messageId nor in its beginning, which is quarantined."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    properties = {"text": content * 1_200_000}
    large = track(messageId="\ud800", userId=None, properties=properties)

    response = send(array([write(track()), json.dumps(large)]))

    assert response.counts == {"delivered": 1, "quarantined": 1}
    (quarantined,) = quarantine.messages()
    assert quarantined["events"][0].startswith("\ud800: {")
