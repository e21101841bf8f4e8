"""Fixtures: real lines, and what the templates deploy."""

import pytest

from tests.monitoring.deployed import Deployed, read_deployed
from tests.monitoring.lines import Lines, record_lines


@pytest.fixture(scope="session")
def lines() -> Lines:
    """The lines of the functions in each situation."""
    return record_lines()


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    """The alarms and metric filters."""
    return read_deployed()
