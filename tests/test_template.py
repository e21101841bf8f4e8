"""template.yaml agrees with the code and with the vendors' limits."""

from pathlib import Path
from typing import Any

import yaml

import receiver
from forwarder.hyperline.facts import HOSTS
from forwarder.report import NAMESPACE
from forwarder.segment.facts import RESPONSE_TIMEOUT_SECONDS, RETRY_WINDOW_SECONDS

ROOT = Path(__file__).parents[1]


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as their arguments."""


def _construct(loader: _Loader, _tag: str, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            return loader.construct_scalar(node)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case _:
            return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _construct)
TEMPLATE = yaml.load((ROOT / "template.yaml").read_text("utf-8"), _Loader)
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
    park_after = float(variables("Receiver")["PARK_AFTER_SECONDS"])

    assert park_after <= RETRY_WINDOW_SECONDS - 60 * 60


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


def test_alarms_watch_metrics_that_the_receiver_emits() -> None:
    """An alarm on a misspelled metric would never fire."""
    emitted = {rejection.metric for rejection in receiver.REJECTIONS.values()}
    alarms = [
        resource["Properties"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    ours = [alarm for alarm in alarms if not alarm["Namespace"].startswith("AWS/")]

    assert {alarm["MetricName"] for alarm in ours} == {"Unauthorized", "Malformed"}
    for alarm in ours:
        assert alarm["Namespace"] == NAMESPACE
        assert alarm["MetricName"] in emitted
        assert alarm["Dimensions"] == [{"Name": "service", "Value": "receiver"}]


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
