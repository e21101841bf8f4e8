"""The table of what is assumed about Hyperline."""

import re

import pytest

from local_stack.behaviour import ANSWERS
from segment_to_hyperline.hyperline.assumptions import (
    ASSUMPTIONS,
    CANNOT_WORK,
    NOT_DOCUMENTED,
    Assumption,
)
from segment_to_hyperline.simulation.template import read_template
from tests.segment_to_hyperline.test_imports import MODULE_TREES, reach

MODULE = "hyperline.assumptions"
# The vendor's documentation, and its own package.
SOURCES = ("https://docs.hyperline.co/", "https://www.npmjs.com/package/@hyperline/")
EACH = pytest.mark.parametrize("assumption", ASSUMPTIONS, ids=lambda each: each.name)


@EACH
def test_this_version_works_with_what_it_assumes(assumption: Assumption) -> None:
    """The assumed answer is a possible one, and needs nothing."""
    assert assumption.answers[assumption.answer] == ""
    assert len(assumption.answers) > 1


@EACH
def test_a_source_is_the_vendors(assumption: Assumption) -> None:
    """Nothing is assumed because of somebody else's page."""
    assert assumption.source.startswith((*SOURCES, NOT_DOCUMENTED))


@EACH
def test_the_modules_that_depend_on_it_exist(assumption: Assumption) -> None:
    """So a reader finds the code to change."""
    assert assumption.used_by
    assert set(assumption.used_by) <= MODULE_TREES.keys()


def test_a_setting_is_a_parameter_with_this_value() -> None:
    """What the probe recommends can be deployed."""
    meanings = {m for each in ASSUMPTIONS for m in each.answers.values()}
    settings = [
        found.groups()
        for meaning in meanings
        if (found := re.fullmatch(r"set the parameter (\w+) to (\w+)", meaning))
    ]

    assert settings == [("IngestionVersion", "v2")]
    for name, value in settings:
        assert value in read_template()["Parameters"][name]["AllowedValues"]


def test_few_answers_are_impossible_to_live_with() -> None:
    """Each of them is known; other answers cost at most a degradation."""
    impossible = {
        (each.name, answer)
        for each in ASSUMPTIONS
        for answer, meaning in each.answers.items()
        if meaning == CANNOT_WORK
    }

    assert impossible == {
        ("paths", "neither"),
        ("response to an event", "something else"),
        ("response to a batch", "something else"),
        ("repeated id", "stored twice"),
    }


def test_the_fake_has_the_same_questions_and_answers() -> None:
    """By default, it behaves as assumed."""
    table = {each.name: set(each.answers) for each in ASSUMPTIONS}

    assert {name: set(answers) for name, answers in ANSWERS.items()} == table
    defaults = {name: answers[0] for name, answers in ANSWERS.items()}
    assert defaults == {each.name: each.answer for each in ASSUMPTIONS}


@pytest.mark.parametrize("entry", ["receiver", "replayer", "daily_check"])
def test_no_deployed_function_imports_it(entry: str) -> None:
    """It would make a cold start slower, and only the probe needs it."""
    assert MODULE not in reach(f"entry.{entry}")
