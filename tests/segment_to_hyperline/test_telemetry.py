"""The line of an invocation: its metrics, its messageIds, its size."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import (
    BEARER_TOKEN,
    Webhook,
    array,
    single,
    to_api_gateway,
    write,
)
from segment_to_hyperline.config import ConfigError
from segment_to_hyperline.elements import Element
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import Result
from segment_to_hyperline.segment.events import Event
from segment_to_hyperline.simulation.template import read_template
from segment_to_hyperline.telemetry import (
    MAX_EVENTS_BYTES,
    MAX_ROUTINE_IDS,
    SAMPLED_IDS,
    UNITS,
    describe_results,
    measure_results,
)
from tests.conftest import Log, Secret, Send
from tests.samples import track

RESOURCES = read_template("monitoring.yaml")["Resources"]


def result(number: int, outcome: Outcome, reason: str = "", **fields: Any) -> Result:
    """Return the result of the event with this number."""
    event = track(messageId=f"m-{number}", **fields)
    code = Code.UNMAPPABLE if reason else None
    created = Event.create(Element(event, json.dumps(event)))
    return Result(created, outcome, code, reason)


@pytest.fixture
def lines(
    send: Send, secret: Secret, hyperline: FakeHyperline, capsys: Any
) -> list[str]:
    """What requests with each kind of result write, one line each."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    send(track())
    send(array([write(track(messageId=f"m-{n}", userId=None)) for n in range(3)]))
    send(Webhook(write(track()), {}))
    hyperline.respond(401)
    send(track(messageId="m-pending"))
    lines: list[str] = capsys.readouterr().out.splitlines()
    return lines


def test_each_line_is_a_valid_metric_document(lines: list[str]) -> None:
    """CloudWatch ignores a document whose metrics have no value or no dimension."""
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    assert len(lines) == 4
    for line in map(json.loads, lines):
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "SegmentToHyperline"
        assert [set(d) for d in directive["Dimensions"]] == [{"service", "stack"}]
        assert (line["service"], line["stack"]) == ("receiver", "local")
        for metric in directive["Metrics"]:
            assert UNITS[metric["Name"]].value == metric["Unit"]
            assert all(isinstance(value, float) for value in line[metric["Name"]])


