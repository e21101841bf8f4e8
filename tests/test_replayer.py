"""The Replayer: what was quarantined is billed, or goes back."""

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import replayer
import settings
import settlement
from conftest import Context, Secret
from deadline import Deadline
from fake_aws import FakeAws, Fault
from fake_hyperline import Answer, FakeHyperline
from samples import BILLABLE, read_rules, sqs_batch, track
from settlement import Outcome

type Replay = Callable[..., list[str]]


@pytest.fixture
def replay(secret: Secret, hyperline: FakeHyperline) -> Replay:
    """Replay message bodies, in one batch; return those that are not settled."""
    assert secret
    assert hyperline

    def replay(*bodies: str) -> list[str]:
        response = replayer.lambda_handler(sqs_batch(*bodies), Context())
        failures = response["batchItemFailures"]
        return [bodies[int(failure["itemIdentifier"])] for failure in failures]

    return replay


def message(*events: Any, reason: str = "no") -> str:
    """Return the body of a quarantine message."""
    return json.dumps({"reason": reason, "events": events})


def stored(hyperline: FakeHyperline) -> list[Any]:
    """Return what Hyperline holds."""
    return [json.loads(event) for event in hyperline.store.values()]


GOOD = message(track())
FILTERED = message(track(type="identify"))
MIXED = message(track(messageId="m-2"), track(userId=None))


def test_what_can_be_billed_now_is_billed(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """Its id is still the messageId, so what was billed before is not billed twice."""
    assert replay(GOOD, FILTERED) == []
    assert stored(hyperline) == [BILLABLE]


def test_a_message_stays_until_all_its_events_are_settled(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """The message goes back whole; its neighbours in the batch do not."""
    assert replay(GOOD, MIXED, FILTERED) == [MIXED]
    assert len(hyperline.store) == 2


def test_what_hyperline_goes_on_refusing_stays(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """A replay does not make a refused event disappear."""
    hyperline.refuses.add("customer-42")
    assert replay(GOOD) == [GOOD]

    hyperline.refuses.clear()

    assert replay(GOOD) == []
    assert stored(hyperline) == [BILLABLE]


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_failing_hyperline_leaves_the_message(
    replay: Replay, hyperline: FakeHyperline, status: int
) -> None:
    """What is not settled is never taken for done."""
    hyperline.answers(status, status)

    assert replay(GOOD) == [GOOD]


def test_a_slow_hyperline_leaves_the_message(
    replay: Replay, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages with events for which no time was left are delivered again by SQS."""
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "0.2")
    hyperline.answers(Answer(202, b"", delay=0.5))

    assert replay(GOOD, FILTERED, MIXED) == [GOOD, MIXED]


def test_an_unreadable_secret_leaves_the_message(replay: Replay, aws: FakeAws) -> None:
    """A mistake in the secret loses nothing here either."""
    aws.fail("GetSecretValue", Fault())

    assert replay(GOOD) == [GOOD]
    assert replay(GOOD) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "rubbish",
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
def test_a_message_that_is_none_of_ours_goes_back(replay: Replay, body: str) -> None:
    """A message that was edited into rubbish does not stop the others."""
    assert replay(body, GOOD) == [body]


def test_a_message_without_a_reason_is_replayed(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """What it was quarantined for does not matter any more."""
    assert replay(json.dumps({"events": [track()]})) == []
    assert stored(hyperline) == [BILLABLE]


@pytest.mark.parametrize("number", ["1e400", "9" * 5_000])
def test_a_number_too_large_goes_back(replay: Replay, number: str) -> None:
    """It is read, and it is still too large."""
    body = GOOD.replace('"seats": 3', f'"seats": {number}')

    assert replay(body) == [body]


def test_a_message_that_sqs_delivers_again_is_billed_once(
    replay: Replay, hyperline: FakeHyperline
) -> None:
    """SQS may deliver a message more than once."""
    assert replay(GOOD, GOOD) == []
    assert replay(GOOD) == []
    assert stored(hyperline) == [BILLABLE]
    assert len({request.body for request in hyperline.requests}) == 1


@pytest.mark.usefixtures("secret")
def test_two_replayers_at_once_bill_once(hyperline: FakeHyperline) -> None:
    """Each writes the same, so it does not matter which is the last."""
    secret = settings.read_secret(Deadline(5))

    def bill(_: int) -> list[Outcome]:
        events = replayer.read_events(GOOD)
        return [s.outcome for s in settlement.bill(events, secret, Deadline(5))]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(bill, range(8))) == [[Outcome.DELIVERED]] * 8

    assert stored(hyperline) == [BILLABLE]
    assert len({request.body for request in hyperline.requests}) == 1


def test_a_mended_mapping_applies(
    replay: Replay,
    hyperline: FakeHyperline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the mapping could not bill is billed once it can, under the same id."""
    body = message(track(userId=None))
    assert replay(body) == [body]

    mended = read_rules('customer_id = "context.groupId"\nrecord = {}')
    monkeypatch.setattr("settlement._rules", mended)

    assert replay(body) == []
    assert stored(hyperline) == [
        BILLABLE | {"customer_id": "account-7", "record": {"id": track()["messageId"]}}
    ]


def test_each_message_leaves_one_log_line(
    replay: Replay, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what became of the events, and nothing that is in them."""
    stream = io.StringIO()
    monkeypatch.setattr(replayer.logger.registered_handler, "stream", stream)

    replay(GOOD, MIXED, "rubbish")

    good, mixed, rubbish = map(json.loads, stream.getvalue().splitlines())
    assert (good["level"], good["delivered"]) == ("INFO", 1)
    assert (mixed["level"], mixed["delivered"], mixed["quarantined"]) == (
        "WARNING",
        1,
        1,
    )
    assert mixed["errors"][0]["reason"] == "rule 1 (track): customer_id: userId is null"
    assert rubbish["errors"][0]["reason"].startswith("not JSON")
    (metric_set,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert metric_set["Delivered"] == [1, 1, 0]
    assert "customer-42" not in stream.getvalue()
