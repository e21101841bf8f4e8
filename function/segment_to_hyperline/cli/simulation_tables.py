"""Tables of simulations: one scenario, the outages of docs/capacity.md, and days."""

from collections.abc import Iterator, Sequence
from itertools import groupby

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
from segment_to_hyperline.text import LINE_LENGTH, align

# The heads of the columns have two lines, so that a row fits a terminal.
_COLUMNS = (
    ("", "", "max.", "requests", "", "billed", "extra"),
    ("Hyperline", "lost", "parked", "/event", "Receivers", "after", "cost"),
)
_DAYS = (
    ("", "fails for", "no response", "fails for", "no response"),
    ("", "these events", "to them", "all events", "to any"),
)
_DAY_ROWS = (
    *("parked events", "unprocessable", "billed", "quarantined"),
    *("posts to isolate", "posts to retry isolated", "extra posts in an outage"),
    *("longest wait of the rest", "all billed or quarantined"),
)
# The faults of the table of outages, and how many hours they last.
CASES = (
    (Fault.DOWN, 1),
    (Fault.DOWN, 10),
    (Fault.DOWN, 72),
    (Fault.HANGS, 10),
    (Fault.OVERLOAD, 8),
)
_OVERLOADED_SHARE = 2 / 3

type _Simulation = tuple[Scenario, SimulatedOutage]


def print_table(deployment: Deployment, *, is_adaptive: bool) -> None:
    """Print all cases for 10 to 10,000 events per second, alone and in batches."""
    simulations = []
    for rate in (10, 100, 1_000, 10_000):
        for batch in (1, 100):
            for fault, hours in CASES:
                overloaded = fault is Fault.OVERLOAD
                limit = rate / batch * _OVERLOADED_SHARE if overloaded else 100
                scenario = Scenario(
                    events_per_second=rate,
                    batch_events=batch,
                    fault=fault,
                    fault_hours=hours,
                    hyperline_requests_per_second=limit,
                    is_adaptive=is_adaptive,
                )
                scaled = scale_deployment(deployment, scenario)
                simulations.append((scenario, simulate(scaled, scenario)))
    print_outages(simulations)


def print_outages(simulations: Sequence[_Simulation]) -> None:
    """Print a row for each outage, below a line with its rate and batch size."""
    rows = [tuple(describe(*simulation)) for simulation in simulations]
    lines = align([*_COLUMNS, *rows], LINE_LENGTH)
    heads, rest = lines[: len(_COLUMNS)], lines[len(_COLUMNS) :]
    print(*heads, sep="\n")
    pairs = zip((scenario for scenario, _ in simulations), rest, strict=True)
    for traffic, group in groupby(pairs, lambda pair: describe_traffic(pair[0])):
        print(f"\n{traffic}:", *(line for _, line in group), sep="\n")


def print_days(rate: float, batch: int, share: float) -> None:
    """Print days in which Hyperline can't process a *share* of the events, or any."""
    days = [
        simulate_day(Day(rate, batch, 0 if is_outage else share, hangs, is_outage))
        for is_outage in (False, True)
        for hangs in (False, True)
    ]
    rows = zip(_DAY_ROWS, *map(describe_day, days), strict=True)
    print(*align([*_DAYS, *rows], LINE_LENGTH), sep="\n")


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


def describe_traffic(scenario: Scenario) -> str:
    """Return how many events arrive, and in which requests."""
    rate = f"{scenario.events_per_second:,.10g} events per second"
    return f"{rate}, {scenario.batch_events:,} in a request"


def describe(scenario: Scenario, outage: SimulatedOutage) -> Iterator[str]:
    """Yield the cells of a row."""
    yield f"{scenario.fault.value} {scenario.fault_hours:g} h"
    yield f"{outage.lost_share:.1%}" if outage.lost_share else "0"
    yield f"{outage.max_parked:,.0f}"
    yield f"{outage.requests_per_event:.2f}"
    yield f"{outage.max_concurrency:,.0f}"
    recovery = outage.hours_to_recover
    yield "> 14 days" if recovery is None else f"{recovery:.1f} h"
    yield f"${outage.extra_dollars:,.2f}"
