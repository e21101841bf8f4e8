"""What the documentation says about durations, rates and limits is what the code does.

The table is written by hand, so that a changed constant, setting or sentence fails. The
tests after it are about durations that no other test of the behavior would notice.
"""
# ruff: noqa: SLF001 - most constants are private to their module

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import replayer
from local_stack.fake_api import FakeResponse
from local_stack.fake_hyperline import FakeHyperline
from local_stack.invocations import Context
from local_stack.segment_requests import write
from segment_to_hyperline import (
    backoff,
    pipeline,
    secret,
    secret_cache,
    telemetry,
    unfinished,
)
from segment_to_hyperline.aws import clients
from segment_to_hyperline.cli.redrive import redrive
from segment_to_hyperline.daily_check import time_needed
from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.hyperline import batch_size, breaker, host, plan
from segment_to_hyperline.hyperline import billable_event as billable
from segment_to_hyperline.hyperline import facts as hyperline_facts
from segment_to_hyperline.mapping import apply, limits, work
from segment_to_hyperline.quarantine import queue
from segment_to_hyperline.reconciliation import planning
from segment_to_hyperline.reconciliation.api import pace
from segment_to_hyperline.reconciliation.api.core import lists
from segment_to_hyperline.reconciliation.reconcile import Scope
from segment_to_hyperline.secret import SecretError
from segment_to_hyperline.segment import events
from segment_to_hyperline.segment import facts as segment_facts
from segment_to_hyperline.simulation import model
from segment_to_hyperline.simulation.template import read_template
from segment_to_hyperline.studio import events as studio_events
from segment_to_hyperline.studio import server as studio_server
from tests.clock import ago
from tests.conftest import Queue, Send
from tests.fake_aws import FakeAws, Fault
from tests.samples import TIMESTAMP, track

ROOT = Path(__file__).parents[1]
RESOURCES: dict[str, Any] = read_template()["Resources"]
PARAMETERS: dict[str, Any] = read_template()["Parameters"]


def setting(resource: str, name: str) -> Any:
    """Return the property or the environment variable *name* of a resource."""
    properties = RESOURCES[resource]["Properties"]
    variables = properties.get("Environment", {}).get("Variables", {})
    return float(variables[name]) if name in variables else properties[name]


def option(name: str) -> Any:
    """Return the default of an option of `quarantine redrive`."""
    return next(p.default for p in redrive.params if p.name == name)


MINUTE, HOUR = 60, 60 * 60
BUDGET = setting("Receiver", "TIME_BUDGET_SECONDS")
PARK_AFTER = PARAMETERS["ParkAfterSeconds"]["Default"]
ACCESS_LOG = setting("WebhookApiLog", "RetentionInDays") * 24 * HOUR
RETRIED = segment_facts.RETRY_WINDOW_SECONDS
# The Replayer and its queue.
REPLAYERS = setting("ReplayerMessages", "ScalingConfig")["MaximumConcurrency"]
REPLAYER_TIMEOUT = setting("Replayer", "Timeout")
# What a client was created with; its type doesn't have the fields.
AWS_TIMEOUTS: dict[str, int] = vars(clients._CONFIG)
REPLAYER_BUDGET = setting("Replayer", "TIME_BUDGET_SECONDS")
BACKOFF = setting("Replayer", "BACKOFF_SECONDS")
DELAYS = [BACKOFF * factor for factor in backoff._BACKOFF_FACTORS]
ISOLATED_DELAYS = [BACKOFF * f for f in backoff._ISOLATED_BACKOFF_FACTORS]
EXPIRED, HOPELESS = unfinished._MAX_AGE_SECONDS, unfinished._MAX_ISOLATED_SECONDS
LONELY = unfinished._MAX_LONELY_SECONDS
VISIBLE_AGAIN = setting("Replay", "VisibilityTimeout")
RECEIVES = setting("Replay", "RedrivePolicy")["maxReceiveCount"]
KEPT_IN_REPLAY = setting("Replay", "MessageRetentionPeriod")
KEPT_IN_QUARANTINE = setting("Quarantine", "MessageRetentionPeriod")
# The secret.
FRESH, CACHED = secret_cache._FRESH_SECONDS, secret_cache._MAX_AGE_SECONDS
STALE = secret_cache._MAX_STALE_SECONDS
# Hyperline.
HYPERLINE_RATE = hyperline_facts.MAX_REQUESTS / hyperline_facts.MAX_REQUESTS_SECONDS
POSTS_PER_SECOND = 1 / plan.REPLAYER.interval
CHECKED_PER_SECOND = 1_000_000 / time_needed.estimate_seconds(1_000_000, 0)
SMALLEST_BATCH = int(hyperline_facts.MAX_BATCH_EVENTS * batch_size._MIN_SHARE)
# How far a time can be from `receivedAt`.
PAST = limits.DEFAULT_LIMITS.max_days_in_past or timedelta()
FUTURE = limits.DEFAULT_LIMITS.max_days_in_future or timedelta()

