"""Write the figures: tables in bench/README.md, and a plot."""

import os
import platform
import re
import shutil
import statistics
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from bench import costs
from bench.contenders import FLOOR, IMPORTS, REFERENCE, SEGMENT, THIS, USUAL
from local_stack.aws import ROOT, run_sam

README = ROOT / "bench/README.md"
PLOT = ROOT / "bench/cpu-per-event.svg"
COLUMNS = (THIS, FLOOR, USUAL, SEGMENT)
NOTHING = "-"

type Row = tuple[str, ...]


@dataclass
class Figures:
    """The measurements.

    Times are in seconds (cold), nanoseconds (warm), and microseconds of CPU per event
    (arrays, by size, and rejected requests without and with a forged signature); memory
    and the log are in bytes.
    """

    zipped: int
    cold: dict[str, float] = field(default_factory=dict)
    warm: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    arrays: dict[str, dict[int, float]] = field(default_factory=dict)
    upstream: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    growth: int = 0
    peak: dict[str, int] = field(default_factory=dict)
    rules: dict[str, float] = field(default_factory=dict)
    rejected_cpu: float = 0
    forged_cpu: float = 0
    logged: dict[int, int] = field(default_factory=dict)

    def table(self) -> str:
        """Return the figures as a Markdown table, and how they were measured."""
        head = [("", *COLUMNS), ("---", *["---"] * len(COLUMNS))]
        rows = [*head, *self._ratios(), *self._values(), *self._single_column()]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([*lines, "", self._explanation()])

    def _ratios(self) -> list[Row]:
        cpu, wall = (
            {name: statistics.median(times[kind]) for name, times in self.warm.items()}
            for kind in ("cpu", "wall")
        )
        return [
            ("cold start, ratio to this function", *compare(self.cold)),
            ("one event, CPU, ratio to this function", *compare(cpu)),
            ("one event, wall, ratio to this function", *compare(wall)),
            *(self._array_row(size) for size in self.arrays[REFERENCE] if size > 1),
        ]

    def _values(self) -> list[Row]:
        return [
            (
                "cold start, ms",
                *fill_cells(lambda name: f"{self.cold[name] * 1e3:.0f}"),
            ),
            self._warm_row("CPU", "cpu"),
            self._warm_row("wall", "wall"),
            self._count_row("one by one", "singles"),
            self._count_row("in an array", "array"),
            (
                "peak memory, MB",
                *fill_cells(lambda name: f"{self.peak[name] / 1e6:.0f}"),
            ),
        ]

    def _array_row(self, size: int) -> Row:
        reference = self.arrays[REFERENCE][size]
        return (
            f"array of {size:,}, CPU, ratio to reading and writing its JSON",
            *fill_cells(lambda name: f"{self.arrays[name][size] / reference:.2f}"),
        )

    def _warm_row(self, name: str, kind: str) -> Row:
        return (
            f"one event, {name}, µs: median, 99th percentile",
            *fill_cells(lambda contender: format_times(self.warm[contender][kind])),
        )

    def _count_row(self, how: str, kind: str) -> Row:
        return (
            f"1,000 events {how}: requests, connections to Hyperline",
            *fill_cells(
                lambda contender: format_counts(self.upstream[contender][kind])
            ),
        )

    def _single_column(self) -> list[Row]:
        others = [NOTHING] * (len(COLUMNS) - 1)
        return [
            ("growth over 10,000 requests, MB", f"{self.growth / 1e6:.1f}", *others),
            ("artifact, zipped, MB", f"{self.zipped / 1e6:.2f}", *others),
        ]

    def _explanation(self) -> str:
        imports = self.cold[THIS] / self.cold[IMPORTS]
        return (
            f"A cold start takes {imports:.2f} times as long as that of a function that"
            " only creates boto3's Secrets Manager client and imports requests. Mapping"
            " 1,000 events with 20 rules that have conditions takes"
            f" {self.rules['few']:.2f} times the CPU of reading and writing their JSON."
            f" With 1,000 such rules it takes {self.rules['many']:.2f} times the CPU of"
            f" 20 rules. Measured by `make bench`, {datetime.now(UTC):%Y-%m-%d},"
            f" {os.cpu_count()} cores of {processor()}, {', '.join(versions())}."
        )


def fill_cells(find: Callable[[str], str]) -> list[str]:
    """Return a cell for each column; `NOTHING` if *find* raises KeyError for it."""
    cells = []
    for name in COLUMNS:
        try:
            cells.append(find(name))
        except KeyError:
            cells.append(NOTHING)
    return cells


def compare(values: dict[str, float]) -> list[str]:
    """Return a cell for each column with its ratio to this function's value."""
    return fill_cells(lambda name: f"{values[name] / values[THIS]:.2f}")


def format_times(nanoseconds: list[int]) -> str:
    """Return the median and the 99th percentile in microseconds."""
    cuts = statistics.quantiles(nanoseconds, n=100)
    return f"{cuts[49] / 1e3:,.0f}, {cuts[98] / 1e3:,.0f}"


def format_counts(counts: dict[str, int]) -> str:
    """Return the number of requests and of connections."""
    return f"{counts['requests']:,}, {counts['connections']:,}"


def zipped_bytes(folder: Path) -> int:
    """Return the size of *folder* as it is uploaded to Lambda."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return buffer.tell()


def versions() -> list[str]:
    """Return the versions of the programs that were used."""
    lines = [
        f"Python {platform.python_version()}",
        run_sam("--version").strip().replace(", version", ""),
    ]
    if node := shutil.which("node"):
        shown = subprocess.run([node, "--version"], capture_output=True, check=True)
        lines.append(f"Node {shown.stdout.decode().strip()}")
    return lines


def processor() -> str:
    """Return the processor's name, or its architecture if the name is unknown."""
    try:
        facts = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        facts = ""
    found = re.search(r"^model name\s*: (.+)$", facts, re.MULTILINE)
    return found[1] if found else platform.machine()


def write(measured: Figures) -> None:
    """Write the tables between the README's markers, and the plot beside this file."""
    begin, end = "<!-- bench:begin -->\n", "<!-- bench:end -->"
    before, _, rest = README.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    picture = "![CPU per event by size of the array](cpu-per-event.svg)"
    cpu = {0: measured.rejected_cpu, **measured.arrays[THIS]}
    parts = (
        measured.table(),
        picture,
        costs.table(cpu, measured.logged),
        costs.describe_flood(measured.forged_cpu, measured.logged[0]),
    )
    text = "\n\n".join(parts)
    README.write_text(f"{before}{begin}{text}\n{end}{after}", "utf-8")
    plot(measured.arrays)


def plot(arrays: dict[str, dict[int, float]]) -> None:
    """Plot the CPU time per event by size of the array."""
    # Text stays text instead of outlines, and equal data give equal files.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "cpu-per-event"}
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in arrays.items():
        if len(values) < len(arrays[USUAL]):
            continue  # only single events were measured
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
