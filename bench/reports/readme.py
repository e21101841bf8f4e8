"""Write the figures into bench/README.md, and plot the CPU time beside it."""

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from bench.harness.build import HAND_WRITTEN, REFERENCE, THIS
from bench.reports import costs
from bench.reports.figures import Figures
from local_stack.aws import ROOT

README = ROOT / "bench/README.md"
PLOT = ROOT / "bench/cpu-per-event.svg"


def write(measured: Figures) -> None:
    """Write the tables between the README's markers, and the plot beside it."""
    begin, end = "<!-- bench:begin -->\n", "<!-- bench:end -->"
    before, _, rest = README.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    picture = "![CPU per event by size of the array](cpu-per-event.svg)"
    cpu = {0: measured.rejected_cpu(), **measured.cpu_per_event(THIS)}
    parts = (
        measured.table(),
        picture,
        costs.table(cpu, measured.logged()),
        costs.describe_flood(measured.forged_cpu(), measured.logged()[0]),
    )
    text = "\n\n".join(parts)
    README.write_text(f"{before}{begin}{text}\n{end}{after}", "utf-8")
    names = (THIS, HAND_WRITTEN, REFERENCE)
    plot({name: measured.cpu_per_event(name) for name in names})


def plot(arrays: dict[str, dict[int, float]]) -> None:
    """Plot the CPU time per event by size of the array."""
    # Text stays text instead of outlines, and equal data give equal files.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "cpu-per-event"}
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in arrays.items():
        label = "reading and writing the JSON" if name == REFERENCE else name
        axes.loglog([*values], [*values.values()], marker="o", label=label)
    axes.set_xlabel("events in the request")
    axes.set_ylabel("CPU per event, µs")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(PLOT, format="svg", metadata={"Date": None})
