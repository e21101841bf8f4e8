"""The stacks that the template deploys."""

from collections.abc import Mapping

import pytest

from tests.deployment.transformed import Stack, deploy_all


@pytest.fixture(scope="session")
def stacks() -> Mapping[str, Stack]:
    """What is deployed, by the name of the scenario."""
    return deploy_all()


@pytest.fixture
def stack(stacks: Mapping[str, Stack]) -> Stack:
    """The stack with every resource, and the defaults that these don't change."""
    return stacks["all resources"]
