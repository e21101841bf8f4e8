"""Numbers of the template that are only right together, or because of a limit."""

import re

import pytest

from segment_to_hyperline import config
from segment_to_hyperline.attributes import NO_ATTRIBUTES
from segment_to_hyperline.aws.messages import MAX_MESSAGE_BYTES, ReceivedMessage
from segment_to_hyperline.backoff import choose_delay
from segment_to_hyperline.daily_check import deployment
from segment_to_hyperline.outcomes import Outcome
from segment_to_hyperline.reasons import Code
from segment_to_hyperline.results import Result
from segment_to_hyperline.segment.events import Event
from segment_to_hyperline.segment.facts import (
    RESPONSE_TIMEOUT_SECONDS,
    RETRY_WINDOW_SECONDS,
)
from segment_to_hyperline.simulation.template import read_template
from segment_to_hyperline.unfinished import Attempt, decide
from tests.deployment.transformed import Stack

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_RETENTION_SECONDS = 14 * 24 * 60 * 60
MAX_DELAYED_MESSAGES = 120_000
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024
MAX_FUNCTION_NAME = 64
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_INTEGRATION_SECONDS = 30

# How long a function can take to start, before its time budget begins.
COLD_START_SECONDS = 5
# How long reading the secret can take in the SmokeTester.
SECRET_SECONDS = 5

NOW = 1_800_000_000.0
PARAMETERS = read_template()["Parameters"]
NESTED = read_template("daily_check.yaml")["Resources"]


def received(age: float = 0, receives: int = 1) -> ReceivedMessage:
    """Return a message of Replay that was sent *age* seconds ago."""
    return ReceivedMessage("1", "handle", "", NOW - age, receives)


def decide_outcome(message: ReceivedMessage) -> Outcome:
    """Return what becomes of an event of *message* while Hyperline is down."""
    event = Event("{}", "m-1", attributes=NO_ATTRIBUTES)
    pending = Result(event, Outcome.PENDING, Code.HYPERLINE_FAILED, "down")
    attempt = Attempt(NOW, has_accepted=False, is_complete=False)
    (decided,) = decide(message, [pending], attempt)
    return decided.outcome


def test_the_receiver_responds_before_segment_times_out(stack: Stack) -> None:
    """The time budget is below Segment's timeout, and above the share for the queue."""
    budget = stack.variable("Receiver", "TIME_BUDGET_SECONDS")

    assert 1 <= budget < RESPONSE_TIMEOUT_SECONDS


@pytest.mark.parametrize("function", ["Receiver", "Replayer"])
def test_functions_have_more_time_than_their_budget(
    stack: Stack, function: str
) -> None:
    """Lambda ends a function only after its own deadline, cold start included."""
    budget = stack.variable(function, "TIME_BUDGET_SECONDS")

    assert stack.number(function, "Timeout") >= budget + COLD_START_SECONDS


def test_the_receiver_ends_before_api_gateway_does(stack: Stack) -> None:
    """Otherwise API Gateway returns 503 while the Receiver still bills the events."""
    assert stack.number("Receiver", "Timeout") < MAX_INTEGRATION_SECONDS


def test_the_smoke_test_waits_for_the_receiver(stack: Stack) -> None:
    """If the SmokeTester timed out first, CodeDeploy would wait for an hour."""
    longest = SECRET_SECONDS + stack.number("Receiver", "Timeout")

    assert stack.number("SmokeTester", "Timeout") >= longest + COLD_START_SECONDS


def test_events_are_parked_before_segment_drops_them() -> None:
    """Segment retries at least once after the time from which events are parked."""
    parameter = PARAMETERS["ParkAfterSeconds"]

    assert 0 <= parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"]
    assert parameter["MaxValue"] <= RETRY_WINDOW_SECONDS - 60 * 60


def test_the_tests_use_the_settings_of_the_template(stack: Stack) -> None:
    """What they promise of times is true of a deployed function."""
    assert config.park_after_seconds() == stack.variable(
        "Receiver", "PARK_AFTER_SECONDS"
    )
    assert config.time_budget_seconds() == stack.variable(
        "Receiver", "TIME_BUDGET_SECONDS"
    )
    assert config.backoff_seconds() == stack.variable("Replayer", "BACKOFF_SECONDS")


def test_a_message_stays_invisible_while_it_is_processed(stack: Stack) -> None:
    """Six times the timeout and the window, as AWS recommends for throttled retries."""
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    timeout = stack.number("Replayer", "Timeout")
    window = stack.number("ReplayerMessages", "MaximumBatchingWindowInSeconds")

    assert stack.number("Replay", "VisibilityTimeout") >= 6 * timeout + window


