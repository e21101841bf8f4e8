"""template.yaml agrees with the code and with the vendors' limits."""

from pathlib import Path

import pytest

import receiver
import replayer
from forwarder import config
from forwarder.hyperline.facts import HOSTS
from forwarder.report import NAMESPACE
from forwarder.segment.facts import RESPONSE_TIMEOUT_SECONDS, RETRY_WINDOW_SECONDS
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


def test_alarms_watch_metrics_that_the_functions_emit() -> None:
    """An alarm on a misspelled metric would never fire."""
    emitted = {
        **{rejection.metric: "receiver" for rejection in receiver.REJECTIONS.values()},
        replayer.OLDEST_UNFINISHED: "replayer",
    }
    alarms = [
        resource["Properties"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    ours = [alarm for alarm in alarms if not alarm["Namespace"].startswith("AWS/")]

    assert {alarm["MetricName"] for alarm in ours} == {
        *("Unauthorized", "Malformed", "OldestUnfinished"),
    }
    for alarm in ours:
        assert alarm["Namespace"] == NAMESPACE
        service = emitted[alarm["MetricName"]]
        assert alarm["Dimensions"] == [{"Name": "service", "Value": service}]


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
