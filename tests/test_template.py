"""template.yaml agrees with the code and with the vendors' limits."""

import re
from pathlib import Path

import pytest

from forwarder import config
from forwarder.aws.messages import MAX_MESSAGE_BYTES
from forwarder.hyperline.facts import HOSTS
from forwarder.segment.facts import RESPONSE_TIMEOUT_SECONDS, RETRY_WINDOW_SECONDS
from tests.forwarder.hyperline.test_url import INVALID, VALID
from tools.template import read_template

ROOT = Path(__file__).parents[1]


TEMPLATE = read_template()
RESOURCES = TEMPLATE["Resources"]


def variables(function: str) -> dict[str, str]:
    """Return the environment variables of *function* that are not in Globals."""
    environment: dict[str, str] = RESOURCES[function]["Properties"]["Environment"]
    return environment["Variables"]


def test_the_receiver_responds_before_segment_times_out() -> None:
    """The time budget is below Segment's timeout, and above the share for the queue."""
    budget = float(variables("Receiver")["TIME_BUDGET_SECONDS"])

    assert 1 <= budget < RESPONSE_TIMEOUT_SECONDS


def test_events_are_parked_before_segment_drops_them() -> None:
    """Segment retries at least once after the time from which events are parked."""
    parameter = TEMPLATE["Parameters"]["ParkAfterSeconds"]

    assert 0 <= parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"]
    assert parameter["MaxValue"] <= RETRY_WINDOW_SECONDS - 60 * 60
    assert variables("Receiver")["PARK_AFTER_SECONDS"] == "ParkAfterSeconds"


def test_the_default_of_the_code_is_that_of_the_template(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the variables, as in tests, the code behaves as deployed."""
    for name in ("PARK_AFTER_SECONDS", "BACKOFF_SECONDS", "TIME_BUDGET_SECONDS"):
        monkeypatch.delenv(name, raising=False)

    assert (
        config.park_after_seconds()
        == (TEMPLATE["Parameters"]["ParkAfterSeconds"]["Default"])
    )
    assert config.time_budget_seconds() == float(
        variables("Receiver")["TIME_BUDGET_SECONDS"]
    )
    assert config.backoff_seconds() == float(variables("Replayer")["BACKOFF_SECONDS"])


def test_functions_have_more_time_than_their_budget() -> None:
    """Lambda ends a function only after its own deadline, cold start included."""
    for function in ("Receiver", "Replayer"):
        budget = float(variables(function)["TIME_BUDGET_SECONDS"])

        assert RESOURCES[function]["Properties"]["Timeout"] >= budget + 5


def test_handlers_exist() -> None:
    """The names of the handlers are those in the code."""
    for function in ("Receiver", "Replayer"):
        module, _, name = RESOURCES[function]["Properties"]["Handler"].partition(".")

        source = (ROOT / f"function/{module}.py").read_text("utf-8")
        assert f"def {name}(" in source


def test_the_parameter_accepts_the_hosts_that_the_function_accepts() -> None:
    """A wrong URL fails when it is deployed, and not when events arrive."""
    pattern = TEMPLATE["Parameters"]["HyperlineUrl"]["AllowedPattern"]

    assert all(re.fullmatch(pattern, url) for url in ("", *VALID))
    assert [url for url in INVALID if re.fullmatch(pattern, url)] == []


def test_queues_reject_requests_without_tls() -> None:
    """Both queues contain customer data."""
    policy = RESOURCES["QueuePolicy"]["Properties"]

    assert policy["Queues"] == ["Quarantine", "Replay"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_queues_accept_the_largest_message_of_the_code() -> None:
    """A large event that SQS rejects stays with Segment, which drops it after hours."""
    for queue in ("Quarantine", "Replay"):
        properties = RESOURCES[queue]["Properties"]

        assert properties["MaximumMessageSize"] == MAX_MESSAGE_BYTES


def test_lambda_does_not_stop_the_replayer() -> None:
    """It writes to the queue that it reads, in which events can wait for days."""
    assert RESOURCES["Replayer"]["Properties"]["RecursiveLoop"] == "Allow"


def test_queues_outlive_the_stack() -> None:
    """Their messages can be revenue."""
    for queue in ("Quarantine", "Replay"):
        assert RESOURCES[queue]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert RESOURCES[queue]["UpdateReplacePolicy"] == "Retain"


def test_the_replayer_can_only_read_its_own_queue() -> None:
    """SAM would attach a policy for all queues to a function with an SQS event."""
    assert "Events" not in RESOURCES["Replayer"]["Properties"]
    for policy in RESOURCES["Replayer"]["Properties"]["Policies"]:
        for statement in policy["Statement"]:
            if "sqs:ReceiveMessage" in statement["Action"]:
                assert statement["Resource"] == "Replay.Arn"


def test_every_parameter_is_described() -> None:
    """The console shows each parameter in a group, with a description."""
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [p for group in interface["ParameterGroups"] for p in group["Parameters"]]

    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    assert all(p["Description"] for p in TEMPLATE["Parameters"].values())


def test_the_description_of_the_url_names_the_key_prefixes() -> None:
    """The template says which key belongs to which host, as the code has it."""
    description = TEMPLATE["Parameters"]["HyperlineUrl"]["Description"]

    assert all(prefix in description for prefix in HOSTS)
