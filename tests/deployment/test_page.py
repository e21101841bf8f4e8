"""The template deploys what docs/deployment.md says, and nothing else."""

from collections import Counter
from collections.abc import Mapping

import pytest

from segment_to_hyperline.simulation.template import read_template
from tests.deployment.page import read_page
from tests.deployment.transformed import OTHER_VALUES, SCENARIOS, Stack

PAGE = read_page()
ABSENT = "absent"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_template_deploys_what_the_page_says(
    stacks: Mapping[str, Stack], scenario: str
) -> None:
    """Nothing is missing, added or changed, whichever parameters are set."""
    stack = stacks[scenario]
    expected = PAGE.expect(stack)

    differences = {
        " ".join(
            key
        ): f"{stack.rows.get(key, ABSENT)}, page: {expected.get(key, ABSENT)}"
        for key in stack.rows.keys() | expected.keys()
        if stack.rows.get(key) != expected.get(key)
    }
    assert differences == {}


def test_each_row_has_a_reason() -> None:
    """A value without a reason can't be questioned, and is changed without thought."""
    assert [row for row in PAGE.rows if not row.reason] == []


def test_no_row_contradicts_another() -> None:
    """Each property has one value, and one more for each parameter that changes it."""
    counts = Counter((row.resource, row.property, row.option) for row in PAGE.rows)

    assert [key for key, count in counts.items() if count > 1] == []


def test_the_template_has_no_other_sections() -> None:
    """The page has the resources, the parameters and the outputs, and nothing else."""
    assert set(read_template()) == {
        *("AWSTemplateFormatVersion", "Transform", "Description", "Metadata"),
        *("Parameters", "Conditions", "Globals", "Resources", "Outputs"),
    }


def test_every_parameter_is_varied() -> None:
    """The scenarios have another value of each parameter of the template."""
    assert set(OTHER_VALUES) == set(read_template()["Parameters"])
