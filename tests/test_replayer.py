"""The Replayer: quarantined events are billed, or go back to the queue."""

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import replayer
from forwarder.deadline import Deadline
from tests.conftest import Context, Secret
from tests.fake_aws import FakeAws, Fault
from tests.samples import BILLABLE, read_rules, sqs_batch, track
from tools.fake_hyperline import FakeHyperline, FakeResponse

type Replay = Callable[..., list[str]]


@pytest.fixture
def replay(secret: Secret, hyperline: FakeHyperline) -> Replay:
    """Replay messages with these bodies in one batch; return the unfinished ones."""
    assert secret
    assert hyperline

    def replay(*bodies: str) -> list[str]:
        response = replayer.lambda_handler(sqs_batch(*bodies), Context())
        failures = response["batchItemFailures"]
        return [bodies[int(failure["itemIdentifier"])] for failure in failures]

    return replay


def message(*events: Any, reason: str = "no") -> str:
    """Return the body of a message in the Quarantine queue."""
    return json.dumps({"reason": reason, "events": events})


def stored(hyperline: FakeHyperline) -> list[Any]:
    """Return the events that Hyperline stored."""
    return [json.loads(event) for event in hyperline.store.values()]


GOOD = message(track())
FILTERED = message(track(type="identify"))
MIXED = message(track(messageId="m-2"), track(userId=None))


def test_an_event_that_can_be_billed_now_is_billed(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """Its id is still the messageId, so an event is not billed a second time."""
    assert replay(GOOD, FILTERED) == []
    assert stored(hyperline) == [BILLABLE]


def test_a_message_is_finished_when_all_its_events_are(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """The unfinished message goes back whole; the others of the batch don't."""
    assert replay(GOOD, MIXED, FILTERED) == [MIXED]
    assert len(hyperline.store) == 2


def test_a_message_with_a_rejected_event_is_not_finished(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """An event that Hyperline rejects again isn't lost by the replay."""
    hyperline.unknown_customers.add("customer-42")
    assert replay(GOOD) == [GOOD]

    hyperline.unknown_customers.clear()

    assert replay(GOOD) == []
    assert stored(hyperline) == [BILLABLE]


@pytest.mark.usefixtures("stale_secret")
@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_message_is_not_finished_while_hyperline_fails(
    replay: Replay, hyperline: FakeHyperline, status: int
) -> None:
    """A pending event is not final."""
    hyperline.respond(status, status)

    assert replay(GOOD) == [GOOD]


def test_a_message_is_not_finished_after_the_deadline(
    replay: Replay, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQS delivers the messages again whose events weren't billed in time."""
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "0.2")
    hyperline.respond(FakeResponse(202, b"", delay=0.5))

    assert replay(GOOD, FILTERED, MIXED) == [GOOD, MIXED]


def test_a_message_is_not_finished_while_the_secret_is_unreadable(
    replay: Replay, aws: FakeAws
) -> None:
    """The next attempt bills its events."""
    aws.fail("GetSecretValue", Fault())

    assert replay(GOOD) == [GOOD]
    assert replay(GOOD) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "null",
        "[]",
        "{}",
        '{"reason": "no"}',
        '{"reason": "no", "events": []}',
        '{"reason": "no", "events": {}}',
        '{"event": {"type": "track"}}',
        json.dumps(track()),
        json.dumps([track()]),
        "\ud800",
        "[" * 100_000,
    ],
)
def test_an_invalid_message_is_not_finished(replay: Replay, body: str) -> None:
    """A message that the function didn't write does not fail the rest."""
    assert replay(body, GOOD) == [body]


def test_a_message_without_a_reason_is_replayed(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """The reason is for people only."""
    assert replay(json.dumps({"events": [track()]})) == []
    assert stored(hyperline) == [BILLABLE]


@pytest.mark.parametrize("number", ["1e400", "9" * 5_000])
def test_a_message_with_a_number_that_is_too_large_is_not_finished(
    replay: Replay, number: str
) -> None:
    """The message can be parsed, and the event still can't be billed."""
    body = GOOD.replace('"seats": 3', f'"seats": {number}')

    assert replay(body) == [body]


def test_a_message_that_is_delivered_twice_is_billed_once(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """SQS delivers a message at least once."""
    assert replay(GOOD, GOOD) == []
    assert replay(GOOD) == []
    assert stored(hyperline) == [BILLABLE]
    assert len({request.body for request in hyperline.requests}) == 1


@pytest.mark.usefixtures("secret")
def test_concurrent_replays_bill_an_event_once(hyperline: FakeHyperline) -> None:
    """All of them post the same data, so their order makes no difference."""

    def bill(_: int) -> tuple[bool, int]:
        finished, report = replayer.bill_message(GOOD, Deadline(5))
        return finished, report.counts["delivered"]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(bill, range(8))) == [(True, 1)] * 8

    assert stored(hyperline) == [BILLABLE]
    assert len({request.body for request in hyperline.requests}) == 1


def test_a_replay_uses_the_current_mapping(
    replay: Replay,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An event is billed under its original id once the mapping was fixed."""
    body = message(track(userId=None))
    assert replay(body) == [body]

    fixed = read_rules('customer_id = "context.groupId"\nrecord = {}')
    monkeypatch.setattr("replayer.RULES", fixed)

    assert replay(body) == []
    assert stored(hyperline) == [
        BILLABLE | {"customer_id": "account-7", "record": {"id": track()["messageId"]}}
    ]


def test_each_message_has_one_log_line(
    replay: Replay, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the outcomes of the events, and no data of the events."""
    stream = io.StringIO()
    monkeypatch.setattr(replayer.logger.registered_handler, "stream", stream)

    replay(GOOD, MIXED, "not JSON")

    good, mixed, invalid = map(json.loads, stream.getvalue().splitlines())
    assert (good["level"], good["delivered"]) == ("INFO", 1)
    assert (mixed["level"], mixed["delivered"], mixed["quarantined"]) == (
        "WARNING",
        1,
        1,
    )
    assert mixed["errors"][0]["reason"] == "rule 1 (track): customer_id: userId is null"
    assert invalid["errors"][0]["reason"].startswith("not JSON")
    (metric_set,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert metric_set["Delivered"] == [1, 1, 0]
    assert "customer-42" not in stream.getvalue()
