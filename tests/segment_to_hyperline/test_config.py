"""The environment variables that template.yaml sets."""

import re
from pathlib import Path

import pytest

from segment_to_hyperline import config
from segment_to_hyperline.config import ConfigError
from segment_to_hyperline.simulation.template import read_template


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which one, and where it is set."""
    monkeypatch.delenv("SECRET_ID", raising=False)

    with pytest.raises(ConfigError, match="SECRET_ID is missing: set it as template"):
        config.secret_id()


def test_the_template_sets_every_variable() -> None:
    """No variable has a default in the code."""
    template = read_template()
    variables = set(template["Globals"]["Function"]["Environment"]["Variables"])
    nested = read_template("daily_check.yaml")["Resources"]
    for resource in (template["Resources"] | nested).values():
        environment = resource.get("Properties", {}).get("Environment", {})
        variables |= set(environment.get("Variables", ()))
    read = set(
        re.findall(r'_read\("(\w+)"\)', Path(config.__file__).read_text("utf-8"))
    )

    assert read
    assert read - variables == set()
