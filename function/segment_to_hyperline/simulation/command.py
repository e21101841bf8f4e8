"""Print simulations: one scenario, or the table of docs/capacity.md."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from segment_to_hyperline.simulation.isolation import Day, Summary, simulate_day
from segment_to_hyperline.simulation.model import (
    Deployment,
    Fault,
    Outcome,
    Scenario,
    simulate,
)
from segment_to_hyperline.simulation.template import read_template

# Wide enough for every row, also where the output is not a terminal.
_WIDTH = 160
_COLUMNS = (
    *("events/s", "in a request", "Hyperline", "lost", "max. parked"),
    *("requests/event", "max. concurrency", "hours until billed", "extra cost"),
)
_OVERLOADED_SHARE = 2 / 3


_DAYS = (
    *("fails for these events", "doesn't respond to them"),
    *("fails for all events", "doesn't respond to any"),
)
_DAY_ROWS = (
    *("parked events", "unprocessable", "billed", "quarantined"),
    "posts to isolate the unprocessable",
    "posts to retry them until they are quarantined",
    "extra posts while nothing is accepted",
    "longest wait of another event",
    "time until everything is billed or quarantined",
)


class Case(NamedTuple):
    """A fault for the table, and what it is called."""

    name: str
    fault: Fault
    hours: float


CASES = (
    Case("down for 1 hour", Fault.DOWN, 1),
    Case("down for 10 hours", Fault.DOWN, 10),
    Case("down for 3 days", Fault.DOWN, 72),
    Case("hangs for 10 hours", Fault.HANGS, 10),
    Case("overloaded for 8 hours", Fault.NONE, 8),
)


def read_deployment(concurrency: int = 1_000) -> Deployment:
    """Return the default settings of template.yaml, for an account's *concurrency*."""
    template = read_template()
    parameters, resources = template["Parameters"], template["Resources"]
    receiver = resources["Receiver"]["Properties"]["Environment"]["Variables"]
    messages = resources["ReplayMessages"]["Properties"]
    return Deployment(
        requests_per_second=parameters["RequestsPerSecond"]["Default"],
        park_after=parameters["ParkAfterSeconds"]["Default"] / 60,
        time_budget_seconds=float(receiver["TIME_BUDGET_SECONDS"]),
        replay_batch_messages=messages["BatchSize"],
        concurrency=concurrency,
    )


def scale_deployment(deployment: Deployment, scenario: Scenario) -> Deployment:
    """Return *deployment* with limits that fit a normal hour of *scenario*.

    Who sends thousands of requests per second has to raise RequestsPerSecond and the
    account's concurrency, also without an outage.
    """
    requests = scenario.events_per_second / scenario.batch_events
    return replace(
        deployment,
        requests_per_second=max(deployment.requests_per_second, 5 * requests),
        concurrency=max(deployment.concurrency, round(5 * requests)),
    )


def print_table(deployment: Deployment, *, is_adaptive: bool) -> None:
    """Print all cases for 10 to 10,000 events per second, alone and in batches."""
    table = Table(*_COLUMNS, box=MARKDOWN)
    for rate in (10, 100, 1_000, 10_000):
        for batch in (1, 100):
            for case in CASES:
                requests = rate / batch
                overloaded = case.fault is Fault.NONE
                limit = requests * _OVERLOADED_SHARE if overloaded else 100
                scenario = Scenario(
                    events_per_second=rate,
                    batch_events=batch,
                    fault=case.fault,
                    fault_hours=case.hours,
                    hyperline_requests_per_second=limit,
                    is_adaptive=is_adaptive,
                )
                scaled = scale_deployment(deployment, scenario)
                outcome = simulate(scaled, scenario)
                table.add_row(*describe(scenario, case.name, outcome))
    Console(width=_WIDTH).print(table)


def print_scenario(deployment: Deployment, scenario: Scenario, name: str) -> None:
    """Print the result of one scenario."""
    table = Table(*_COLUMNS, box=MARKDOWN)
    table.add_row(*describe(scenario, name, simulate(deployment, scenario)))
    Console(width=_WIDTH).print(table)


def print_days(rate: float, batch: int, share: float) -> None:
    """Print days in which Hyperline can't process a *share* of the events, or any."""
    summaries = [
        simulate_day(Day(rate, batch, 0 if is_outage else share, hangs, is_outage))
        for is_outage in (False, True)
        for hangs in (False, True)
    ]
    table = Table("", *_DAYS, box=MARKDOWN)
    for name, *cells in zip(_DAY_ROWS, *map(describe_day, summaries), strict=True):
        table.add_row(name, *cells)
    Console(width=_WIDTH).print(table)


def describe_day(summary: Summary) -> Iterator[str]:
    """Yield the cells of a column; what is not counted is a dash."""
    yield f"{summary.parked:,}"
    yield f"{summary.unprocessable:,}"
    yield f"{summary.billed:,}"
    yield f"{summary.quarantined:,}"
    isolates = bool(summary.unprocessable)
    yield f"{summary.isolating_posts:,}" if isolates else "-"
    yield f"{summary.retrying_posts:,}" if isolates else "-"
    extra = summary.failed_posts - summary.failed_invocations
    yield "-" if isolates else f"{extra:,}"
    yield f"{summary.longest_wait / 60:.1f} min" if isolates else "-"
    yield f"{summary.end / 3_600:.0f} h"


def describe(scenario: Scenario, name: str, outcome: Outcome) -> Iterator[str]:
    """Yield the cells of a row."""
    yield f"{scenario.events_per_second:,.0f}"
    yield f"{scenario.batch_events:,}"
    yield name
    yield f"{outcome.lost_share:.1%}" if outcome.lost_share else "0"
    yield f"{outcome.max_parked:,.0f}"
    yield f"{outcome.requests_per_event:.2f}"
    yield f"{outcome.max_concurrency:,.0f}"
    recovery = outcome.hours_to_recover
    yield "more than 14 days" if recovery is None else f"{recovery:.1f}"
    yield f"${outcome.extra_dollars:,.2f}"