def test_the_stack_is_a_dimension(
    send: Send, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stacks in one account have separate metrics."""
    monkeypatch.setenv("STACK_NAME", "billing-eu")

    send(track())

    (line,) = log()
    assert line["stack"] == "billing-eu"


def test_a_line_says_how_long_the_invocation_and_hyperline_took(
    send: Send, hyperline: FakeHyperline, log: Log
) -> None:
    """Lambda's own report is switched off to save money."""
    hyperline.respond(FakeResponse(202, delay=0.2, stores=True))

    send(track())

    (line,) = log()
    assert line["posts"] == len(line["HyperlineLatency"]) == 1
    assert 200 <= line["HyperlineLatency"][0] <= line["duration_ms"] < 3_000
    assert 10 < line["memory_mb"] < 2_000
    send(track())
    (line,) = log()
    assert "cold_start" not in line


def test_an_invocation_with_many_posts_has_one_line(
    send: Send, secret: Secret, hyperline: FakeHyperline, log: Log
) -> None:
    """Powertools would write a second one after 100 values of a metric."""
    secret.put(segment_bearer_token=BEARER_TOKEN)
    hyperline.malformed_customers.add("malformed")
    bad = [track(messageId=f"m-{n}", userId="malformed") for n in range(60)]

    assert send(array([write(event) for event in bad])).status == 422

    (line,) = log()
    assert line["posts"] == len(hyperline.requests) > 100
    assert len(line["HyperlineLatency"]) == 99


def test_a_line_has_the_id_of_the_request(send: Send, log: Log) -> None:
    """The access log has it too."""
    request = to_api_gateway(single(write(track())))
    request["requestContext"]["requestId"] = "Jf4cVgXhDoEEPWQ="

    send(request)

    assert log()[0]["request_id"] == "Jf4cVgXhDoEEPWQ="


def test_events_are_unaccounted_for_if_the_function_fails(
    send: Send, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UnaccountedAlarm uses the metric; Segment retries after the 500."""
    # No event is known to make it fail, so a setting is missing.
    monkeypatch.delenv("QUARANTINE_QUEUE_URL")

    with pytest.raises(ConfigError):
        send(track(userId=None))

    (line,) = log()
    assert (line["level"], line["error"]) == ("ERROR", "ConfigError")
    assert (line["Received"], line["Unaccounted"]) == ([1], [1])


def test_a_late_failure_does_not_hide_the_outcomes(
    send: Send, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events are accounted for, and the line has the error."""
    # No result is known to make the response fail, so a limit is invalid.
    monkeypatch.setattr("segment_to_hyperline.report.MAX_ERRORS", None)
    monkeypatch.setattr("segment_to_hyperline.report.MAX_RESPONSE_BYTES", None)

    with pytest.raises(TypeError):
        send(track())

    (line,) = log()
    assert (line["level"], line["error"]) == ("ERROR", "TypeError")
    assert line["Delivered"] == [1]
    assert "Unaccounted" not in line


def test_a_rejected_api_key_is_a_metric(
    send: Send, hyperline: FakeHyperline, log: Log
) -> None:
    """KeyRejectedAlarm uses it."""
    hyperline.respond(401)

    assert send(track()).status == 503

    (line,) = log()
    assert line["KeyRejected"] == [1]


def test_the_outcomes_add_up_to_the_received_events() -> None:
    """What is missing is unaccounted for."""
    events = [result(n, outcome) for n, outcome in enumerate(Outcome)]

    metrics = dict(measure_results(events, len(events) + 2, 0))

    names = {outcome.value.metric for outcome in Outcome}
    assert sum(metrics[name] for name in names) + 2 == metrics["Received"]
    assert metrics["Unaccounted"] == 2


def test_the_billing_delay_is_that_of_the_oldest_delivered_event() -> None:
    """Events that are not delivered, or have no valid time, don't count."""
    now = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
    events = [
        result(1, Outcome.DELIVERED, receivedAt="2026-01-01T11:59:57Z"),
        result(2, Outcome.DELIVERED, receivedAt="2026-01-01T11:58:00Z"),
        result(3, Outcome.FILTERED, receivedAt="2026-01-01T10:00:00Z"),
        result(4, Outcome.DELIVERED, receivedAt=None, sentAt="", timestamp=1),
        result(5, Outcome.DELIVERED, receivedAt="0001-01-01T00:00:00Z"),
    ]
    future = [result(1, Outcome.DELIVERED, receivedAt="2026-01-01T13:00:00Z")]

    assert dict(measure_results(events, 5, now))["BillingDelay"] == 120
    assert dict(measure_results(future, 1, now))["BillingDelay"] == 0
    assert "BillingDelay" not in dict(measure_results(events[2:], 3, now))


def test_all_events_that_need_attention_are_listed() -> None:
    """Of many that don't, the first are listed, because each costs money."""
    delivered = [result(n, Outcome.DELIVERED) for n in range(51)]
    filtered = [result(n, Outcome.FILTERED) for n in range(50)]
    rejected = [result(n, Outcome.QUARANTINED, "rejected") for n in range(1_000)]
    parked = [result(n, Outcome.PARKED, "Hyperline failed") for n in range(1_001)]

    described = list(describe_results([*delivered, *filtered, *rejected, *parked]))

    listed = [(d["outcome"], d["count"], len(d["ids"].split())) for d in described]
    assert listed == [
        ("parked", 1_001, 1_001),
        ("quarantined", 1_000, 1_000),
        ("delivered", 51, SAMPLED_IDS),
        ("filtered", 50, MAX_ROUTINE_IDS),
    ]


def test_a_line_has_a_maximum_size() -> None:
    """CloudWatch would cut off a longer one, and lose its metrics."""
    events = [
        track(messageId=f"{number:06}" + "\ud800" * 200) for number in range(5_000)
    ]
    results = [
        Result(Event.create(Element(event, "")), Outcome.PENDING, Code.LATE, "no")
        for event in events
    ]

    (described,) = describe_results(results)

    assert described["count"] == 5_000
    assert 300 < len(described["ids"].split()) < 5_000
    assert len(json.dumps(described)) < MAX_EVENTS_BYTES + 1_000


def query(name: str) -> str:
    """Return a saved query of the template."""
    text: str = RESOURCES[name]["Properties"]["QueryString"]
    return text


@pytest.mark.parametrize(
    ("message_id", "outcome", "reason"),
    [
        ("m-", None, None),
        ("m-11", None, None),
        ("m-2", "quarantined", "rule 1 (track): customer_id: userId is null"),
        (track()["messageId"], "delivered", None),
        ("m-1", "quarantined", "rule 1 (track): customer_id: userId is null"),
        (
            "m-pending",
            "pending",
            "Hyperline rejected the API key; put a valid one into the secret (401)",
        ),
    ],
)
def test_the_saved_query_finds_what_happened_to_a_message(
    lines: list[str], message_id: str, outcome: str | None, reason: str | None
) -> None:
    """Its regular expression finds the outcome and the reason of this message."""
    (pattern,) = re.findall(r"parse @message /(.+)/\n", query("MessageQuery"))
    pattern = pattern.replace("(?<", "(?P<").replace("MESSAGE_ID", message_id)

    found = [match for line in lines if (match := re.search(pattern, line))]

    expected = [(outcome, reason)] if outcome else []
    assert [(m["outcome"], m["reason"]) for m in found] == expected
    assert all((m["code"] is None) == (m["reason"] is None) for m in found)
    # Lines of version 0.1.0 have no code.
    old = [re.sub(r'"code":"[a-z_]+",', "", line) for line in lines]
    found = [match for line in old if (match := re.search(pattern, line))]
    assert [(m["outcome"], m["reason"]) for m in found] == expected


@pytest.mark.parametrize(
    "name", ["MessageQuery", "ReasonsQuery", "SlowestQuery", "ParkedQuery"]
)
def test_the_fields_of_saved_queries_exist(lines: list[str], name: str) -> None:
    """A misspelled field would be empty without an error."""
    known = {*UNITS, "cold_start", "unfinished", "messages", "warning", "error"}
    for line in lines:
        known |= json.loads(line).keys()
    text = re.sub(r'/.+/|"[^"]*"| as \w+|by service|\.0(\.\w+)?', "", query(name))
    created = {*re.findall(r" as (\w+)", query(name)), "outcome", "code", "reason"}
    words = set(re.findall(r"\b[a-z_]+\b|\b[A-Z]\w+\b", text))

    commands = (
        "filter like parse sort asc desc display fields stats sum coalesce min max"
        " latest by or"
    )
    known |= {*commands.split(), "ispresent", "limit", "timestamp", "message"} | created
    assert words - known == set()
