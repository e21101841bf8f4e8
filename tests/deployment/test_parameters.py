"""Values that the parameters accept, and when a changed one takes effect."""

import re
from collections.abc import Mapping

import pytest

from segment_to_hyperline.hyperline.facts import HOSTS
from segment_to_hyperline.simulation.template import read_template
from tests.deployment.transformed import EDITED, OTHER_VALUES, Stack
from tests.segment_to_hyperline.hyperline.test_url import INVALID, VALID

TEMPLATE = read_template()
PARAMETERS = TEMPLATE["Parameters"]
TOPICS = (
    ["", "arn:aws:sns:eu-west-1:123456789012:a", "arn:aws-cn:sns:cn-north-1:1:a"],
    [
        "a",
        "sns",
        "arn:aws:sqs:eu-west-1:123456789012:a",
        "arn:aws:sns:",
        " arn:a:sns:a",
    ],
)
# For each parameter with a pattern: values that it accepts, and values that it rejects.
EXAMPLES: Mapping[str, tuple[list[str], list[str]]] = {
    # A `*` or `?` would permit the functions to read other secrets.
    "SecretName": (
        ["", "segment-to-hyperline", "prod/a_b+c=d.e@f-9"],
        ["*", "a*", "a?", "a b", "${a}", "arn:aws:secretsmanager:eu-west-1:1:secret:a"],
    ),
    "HyperlineUrl": (["", *VALID], INVALID),
    "AlarmTopicArn": TOPICS,
    "ReportTopicArn": TOPICS,
    # A `*` or `?` would permit the function to read other objects.
    "ArchiveBucket": (
        ["", "segment-archive", "a.b-9"],
        ["*", "a*b", "a?b", "a", "Archive", "s3://archive", "archive/prod", "a_b"],
    ),
    "ArchivePrefix": (
        ["", "prod", "prod/", "prod/segment-logs/aB9/", "a=1/b.c_d"],
        ["/", "/prod", "*", "prod*", "prod?", "${a}", "a b"],
    ),
    # With 0, Lambda would reject every request.
    "ReservedConcurrency": (
        ["", "1", "9", "10", "250"],
        ["0", "00", "01", "-1", "1.5", "1e3", "a", "1 "],
    ),
}


def test_every_pattern_has_examples() -> None:
    """A changed pattern is noticed by what it accepts."""
    assert set(EXAMPLES) == {k for k, v in PARAMETERS.items() if "AllowedPattern" in v}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_wrong_value_fails_when_it_is_deployed(name: str) -> None:
    """And not when events arrive. CloudFormation matches the whole value."""
    pattern = PARAMETERS[name]["AllowedPattern"]
    accepted, rejected = EXAMPLES[name]

    assert [v for v in accepted if not re.fullmatch(pattern, v)] == []
    assert [v for v in rejected if re.fullmatch(pattern, v)] == []


def find_version(stack: Stack) -> tuple[str, str]:
    """Return what identifies the Receiver's version to CloudFormation."""
    return stack.version, stack.rows["ReceiverVersion", "Description"]


def read_configuration(stack: Stack) -> dict[str, str]:
    """Return what is part of a version of the Receiver."""
    return {
        path: value
        for (resource, path), value in stack.rows.items()
        if resource == "Receiver" and path != "ReservedConcurrentExecutions"
    }


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_a_changed_parameter_takes_effect(
    stacks: Mapping[str, Stack], name: str
) -> None:
    """It publishes a version of the Receiver, if it changes the Receiver.

    If it doesn't, Lambda rejects a new version, and the deployment fails.
    """
    before, after = stacks["defaults"], stacks[name]

    is_changed = read_configuration(before) != read_configuration(after)
    assert (find_version(before) != find_version(after)) is is_changed


def test_a_changed_property_takes_effect(stacks: Mapping[str, Stack]) -> None:
    """It publishes a version of the Receiver, though the code is the same."""
    before, after = stacks["defaults"], stacks[EDITED]

    assert before.version != after.version


def test_every_parameter_is_described() -> None:
    """The console shows each parameter in a group, with a description."""
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [p for group in interface["ParameterGroups"] for p in group["Parameters"]]

    assert sorted(grouped) == sorted(PARAMETERS)
    assert all(p["Description"] for p in PARAMETERS.values())


def test_the_description_of_the_url_names_the_key_prefixes() -> None:
    """The template says which key belongs to which host, as the code has it."""
    description = PARAMETERS["HyperlineUrl"]["Description"]

    assert all(prefix in description for prefix in HOSTS)
