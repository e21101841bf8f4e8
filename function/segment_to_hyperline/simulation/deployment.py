"""The settings of a deployment that a simulation is about."""

from dataclasses import replace

from segment_to_hyperline.simulation.model import Deployment, Scenario
from segment_to_hyperline.simulation.template import read_template


def read_deployment(concurrency: int = 1_000) -> Deployment:
    """Return the default settings of template.yaml, for an account's *concurrency*."""
    template = read_template()
    parameters, resources = template["Parameters"], template["Resources"]
    receiver = resources["Receiver"]["Properties"]["Environment"]["Variables"]
    messages = resources["ReplayerMessages"]["Properties"]
    return Deployment(
        requests_per_second=parameters["MaxRequestsPerSecond"]["Default"],
        park_after=parameters["ParkAfterSeconds"]["Default"] / 60,
        time_budget_seconds=float(receiver["TIME_BUDGET_SECONDS"]),
        replay_batch_messages=messages["BatchSize"],
        concurrency=concurrency,
    )


def scale_deployment(deployment: Deployment, scenario: Scenario) -> Deployment:
    """Return *deployment* with limits that fit a normal hour of *scenario*.

    Who sends thousands of requests per second has to raise MaxRequestsPerSecond and the
    account's concurrency, also without an outage.
    """
    requests = scenario.events_per_second / scenario.batch_events
    return replace(
        deployment,
        requests_per_second=max(deployment.requests_per_second, 5 * requests),
        concurrency=max(deployment.concurrency, round(5 * requests)),
    )
