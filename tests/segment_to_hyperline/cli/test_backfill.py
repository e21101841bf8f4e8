"""The command `backfill`: what it writes to Hyperline and to a production queue."""

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import write
from segment_to_hyperline.installed.stack import Stack, create_queue_url, find_stack
from tests.clock import ago
from tests.conftest import Queue, Secret
from tests.fake_aws import FakeAws, Fault
from tests.segment_to_hyperline.cli.backfills import (
    HOUR,
    OLD,
    RECENT,
    Backfill,
    bill,
    count_done,
    event,
    ids,
    read_plan,
)
from tests.segment_to_hyperline.installed.test_stack import deploy

LINE_ITEMS = '[[rules]]\neach = "properties.items"\nrecord = { n = "item" }\n'


@pytest.fixture
def line_items(tmp_path: Path) -> Path:
    """A mapping that bills each item of an event."""
    path = tmp_path / "items.toml"
    path.write_text(LINE_ITEMS)
    return path


def test_without_yes_nothing_is_sent(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """The plan is shown; events whose invoice may be closed are left out."""
    bill(hyperline, *RECENT[1:])

    done = backfill([*RECENT, OLD])

    assert (done.exit_code, hyperline.requests) == (0, [])
    assert [line.split()[:3] for line in read_plan(done)[:2]] == [
        ["post", "1", "what"],
        ["left", "out", "1"],
    ]
    assert "older than 3 days, its invoice may be closed; see --old" in done.stdout


def test_what_is_missing_is_billed_and_nothing_else(
    backfill: Backfill, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """The second time, nothing is missing any more."""
    bill(hyperline, *RECENT[2:])
    arguments = [*RECENT, OLD], "--direct", "--yes"

    first, second = backfill(*arguments), backfill(*arguments)

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr
    assert ids(hyperline) == {"m-0", "m-1", "m-2", "m-3"}
    posted = [json.loads(request.body) for request in hyperline.requests]
    assert {each["record"]["id"] for each in posted} == {"m-0", "m-1"}
    assert count_done(first) == {("done", "post"): 2}
    assert read_plan(second)[0].startswith("left out  1")
    assert list(tmp_path.glob("*backfill*")) == []


def test_old_events_are_billed_only_if_that_is_asked_for(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """Hyperline closes an invoice 3 days after its period by default."""
    backfill([OLD], "--direct", "--yes")
    assert ids(hyperline) == set()

    backfill([OLD], "--direct", "--yes", "--old")

    assert ids(hyperline) == {"m-9"}


def test_what_differs_is_overwritten_only_if_that_is_asked_for(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """Somebody may have corrected it."""
    bill(hyperline, event(0, properties={"seats": 99}))

    assert read_plan(backfill(RECENT[:1], "--direct", "--yes")) == ["nothing to do"]
    done = backfill(RECENT[:1], "--direct", "--yes", "--different")

    assert count_done(done) == {("done", "overwrite"): 1}
    (stored,) = map(json.loads, hyperline.store.values())
    assert stored["record"]["seats"] == 3


def test_events_are_put_into_the_replay_queue(
    backfill: Backfill, hyperline: FakeHyperline, replay_queue: Queue
) -> None:
    """As Segment sent them, and with the environment of the key."""
    done = backfill(RECENT, "--queue-url", replay_queue.url, "--yes")

    assert done.exit_code == 0, done.stderr
    (attributes,) = replay_queue.attributes()
    assert attributes == {
        "StoredAt": ago(0),
        "Environment": "sandbox",
    }
    assert replay_queue.messages() == [
        {"code": "backfill", "reason": "backfill", "events": RECENT}
    ]
    assert hyperline.requests == []


def test_events_that_the_queue_rejects_are_reported(
    backfill: Backfill, aws: FakeAws, replay_queue: Queue
) -> None:
    """Each is in the output, and the exit status is 1."""
    aws.fail("SendMessageBatch", *[Fault()] * 3)

    done = backfill(RECENT, "--queue-url", replay_queue.url, "--yes")

    assert (done.exit_code, count_done(done)) == (1, {("FAILED", "post"): 4})
    assert done.stdout.count("FAILED: post  Seats Added  m-") == 4
    assert done.stderr.startswith("Failed: 4 items of the plan could not be done")
    assert replay_queue.messages() == []


def test_events_that_hyperline_rejects_are_reported(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """The rest is billed."""
    hyperline.unknown_customers.add("nobody")

    done = backfill([*RECENT, event(5, userId="nobody")], "--direct", "--yes")

    assert done.exit_code == 1
    assert count_done(done) == {("done", "post"): 4, ("FAILED", "post"): 1}
    assert done.stderr.startswith("Failed: 1 item of the plan could not be done")


@pytest.mark.parametrize(
    "options",
    [
        ["--yes"],
        ["--yes", "--direct", "--queue-url", "x"],
        ["--yes", "--direct", "--stack", "x"],
    ],
)
def test_one_destination_is_required(
    backfill: Backfill, hyperline: FakeHyperline, options: list[str]
) -> None:
    """Nothing is sent to another destination than the one that is meant."""
    done = backfill(RECENT, *options)

    assert done.exit_code == 2
    assert "--yes needs either --stack, --queue-url or --direct" in done.stderr
    assert (hyperline.reads, hyperline.requests) == ([], [])


def test_the_environment_of_the_key_must_be_known(
    backfill: Backfill, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it is not known where to post."""
    monkeypatch.setenv("HYPERLINE_API_KEY", "other")
    monkeypatch.delenv("HYPERLINE_URL")  # which would accept any key

    done = backfill(RECENT, "--direct", "--yes")

    assert done.exit_code == 2
    assert "neither prod_ nor test_" in done.stderr
    assert (hyperline.reads, hyperline.requests) == ([], [])


def test_a_queue_that_cannot_be_used_is_reported_first(
    backfill: Backfill, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reconciliation can last for minutes."""
    # They are imported as in a new process, where that creates AWS clients.
    for name in ("aws.queues", "aws.clients", "replay_queue"):
        monkeypatch.delitem(sys.modules, f"segment_to_hyperline.{name}", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    url = "http://localhost/000000000000/stack-Replay-1"
    done = backfill(RECENT, "--queue-url", url, "--yes")

    assert done.exit_code == 2
    assert "the queue can't be used: You must specify a region" in done.stderr
    assert hyperline.reads == []


def test_nothing_is_sent_if_a_part_of_the_input_cannot_be_read(
    backfill: Backfill, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """It could be the last version of an event, which is the one to bill."""
    damaged = tmp_path / "damaged.ndjson"
    damaged.write_text("nonsense\n")

    done = backfill(RECENT, str(damaged), "--direct", "--yes")

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.endswith("nothing was planned: repair or remove this part.\n")
    damaged.write_text(f"nonsense\n{write(RECENT[0])}\nnonsense\n")
    done = backfill(RECENT, str(damaged), "--direct", "--yes")
    assert done.stderr.endswith("nothing was planned: repair or remove these parts.\n")
    assert hyperline.requests == []


@pytest.mark.parametrize("billed_before", [False, True])
def test_the_last_version_of_an_event_is_sent(
    backfill: Backfill,
    hyperline: FakeHyperline,
    line_items: Path,
    *,
    billed_before: bool,
) -> None:
    """What only an earlier version has is not missing."""
    first, last = (event(0, properties={"items": items}) for items in ([1, 2], [3]))
    options = ("--direct", "--yes", "--mapping", str(line_items))
    if billed_before:
        backfill([last], *options)

    done = backfill([first, last], *options)

    assert done.exit_code == 0
    stored = [json.loads(body)["record"] for body in hyperline.store.values()]
    assert stored == [{"n": 3, "id": "m-0:0"}]
    assert len(hyperline.requests) == 1


def test_what_is_not_an_event_is_not_sent(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """Segment's files contain such elements."""
    done = backfill([[RECENT[0], None], RECENT[1]], "--direct", "--yes")

    assert count_done(done) == {("done", "post"): 2}
    assert ids(hyperline) == {"m-0", "m-1"}


def test_more_events_than_are_looked_up_at_a_time_are_sent(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """All of them, and each once."""
    done = backfill(
        [event(n) for n in range(600)], "--direct", "--yes", "--rate", "100"
    )

    assert count_done(done) == {("done", "post"): 600}
    assert len(hyperline.store) == len(hyperline.requests) == 600


def test_the_key_is_read_from_the_secret(
    backfill: Backfill,
    hyperline: FakeHyperline,
    secret: Secret,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless it is in the environment."""
    monkeypatch.delenv("HYPERLINE_API_KEY")

    done = backfill(RECENT, "--direct", "--yes", "--secret-id", secret.name)

    assert count_done(done) == {("done", "post"): len(hyperline.store)}


def test_without_any_key_nothing_is_compared(
    backfill: Backfill, hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says why the secret can't be read, without the account's id."""
    monkeypatch.delenv("HYPERLINE_API_KEY")

    done = backfill(RECENT, "--secret-id", "unknown")

    assert done.exit_code == 2
    assert "no API key: set HYPERLINE_API_KEY, or use --stack; " in done.stderr
    assert "the secret 'unknown' in the region us-east-1 can't be read" in done.stderr
    assert hyperline.reads == []


def test_nothing_is_sent_if_hyperline_cannot_be_read(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """What seems to be missing could be stored."""
    hyperline.outage = FakeResponse(503)

    done = backfill(RECENT, "--direct", "--yes")

    assert done.exit_code == 3
    assert done.stderr.startswith("Incomplete: ")
    assert hyperline.requests == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "yesterday"), "yesterday is neither a day"),
        (("--event-type", ""), "a name is empty"),
    ],
)
def test_an_invalid_option_is_reported_first(
    backfill: Backfill,
    hyperline: FakeHyperline,
    options: tuple[str, ...],
    message: str,
) -> None:
    """Otherwise more could be sent than what is meant."""
    done = backfill(RECENT, "--direct", "--yes", *options)

    assert done.exit_code == 2
    assert message in done.stderr
    assert (hyperline.reads, hyperline.requests) == ([], [])


def test_only_events_of_the_time_range_are_sent(
    backfill: Backfill, hyperline: FakeHyperline
) -> None:
    """The end is not part of it."""
    events = [event(number, number * HOUR) for number in range(4)]
    times = ("--from", f"{ago(2 * HOUR)}", "--to", f"{ago(HOUR)}")

    backfill(events, "--direct", "--yes", *times)

    assert ids(hyperline) == {"m-2"}


@pytest.mark.parametrize("options", [(), ("--json",), ("--by", "month")])
@pytest.mark.parametrize("billed", [3, 4])
def test_the_ledger_writes_nothing(
    backfill: Backfill, hyperline: FakeHyperline, options: tuple[str, ...], billed: int
) -> None:
    """It fails if an event is missing."""
    bill(hyperline, *RECENT[:billed])

    done = backfill(RECENT, *options, command="ledger")

    assert done.exit_code == (billed != 4)
    assert hyperline.requests == []


@pytest.mark.parametrize("billed", [3, 4])
def test_a_reconciliation_writes_nothing(
    backfill: Backfill, hyperline: FakeHyperline, billed: int
) -> None:
    """It fails if an event is missing."""
    bill(hyperline, *RECENT[:billed])

    done = backfill(RECENT, "--format", "json", command="reconcile")

    assert json.loads(done.stdout)["matches"] == (billed == 4)
    assert done.exit_code == (billed != 4)
    assert hyperline.requests == []


def test_an_unreadable_part_fails_a_reconciliation(
    backfill: Backfill, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """It could be an event that is missing."""
    bill(hyperline, *RECENT)
    damaged = tmp_path / "damaged.ndjson"
    damaged.write_text("nonsense\n")

    done = backfill(RECENT, str(damaged), command="reconcile")

    assert done.exit_code == 1
    assert done.stderr.endswith("1 part of the input can't be read.\n")


@pytest.fixture
def stack(secret: Secret) -> Stack:
    """A deployed stack that uses the secret."""
    name = f"stack-{uuid.uuid4()}"
    deploy(name, SecretName=secret.name)
    return find_stack(name)


def receive(stack: Stack) -> list[Any]:
    """Return the messages in the queue Replay of *stack*."""
    client = boto3.client("sqs")
    found = client.receive_message(
        QueueUrl=create_queue_url(stack.find_replay()),
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
    )
    return found.get("Messages", [])


@pytest.mark.parametrize("with_arn", [False, True])
def test_the_stack_has_everything_that_is_needed(
    backfill: Backfill, stack: Stack, monkeypatch: pytest.MonkeyPatch, *, with_arn: bool
) -> None:
    """Its secret has the key, and its queue gets the events."""
    monkeypatch.delenv("HYPERLINE_API_KEY")
    options = ["--queue-url", stack.replay_arn] if with_arn else []

    done = backfill(RECENT, "--stack", stack.name, "--yes", *options)

    assert (done.exit_code, count_done(done)) == (0, {("done", "post"): 4}), done.stderr
    (message,) = receive(stack)
    assert json.loads(message["Body"])["events"] == RECENT
    environment = message["MessageAttributes"]["Environment"]["StringValue"]
    assert environment == "sandbox"


def test_a_key_of_the_other_environment_is_rejected(
    backfill: Backfill,
    hyperline: FakeHyperline,
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Events would be compared with one environment, and billed in the other."""
    monkeypatch.setenv("HYPERLINE_API_KEY", "prod_1")

    done = backfill(RECENT, "--stack", stack.name, "--yes")

    assert done.exit_code == 2
    assert "HYPERLINE_API_KEY is a key of Hyperline's production" in done.stderr
    assert (hyperline.reads, receive(stack)) == ([], [])


def test_only_the_queue_replay_is_accepted(
    backfill: Backfill, hyperline: FakeHyperline, stack: Stack
) -> None:
    """From another one, nothing is delivered."""
    for options in ([], ["--stack", stack.name, "--region", stack.region]):
        done = backfill(RECENT, "--queue-url", stack.quarantine_arn, "--yes", *options)

        assert done.exit_code == 2
        assert "is the queue Quarantine" in done.stderr
    assert hyperline.reads == []


def test_the_queue_can_be_given_as_an_arn(backfill: Backfill, stack: Stack) -> None:
    """The outputs of a stack are ARNs."""
    done = backfill(RECENT, "--queue-url", stack.replay_arn, "--yes")

    assert done.exit_code == 0, done.stderr
    assert len(receive(stack)) == 1