# Sentences of each file, with the amounts in brackets, and what the code has for each
# amount: seconds, bytes or a number.
STATEMENTS: dict[str, list[tuple[str, *tuple[float, ...]]]] = {
    "README.md": [
        ("and an event is younger than [15 minutes] |", PARK_AFTER),
        ("hasn't accepted after [4 hours] of", RETRIED),
        ("and after [12 days] they wait for you", EXPIRED),
    ],
    "SECURITY.md": [
        ("can sign. It must have at least [16] characters", secret._MIN_RANDOM_LENGTH),
        ("the token must have at least [16] characters", secret._MIN_RANDOM_LENGTH),
        ("Only the first [64 KiB] of an unsigned body", events._FIRST_PART_BYTES),
        ("reads the secret at most once [a second]", secret_cache._RECENT_SECONDS),
        ("and its previous version once [a minute]", secret_cache._PREVIOUS_SECONDS),
        ("value is accepted within [a second]", secret_cache._RECENT_SECONDS),
        ("The old value is accepted for up to [5 minutes]", CACHED),
        (
            "senders' IP addresses and user agents; it is deleted after [14 days]",
            ACCESS_LOG,
        ),
        ("can read a message for [14 days]", KEPT_IN_QUARANTINE),
        ("own retries end after [4 hours]", RETRIED),
        ("Segment retries them for [4 hours]", RETRIED),
    ],
    "docs/quarantine.md": [
        ("for up to [120] seconds (`--timeout`)", option("timeout")),
        ("It sends [200] events per second (`--rate`)", option("rate")),
        ("the messages are hidden for [15 minutes]", queue.HIDDEN_SECONDS),
        ("At most [100,000] messages are read at once", queue.MAX_MESSAGES),
        ("and after [900] of them it gives up", unfinished._MAX_RECEIVES),
        ("and receives up to [ten] messages only", queue.BATCH),
        ("which is kept for [3,653] days (ten", setting("AuditLog", "RetentionInDays")),
    ],
    "CONTRIBUTING.md": [
        ("times out after about [4 seconds]", segment_facts.RESPONSE_TIMEOUT_SECONDS),
    ],
    "docs/operations.md": [
        ("More than [50] events of its request", telemetry.MAX_ROUTINE_IDS),
        ("the line lists only [10] messageIds", telemetry.SAMPLED_IDS),
        ("at most the slowest [99] of an invocation", telemetry._MAX_VALUES),
        ("SQS deletes the message after [14 days].", KEPT_IN_QUARANTINE),
        ("SQS deletes the message after [14 days], without", KEPT_IN_REPLAY),
        ("[14 days], after which SQS deletes the messages", KEPT_IN_REPLAY),
        ("moved to `Quarantine` after [1,000] attempts", RECEIVES),
        ("After [12 days] the event is moved", EXPIRED),
        ("events are parked for up to [12 days]", EXPIRED),
        ("or the key has failed for [12 days]", EXPIRED),
        ("the `Replayer` retries about every [15 minutes]", DELAYS[1]),
        ("parked from an age of [15 minutes]", PARK_AFTER),
        ("not accepted for [24 hours], while Hyperline accepts others", HOPELESS),
        ("not accepted for [48 hours], without others", LONELY),
        ("The new key is used within [10 seconds]", FRESH),
        ("After [10 seconds], set the new value", FRESH),
        ("store the new value, wait [10 seconds], and set", FRESH),
        ("accepted for up to [5 minutes], until every execution", CACHED),
        ("rejects the old one, and otherwise after [5 minutes];", CACHED),
        ("if the old one is a sandbox key, after [10 seconds]", FRESH),
        ("uses the new key within [10 seconds]", FRESH),
        ("the cached secret is used for up to [24 hours]", STALE),
        ("Wait [4 hours], which is how long Segment retries", RETRIED),
    ],
    "docs/capacity.md": [
        ("events that are younger than [15 minutes]", PARK_AFTER),
        ("more than [60 seconds] in the future", pipeline._MAX_CLOCK_SKEW_SECONDS),
        ("circuit breaker opens after [two] posts", breaker._MAX_SILENT_POSTS),
        ("posts. For [5 seconds], doubling", breaker._FIRST_PAUSE_SECONDS),
        ("doubling up to [60], nothing is posted", breaker._MAX_PAUSE_SECONDS),
        ("in the same way, up to [60 seconds]", breaker._MAX_PAUSE_SECONDS),
        ("receives up to [2,000] messages", setting("ReplayerMessages", "BatchSize")),
        ("After [five] that fail as well, it stops", plan._MAX_FAILED_EVENTS),
        ("delays the messages by about [1 to 15 minutes]", *DELAYS),
        ("delays them that long, up to [1 hour]", backoff._MAX_RETRY_AFTER_SECONDS),
        ("After [60 seconds] it receives more", REPLAYER_BUDGET),
        ("each attempt takes [five] posts of single", plan._MAX_FAILED_EVENTS),
        ("[two] concurrent `Replayers`", REPLAYERS),
        ("with fewer than [10] requests per second", REPLAYERS * POSTS_PER_SECOND),
        ("Messages that are not accepted for [12 days]", EXPIRED),
        ("half as many events, down to [78];", SMALLEST_BATCH),
        ("at most [20] posts in an invocation", plan.RECEIVER.unconfirmed_posts),
        ("and [200] in one of the `Replayer`", plan.REPLAYER.unconfirmed_posts),
        ("apart from the others, after [15 minutes],", ISOLATED_DELAYS[0]),
        ("and then after longer pauses of up to [4 hours]", ISOLATED_DELAYS[1]),
        ("`Replayer` ends after [8 seconds]", plan.REPLAYER.post_seconds),
        ("within the last [10 minutes] and before", host._ACCEPTS_SECONDS),
        ("before fewer than [5] failed events", host._MAX_FAILED_EVENTS),
        ("at the first attempt after [24 hours]", HOPELESS),
        ("or after [48 hours] if there is no other", LONELY),
        ("such events are quarantined after [48 hours]", LONELY),
        ("the default of [2,000] fits", PARAMETERS["MaxRequestsPerSecond"]["Default"]),
        ("**Hyperline** accepts [100] requests per second", HYPERLINE_RATE),
        ("| [5,000] events | Hyperline", hyperline_facts.MAX_BATCH_EVENTS),
        ("and at most [4,000] | Segment", segment_facts.MAX_BATCH_EVENTS),
        ("keeps messages for [14 days]", KEPT_IN_REPLAY),
        ("| [20,000] events | this application", events._MAX_ELEMENTS),
        ("billable event** has at most [256 KiB]", billable.MAX_EVENT_BYTES),
        ("from then on, and drops it after [4 hours]", RETRIED),
        ("A request takes [60 ms]", model._REQUEST_SECONDS),
        ("[20 ms] if it fails immediately", model._FAST_FAILURE_SECONDS),
        ("[2.25 s] if Hyperline hangs", BUDGET * (1 - pipeline.QUEUE_SHARE)),
    ],
    "docs/mapping.md": [
        ("At most [10,000] events are evaluated", studio_events.MAX_EVENTS),
        ("accepts files up to [200 MiB]", studio_server.MAX_BYTES),
        ("more than [1 day] later", FUTURE.total_seconds()),
        ("or more than [366 days] earlier", PAST.total_seconds()),
        ("`each` | [1,000], and", apply.MAX_ITEMS),
        ("1,000, and [1 MiB] of billable events |", apply.MAX_TOTAL_BYTES),
        ("a billable event | [256 KiB] |", billable.MAX_EVENT_BYTES),
        ("returns text | [1 MiB] |", work._MAX_CHARACTERS),
        ("an event | [4,000,000], which", work.MAX_STEPS),
    ],
    "docs/reconcile.md": [
        ("one request per [100] events", hyperline_facts.MAX_PAGE_EVENTS),
        ("uses [a quarter] of that", pace.SHARE),
        ("as long as less than [half] of it remains", pace._AMPLE_SHARE),
        ("Events older than [3 days] are left out", planning.GRACE_DAYS * 24 * HOUR),
        ("There are more than [10,000], so only the totals", Scope().most),
        ("as `backfill` does: up to [10,000] a day", Scope().most),
        ("none that is older than [3 days].", planning.GRACE_DAYS * 24 * HOUR),
        ("By default, [2,500] events a second are compared", CHECKED_PER_SECOND),
        ("a million events take [400 s],", 1_000_000 / CHECKED_PER_SECOND),
        ("compares up to [10,000] a second", time_needed.MAX_EVENTS_PER_SECOND),
    ],
    "docs/close.md": [
        ("with [a quarter] of the rate limit", pace.SHARE),
        ("which accepts [200] requests in 10 seconds", pace.CORE_LIMIT),
        ("which [half] are used", pace.CORE_SHARE),
        ("one for each [100] events on an invoice", lists.MAX_PAGE),
    ],
    "template.yaml": [
        ("seconds from 0 to [10800]", PARAMETERS["ParkAfterSeconds"]["MaxValue"]),
        ("the time budget of [3 s], and a margin", BUDGET),
        ("Segment times out after about [4 s]", segment_facts.RESPONSE_TIMEOUT_SECONDS),
        ("# [14 days], the longest SQS allows", KEPT_IN_QUARANTINE),
        ("# [six] times the Replayer's timeout", VISIBLE_AGAIN // REPLAYER_TIMEOUT),
        ("the time budget of [60 s], and a margin", REPLAYER_BUDGET),
        ("doubles with each attempt, up to [15 minutes]", DELAYS[1]),
    ],
    "function/segment_to_hyperline/aws/clients.py": [
        ("One attempt with timeouts of [1 second]:", AWS_TIMEOUTS["connect_timeout"]),
        ("with timeouts of [1 second]:", AWS_TIMEOUTS["read_timeout"]),
    ],
    "function/segment_to_hyperline/hyperline/plan.py": [
        ("[Two] of them with", REPLAYERS),
        ("of them with [5] posts per second each leave", POSTS_PER_SECOND),
        ("each leave [90%] of Hyperline's", 1 - REPLAYERS * POSTS_PER_SECOND / 100),
    ],
    "function/segment_to_hyperline/pipeline.py": [
        ("for SQS: [0.75 s] of", BUDGET * pipeline.QUEUE_SHARE),
        ("for SQS: 0.75 s of [3 s]", BUDGET),
    ],
}
WORDS = {
    "a": 1,
    "half": 1 / 2,
    "a quarter": 1 / 4,
    "two": 2,
    "five": 5,
    "six": 6,
    "ten": 10,
}
UNITS = {
    "%": 1 / 100,
    "ms": 1 / 1_000,
    "s": 1,
    "second": 1,
    "minute": MINUTE,
    "hour": HOUR,
    "day": 24 * HOUR,
    "kib": 1024,
    "mib": 1024 * 1024,
}


def read_amounts(sentence: str) -> Iterator[float]:
    """Yield the amounts in brackets; "1 to 15 minutes" are two."""
    for text in re.findall(r"\[(.+?)\]", sentence):
        *number, unit = re.sub("%$", " %", text).lower().split()
        factor = UNITS.get(unit) or UNITS.get(unit.removesuffix("s"))
        words = " ".join(number if factor else [*number, unit])
        for word in words.split(" to "):
            yield (WORDS.get(word) or float(word.replace(",", ""))) * (factor or 1)


@pytest.mark.parametrize(
    ("name", "sentence", "values"),
    [
        (name, sentence, values)
        for name, statements in STATEMENTS.items()
        for sentence, *values in statements
    ],
)
def test_a_documented_amount_is_that_of_the_code(
    name: str, sentence: str, values: list[float]
) -> None:
    """The file has the sentence once, and the code the amounts in it."""
    text = " ".join((ROOT / name).read_text("utf-8").split())

    assert text.count(re.sub(r"[\[\]]", "", sentence)) == 1
    assert list(read_amounts(sentence)) == pytest.approx(values)


@pytest.mark.parametrize(
    ("seconds", "counts"), [(59, {"pending": 1}), (61, {"parked": 1})]
)
@pytest.mark.usefixtures("clock")
def test_a_time_in_the_future_says_nothing_about_the_age(
    send: Send, hyperline: FakeHyperline, seconds: int, counts: dict[str, int]
) -> None:
    """Clocks differ by up to a minute; with another time the event could be lost."""
    hyperline.respond(503)
    received = datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=seconds)

    assert send(track(receivedAt=received.isoformat())).counts == counts


