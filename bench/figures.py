"""Write the figures: a table in the README, and a plot."""

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
from bench.contenders import FLOOR, IMPORTS, REFERENCE, ROOT, SEGMENT, THIS, USUAL
from tools.local_stack import run_sam

README = ROOT / "README.md"
PLOT = ROOT / "bench/cpu-per-event.svg"
COLUMNS = (THIS, FLOOR, USUAL, SEGMENT)
NOTHING = "-"

type Row = tuple[str, ...]


@dataclass
class Figures:
    """What was measured.

    Times are in seconds (cold), nanoseconds (warm) and microseconds of CPU an event
    (arrays, by their size); memory is in bytes.
    """

    zipped: int
    cold: dict[str, float] = field(default_factory=dict)
    warm: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    arrays: dict[str, dict[int, float]] = field(default_factory=dict)
    upstream: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    growth: int = 0
    peak: dict[str, int] = field(default_factory=dict)
    rules: dict[str, float] = field(default_factory=dict)

    def table(self) -> str:
        """Return the figures as a Markdown table, and how they came about."""
        heads = [("", *COLUMNS), ("---", *["---"] * len(COLUMNS))]
        rows = [*heads, *self._ratios(), *self._values(), *self._ours()]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([*lines, "", self._explanation()])

    def _ratios(self) -> list[Row]:
        cpu, wall = (
            {name: statistics.median(times[kind]) for name, times in self.warm.items()}
            for kind in ("cpu", "wall")
        )
        return [
            ("cold start, ratio to ours", *relate(self.cold)),
            ("one event, CPU, ratio to ours", *relate(cpu)),
            ("one event, wall, ratio to ours", *relate(wall)),
            *(self._array_row(size) for size in self.arrays[REFERENCE] if size > 1),
        ]

    def _values(self) -> list[Row]:
        return [
            (
                "cold start, ms",
                *group_items(lambda name: f"{self.cold[name] * 1e3:.0f}"),
            ),
            self._warm_row("CPU", "cpu"),
            self._warm_row("wall", "wall"),
            self._count_row("one by one", "singles"),
            self._count_row("in an array", "array"),
            (
                "peak memory, MB",
                *group_items(lambda name: f"{self.peak[name] / 1e6:.0f}"),
            ),
        ]

    def _array_row(self, size: int) -> Row:
        reference = self.arrays[REFERENCE][size]
        return (
            f"array of {size:,}, CPU, ratio to reading and writing its JSON",
            *group_items(lambda name: f"{self.arrays[name][size] / reference:.2f}"),
        )

    def _warm_row(self, name: str, kind: str) -> Row:
        return (
            f"one event, {name}, µs: median, 99th percentile",
            *group_items(lambda contender: cut(self.warm[contender][kind])),
        )

    def _count_row(self, how: str, kind: str) -> Row:
        return (
            f"1,000 events {how}: calls, connections to Hyperline",
            *group_items(lambda contender: tell(self.upstream[contender][kind])),
        )

    def _ours(self) -> list[Row]:
        others = [NOTHING] * (len(COLUMNS) - 1)
        return [
            ("growth over 10,000 calls, MB", f"{self.growth / 1e6:.1f}", *others),
            ("artifact, zipped, MB", f"{self.zipped / 1e6:.2f}", *others),
        ]

    def _explanation(self) -> str:
        imports = self.cold[THIS] / self.cold[IMPORTS]
        return (
            f"A cold start takes {imports:.2f} times that of a function that only makes"
            " boto3's Secrets Manager client and imports requests. 1,000 events through"
            f" 20 rules with conditions cost {self.rules['few']:.2f} times the CPU of"
            " reading and writing their JSON, and through 1,000 such rules"
            f" {self.rules['many']:.2f} times that. Measured by `make bench`,"
            f" {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {processor()},"
            f" {', '.join(versions())}."
        )


def group_items(find: Callable[[str], str]) -> list[str]:
    """Return a cell for each column; nothing where a contender has no such figure."""
    cells = []
    for name in COLUMNS:
        try:
            cells.append(find(name))
        except KeyError:
            cells.append(NOTHING)
    return cells


def relate(values: dict[str, float]) -> list[str]:
    """Return a cell for each column with its ratio to this function's value."""
    return group_items(lambda name: f"{values[name] / values[THIS]:.2f}")


def cut(nanoseconds: list[int]) -> str:
    """Return the median and the 99th percentile in microseconds."""
    cuts = statistics.quantiles(nanoseconds, n=100)
    return f"{cuts[49] / 1e3:,.0f}, {cuts[98] / 1e3:,.0f}"


def tell(counts: dict[str, int]) -> str:
    """Return how many calls and new connections there were."""
    return f"{counts['calls']:,}, {counts['connections']:,}"


def zipped_bytes(folder: Path) -> int:
    """Return the size of *folder* as it is uploaded to Lambda."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return buffer.tell()


def versions() -> list[str]:
    """Return what the figures were measured with."""
    found = [
        f"Python {platform.python_version()}",
        run_sam("--version").strip().replace(", version", ""),
    ]
    if node := shutil.which("node"):
        told = subprocess.run([node, "--version"], capture_output=True, check=True)
        found.append(f"Node {told.stdout.decode().strip()}")
    return found


def processor() -> str:
    """Return the processor's name, as far as the system tells."""
    try:
        facts = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        facts = ""
    named = re.search(r"^model name\s*: (.+)$", facts, re.MULTILINE)
    return named[1] if named else platform.machine()


def write(found: Figures) -> None:
    """Put the tables between the README's markers, and the plot beside this file."""
    begin, end = "<!-- bench:begin -->\n", "<!-- bench:end -->"
    before, _, rest = README.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    picture = "![CPU an event over the size of the array](bench/cpu-per-event.svg)"
    parts = (found.table(), picture, costs.table(found.arrays[THIS]))
    text = "\n\n".join(parts)
    README.write_text(f"{before}{begin}{text}\n{end}{after}", "utf-8")
    plot(found.arrays)


def plot(arrays: dict[str, dict[int, float]]) -> None:
    """Draw the CPU time an event over the size of the array."""
    mpl.rcParams["svg.hashsalt"] = "cpu-per-event"  # the same picture for the same data
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in arrays.items():
        label = "reading and writing the JSON" if name == REFERENCE else name
        axes.loglog([*values], [*values.values()], marker="o", label=label)
    axes.set_xlabel("events in the call")
    axes.set_ylabel("CPU an event, µs")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ScalarFormatter())
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(PLOT, format="svg", metadata={"Date": None})
