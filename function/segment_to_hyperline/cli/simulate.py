"""The command `simulate`."""

from importlib import import_module
from pathlib import Path

import click

from segment_to_hyperline.cli.given import reject_given
from segment_to_hyperline.cli.simulation_tables import (
    print_days,
    print_outages,
    print_table,
)
from segment_to_hyperline.cli.statuses import format_epilog
from segment_to_hyperline.simulation import model
from segment_to_hyperline.simulation.deployment import read_deployment
from segment_to_hyperline.simulation.model import (
    Fault,
    Scenario,
    SimulatedOutage,
)

# What isn't used by the table of outages, and by the days of --unprocessable.
_OF_A_SCENARIO = ("--batch", "--fault", "--hours", "--limit", "--plot")
_OF_OUTAGES = ("--fault", "--hours", "--limit", "--concurrency", "--adaptive", "--plot")


@click.command(epilog=format_epilog("simulate --rate 90 --hours 10"))
@click.option("--rate", type=click.FloatRange(min=0.001), help="Events per second.")
@click.option(
    "--batch",
    type=click.IntRange(1, 4_000),
    help="Events in a request; by default 1, and 100 with --unprocessable.",
)
@click.option(
    "--fault",
    type=click.Choice([fault.value for fault in Fault]),
    default="down",
    show_default=True,
    help="What is wrong with Hyperline.",
)
@click.option(
    "--hours",
    type=click.FloatRange(0.1, 240),
    default=10,
    show_default=True,
    help="How long the fault lasts.",
)
@click.option(
    "--limit",
    type=click.FloatRange(min=0.001),
    default=100,
    show_default=True,
    help="Requests per second that Hyperline accepts.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=10),
    default=1_000,
    show_default=True,
    help="Concurrent executions of the AWS account; a new one can have 10.",
)
@click.option("--adaptive", is_flag=True, help="Segment slows down after errors.")
@click.option(
    "--unprocessable",
    type=click.FloatRange(0.001, 100),
    help="Percentage of the events that Hyperline fails to process, for a day.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a plot of the scenario, as SVG.",
)
def simulate(  # noqa: PLR0913 - the options of the command
    rate: float | None,
    batch: int | None,
    fault: str,
    hours: float,
    limit: float,
    *,
    concurrency: int,
    adaptive: bool,
    unprocessable: float | None,
    plot: Path | None,
) -> None:
    """Show how many events are lost, parked and billed during an outage.

    The settings are the defaults of template.yaml. Without --rate, it prints a table of
    outages for 10 to 10,000 events per second. With --unprocessable, it prints how many
    posts it takes to find such events during a day, by default at 1 event per second in
    requests of 100. docs/capacity.md lists the assumptions.
    """
    if unprocessable is not None:
        reject_given(_OF_OUTAGES, "with --unprocessable")
        print_days(rate or 1, batch or 100, unprocessable / 100)
        return
    deployment = read_deployment(concurrency)
    if rate is None:
        reject_given(_OF_A_SCENARIO, "without --rate")
        print_table(deployment, is_adaptive=adaptive)
        return
    scenario = Scenario(rate, batch or 1, Fault(fault), hours, limit, adaptive)
    outage = model.simulate(deployment, scenario)
    print_outages([(scenario, outage)])
    if plot:
        write_plot(outage, plot)


def write_plot(outage: SimulatedOutage, path: Path) -> None:
    """Write a plot of *outage* with matplotlib, which only this option needs."""
    try:
        module = import_module("segment_to_hyperline.simulation.plot")
    except ModuleNotFoundError as error:
        raise click.UsageError(
            f"--plot needs {error.name}: install segment-to-hyperline[plot]"
        ) from error
    module.plot(outage, path)