@pytest.mark.parametrize(("failures", "isolates"), [(3, True), (4, False)])
def test_an_event_is_not_isolated_after_five_failures(
    send: Send,
    hyperline: FakeHyperline,
    replay_queue: Queue,
    failures: int,
    *,
    isolates: bool,
) -> None:
    """Its own failure counts. Hyperline probably fails for any event then."""
    assert send(track()).status == 200
    hyperline.outage = FakeResponse(503)
    received = ago(0)
    for number in range(failures):
        assert send(track(messageId=str(number), receivedAt=received)).status == 503

    assert send(track(messageId="old", receivedAt=TIMESTAMP)).counts == {"parked": 1}

    (attributes,) = replay_queue.attributes()
    assert ("IsolatedAt" in attributes) == isolates


def test_a_request_to_aws_without_a_response_is_given_up(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends long before the time budget, so that Segment gets a response.

    The time is real, because it is the socket's.
    """
    monkeypatch.setenv("SECRET_ID", "silent")
    aws.fail("GetSecretValue", Fault("200 OK", b"{}", delay=4))

    with pytest.raises(SecretError, match="can't be read: ReadTimeoutError"):
        secret_cache.read_secret(Deadline(60))


@pytest.mark.usefixtures("secret", "quarantine", "replay_queue")
def test_the_replayer_posts_five_times_per_second(
    hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of messages, most of the rate limit is left to new events."""
    waits = record_waits(monkeypatch)

    assert replay([track(messageId=name, event=name) for name in "abcd"]) == []

    assert len(hyperline.requests) == 4
    assert waits == [0.2] * 3


@pytest.mark.usefixtures("secret", "quarantine", "replay_queue")
def test_the_replayer_waits_for_the_rest_of_its_time_budget(
    hyperline: FakeHyperline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it has a second to respond, before the event source sees a failure."""
    monkeypatch.setenv("BACKOFF_SECONDS", str(BACKOFF))
    monkeypatch.setenv("TIME_BUDGET_SECONDS", "60")
    waits = record_waits(monkeypatch)
    hyperline.outage = FakeResponse(503)

    assert len(replay([track()])) == 1

    assert 50 < max(waits) <= 59


def record_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the list of the waits in seconds, which then take no time."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits


def replay(found: list[dict[str, Any]]) -> list[str]:
    """Let the Replayer receive a message per event; return the unfinished ones."""
    sent_at = str(int(time.time() * 1_000))
    records = [
        {
            "messageId": event["messageId"],
            "receiptHandle": event["messageId"],
            "body": write({"reason": "", "events": [event]}),
            "attributes": {"SentTimestamp": sent_at, "ApproximateReceiveCount": "1"},
            "eventSource": "aws:sqs",
        }
        for event in found
    ]
    response = replayer.lambda_handler({"Records": records}, Context())
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
