"""The figures of a run, and the table of them."""

import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bench.harness.build import FLOOR, HAND_WRITTEN, IMPORTS, REFERENCE, SEGMENT, THIS
from bench.reports.machine import processor, versions
from bench.reports.markdown import wrap, write_table

COLUMNS = (THIS, FLOOR, HAND_WRITTEN, SEGMENT)
NOTHING = "-"

type Row = tuple[str, ...]


@dataclass
class Figures:
    """The measurements, most of them by contender."""

    zipped: int
    """The size of this function's artifact, in bytes."""
    cold: dict[str, float] = field(default_factory=dict)
    """The seconds of a cold start."""
    warm: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """The nanoseconds of each single event, by `wall` and `cpu`."""
    arrays: dict[str, dict[int, float]] = field(default_factory=dict)
    """The microseconds of CPU per event, by size of the array."""
    upstream: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """The `requests` and `connections` for 1,000 events, by `singles` and `array`."""
    growth: int = 0
    """By how many bytes this function's memory grows over 10,000 requests."""
    peak: dict[str, int] = field(default_factory=dict)
    """The most memory used, in bytes."""
    rules: float = 0
    """The CPU of 20 rules, relative to reading and writing the JSON."""
    rejected_cpu: float = 0
    """The microseconds of CPU of a request without a signature."""
    forged_cpu: float = 0
    """The microseconds of CPU of a request with a forged signature."""
    logged: dict[int, int] = field(default_factory=dict)
    """The bytes logged for a request, by its events; 0 for a rejected one."""

    def table(self) -> str:
        """Return the figures as a Markdown table, and how they were measured."""
        rows = [*self._ratios(), *self._values(), *self._single_column()]
        return f"{write_table(('', *COLUMNS), rows)}\n\n{self._explanation()}"

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
        return wrap(
            f"A cold start takes {imports:.2f} times as long as that of a function that"
            " only creates boto3's Secrets Manager client and imports requests. Mapping"
            f" 1,000 events with 20 rules that have conditions takes {self.rules:.2f}"
            " times the CPU of reading and writing their JSON. Measured by `make"
            f" bench`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of"
            f" {processor()}, {', '.join(versions())}."
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