def test_lambda_accepts_the_batch(stack: Stack) -> None:
    """More than 10 messages need a window, and no batch has more than 10,000."""
    # https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
    size = stack.number("ReplayerMessages", "BatchSize")

    assert 10 < size <= 10_000
    assert stack.number("ReplayerMessages", "MaximumBatchingWindowInSeconds") >= 1


def test_the_largest_message_fits_an_invocation(stack: Stack) -> None:
    """Also if Lambda writes two bytes of UTF-8 as six characters of JSON."""
    size = stack.number("Replay", "MaximumMessageSize")

    assert size * 3 < MAX_PAYLOAD_BYTES


@pytest.mark.parametrize("queue", ["Quarantine", "Replay"])
def test_queues_accept_the_largest_message_of_the_code(
    stack: Stack, queue: str
) -> None:
    """A large event that SQS rejects stays with Segment, which drops it after hours."""
    assert stack.number(queue, "MaximumMessageSize") == MAX_MESSAGE_BYTES


@pytest.mark.parametrize("queue", ["Quarantine", "Replay"])
def test_queues_keep_events_as_long_as_sqs_can(stack: Stack, queue: str) -> None:
    """An event is lost when SQS deletes it, so a person gets as much time as possible.

    The times are equal, because SQS counts on in a dead-letter queue.
    """
    assert stack.number(queue, "MessageRetentionPeriod") == MAX_RETENTION_SECONDS


def test_the_replayer_quarantines_a_message_before_sqs_deletes_it(stack: Stack) -> None:
    """The last attempt is at most the longest delay before the end of the retention."""
    backoff = stack.variable("Replayer", "BACKOFF_SECONDS")
    isolated = received()._replace(
        receives=1_000,
        attributes=NO_ATTRIBUTES._replace(isolated_at="2027-01-15T08:00:00Z"),
    )
    delay = choose_delay(isolated, backoff, 1.2, 0)
    delay += round(stack.number("Replay", "VisibilityTimeout"))
    last = received(stack.number("Replay", "MessageRetentionPeriod") - delay)

    assert decide_outcome(received()) is Outcome.PENDING
    assert decide_outcome(last) is Outcome.QUARANTINED


def test_the_replayer_quarantines_a_message_before_sqs_moves_it(stack: Stack) -> None:
    """SQS would not write into the message why it wasn't delivered."""
    receives = round(stack.number("Replay", "RedrivePolicy.maxReceiveCount"))

    assert decide_outcome(received(receives=receives - 1)) is Outcome.QUARANTINED


def test_the_messages_of_an_outage_can_be_delayed(stack: Stack) -> None:
    """SQS delivers no more messages while 120,000 are delayed.

    Each Replayer pauses after a batch, so that the first messages are back before.
    """
    backoff = stack.variable("Replayer", "BACKOFF_SECONDS")
    budget = stack.variable("Replayer", "TIME_BUDGET_SECONDS")
    pause = min(backoff, budget - 1)
    delay = choose_delay(received(receives=1_000), backoff, 1.2, 0)
    concurrency = stack.number("ReplayerMessages", "ScalingConfig.MaximumConcurrency")
    batch = stack.number("ReplayerMessages", "BatchSize")

    assert concurrency * batch * delay / pause < MAX_DELAYED_MESSAGES


def test_the_longest_name_of_a_stack_is_documented(stack: Stack) -> None:
    """The name of the SmokeTester begins as CodeDeploy's role requires."""
    name = stack.rows["SmokeTester", "FunctionName"]
    prefix = name.removesuffix("${AWS::StackName}")
    (length,) = re.findall(r"at most (\d+)", PARAMETERS["SmokeTest"]["Description"])

    assert prefix == "CodeDeployHook_"
    assert len(prefix) + int(length) == MAX_FUNCTION_NAME


def test_a_failed_first_deployment_can_be_rolled_back() -> None:
    """S3 deletes no bucket with objects, and each deployment stores its mapping."""
    assert "DeployedMapping" in NESTED
    assert NESTED["Reports"]["DeletionPolicy"] == "Retain"
    assert NESTED["ReportsPolicy"]["DeletionPolicy"] == "Retain"


def test_cloudformation_waits_until_a_deployment_is_recorded() -> None:
    """The function retries, S3 can be slow, and the answer takes a moment, too."""
    slow_requests = 2 * 3 * 35  # to list and store, 3 attempts, 5 s and 30 s each
    needed = deployment.RETRY_SECONDS + slow_requests + deployment.TIMEOUT_SECONDS

    assert NESTED["DeployedMapping"]["Properties"]["ServiceTimeout"] > needed
