"""Templates are read as CloudFormation reads them."""

from pathlib import Path
from typing import Any

import pytest

from tests.cloudformation import read_resources

TEMPLATE = """
Parameters:
  Hours: {Type: Number, Default: 24}
  Topic: {Type: String, Default: ""}
Conditions:
  HasTopic: !Not [!Equals [!Ref Topic, ""]]
  IsUsed: !And [!Condition HasTopic, !Or [!Equals [1, 2], !Equals [!Ref Hours, "24"]]]
Resources:
  First:
    Condition: IsUsed
    Type: T
  Second:
    Type: !Sub "${Hours} of ${Other.Arn}"
    Enabled: false
    Actions: !If [HasTopic, [!Ref Topic], !Ref AWS::NoValue]
    Names: [!GetAtt Queue.QueueName, !Sub ["${A} ${Hours}", {A: !Ref Resource}]]
"""


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {"Second": {}}),
        (
            {"Topic": "topic"},
            {
                "First": {"Condition": "IsUsed", "Type": "T"},
                "Second": {"Actions": ["topic"]},
            },
        ),
    ],
)
def test_functions_of_a_template(
    tmp_path: Path, parameters: dict[str, str], expected: dict[str, Any]
) -> None:
    """They are resolved with the parameters; other references stay references."""
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)

    resources = read_resources(path, **parameters)

    expected["Second"] |= {
        "Type": "24 of ${Other.Arn}",
        "Enabled": "false",
        "Names": ["${Queue.QueueName}", "${Resource} 24"],
    }
    assert resources == expected


@pytest.mark.parametrize(
    ("condition", "value"), [("!Odd [1]", "1"), ("!Equals [1, 1]", "!Odd [1]")]
)
def test_an_unknown_function_is_an_error(
    tmp_path: Path, condition: str, value: str
) -> None:
    """No alarm is left out, or misread, because of one."""
    path = tmp_path / "template.yaml"
    path.write_text(
        f"Parameters: {{}}\nConditions: {{A: {condition}}}\n"
        f"Resources: {{B: {{Condition: A, Type: {value}}}}}"
    )

    with pytest.raises(ValueError, match="Odd"):
        read_resources(path)
