"""Plot a simulation over time."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from segment_to_hyperline.simulation.model import SimulatedOutage


def plot(outage: SimulatedOutage, path: Path) -> None:
    """Write an SVG with the events that are pending, parked and billed over time."""
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": path.name}
    step = max(1, len(outage.minutes) // 200)
    minutes = outage.minutes[::step]
    hours = [number * step / 60 for number in range(len(minutes))]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for label, values in (
        ("arrived", [minute.arrived for minute in minutes]),
        ("billed", [minute.billed for minute in minutes]),
        ("parked in Replay", [minute.parked for minute in minutes]),
        ("pending at Segment", [minute.pending for minute in minutes]),
    ):
        axes.plot(hours, [value / 1e6 for value in values], label=label)
    axes.set_xlabel("hours")
    axes.set_ylabel("million events")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})
