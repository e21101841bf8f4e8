"""Tables of simulations: one scenario, the outages of docs/capacity.md, and days."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from segment_to_hyperline.simulation.deployment import scale_deployment
from segment_to_hyperline.simulation.isolation import (
    Day,
    SimulatedDay,
    simulate_day,
)
from segment_to_hyperline.simulation.model import (
    Deployment,
    Fault,
    Scenario,
    SimulatedOutage,
    simulate,
)

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
    """A fault of the table of outages."""

    name: str
    """What the table calls it."""
    fault: Fault
    hours: float
    """How long it lasts."""


CASES = (
    Case("down for 1 hour", Fault.DOWN, 1),
    Case("down for 10 hours", Fault.DOWN, 10),
    Case("down for 3 days", Fault.DOWN, 72),
    Case("hangs for 10 hours", Fault.HANGS, 10),
    Case("overloaded for 8 hours", Fault.OVERLOAD, 8),
)


def print_table(deployment: Deployment, *, is_adaptive: bool) -> None:
    """Print all cases for 10 to 10,000 events per second, alone and in batches."""
    table = Table(*_COLUMNS, box=MARKDOWN)
    for rate in (10, 100, 1_000, 10_000):
        for batch in (1, 100):
            for case in CASES:
                requests = rate / batch
                overloaded = case.fault is Fault.OVERLOAD
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
                outage = simulate(scaled, scenario)
                table.add_row(*describe(scenario, case.name, outage))
    Console(width=_WIDTH).print(table)


def print_scenario(deployment: Deployment, scenario: Scenario, name: str) -> None:
    """Print the result of one scenario."""
    table = Table(*_COLUMNS, box=MARKDOWN)
    table.add_row(*describe(scenario, name, simulate(deployment, scenario)))
    Console(width=_WIDTH).print(table)


def print_days(rate: float, batch: int, share: float) -> None:
    """Print days in which Hyperline can't process a *share* of the events, or any."""
    days = [
        simulate_day(Day(rate, batch, 0 if is_outage else share, hangs, is_outage))
        for is_outage in (False, True)
        for hangs in (False, True)
    ]
    table = Table("", *_DAYS, box=MARKDOWN)
    for name, *cells in zip(_DAY_ROWS, *map(describe_day, days), strict=True):
        table.add_row(name, *cells)
    Console(width=_WIDTH).print(table)


def describe_day(day: SimulatedDay) -> Iterator[str]:
    """Yield the cells of a column; what is not counted is a dash."""
    yield f"{day.parked:,}"
    yield f"{day.unprocessable:,}"
    yield f"{day.billed:,}"
    yield f"{day.quarantined:,}"
    isolates = bool(day.unprocessable)
    yield f"{day.isolating_posts:,}" if isolates else "-"
    yield f"{day.retrying_posts:,}" if isolates else "-"
    extra = day.failed_posts - day.failed_invocations
    yield "-" if isolates else f"{extra:,}"
    yield f"{day.longest_wait / 60:.1f} min" if isolates else "-"
    yield f"{day.end / 3_600:.0f} h"


def describe(scenario: Scenario, name: str, outage: SimulatedOutage) -> Iterator[str]:
    """Yield the cells of a row."""
    yield f"{scenario.events_per_second:,.0f}"
    yield f"{scenario.batch_events:,}"
    yield name
    yield f"{outage.lost_share:.1%}" if outage.lost_share else "0"
    yield f"{outage.max_parked:,.0f}"
    yield f"{outage.requests_per_event:.2f}"
    yield f"{outage.max_concurrency:,.0f}"
    recovery = outage.hours_to_recover
    yield "more than 14 days" if recovery is None else f"{recovery:.1f}"
    yield f"${outage.extra_dollars:,.2f}"
