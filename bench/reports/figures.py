"""The figures of a run, and the table of them."""

import os
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

from bench.harness.build import (
    FLOOR,
    HAND_WRITTEN,
    IMPORTS,
    REFERENCE,
    SEGMENT,
    THIS,
)
from bench.harness.measurements import SINGLE, Shape, Times, Turns
from bench.reports.machine import processor, versions
from bench.reports.markdown import wrap, write_table

COLUMNS = (THIS, HAND_WRITTEN, SEGMENT, FLOOR)
NOTHING = "-"

type Row = tuple[str, ...]


@dataclass
class Figures:
    """The measurements, most of them by contender."""

    zipped: int
    """The size of this function's artifact, in bytes."""
    cold: Turns = field(default_factory=dict)
    """The seconds of a cold start."""
    warm: Mapping[str, Times] = field(default_factory=dict)
    """The times of single events."""
    arrays: Mapping[Shape, Turns] = field(default_factory=dict)
    """The microseconds of CPU per event."""
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

    def cpu_per_event(self, name: str) -> dict[int, float]:
        """Return the median microseconds of the usual events, by their number."""
        return {
            shape.events: statistics.median(turns[name])
            for shape, turns in self.arrays.items()
            if shape.event_bytes == SINGLE.event_bytes
        }

    def table(self) -> str:
        """Return the figures as a Markdown table, and how they were measured."""
        rows = [*self._ratios(), *self._values(), *self._single_column()]
        return f"{write_table(('', *COLUMNS), rows)}\n\n{self._explanation()}"

    def _ratios(self) -> list[Row]:
        cpu = {name: take_medians(times.cpu) for name, times in self.warm.items()}
        wall = {name: take_medians(times.wall) for name, times in self.warm.items()}
        ratio = "ratio to hand-written"
        arrays = [shape for shape in self.arrays if shape != SINGLE]
        return [
            (f"cold start, {ratio}", *compare(self.cold, HAND_WRITTEN)),
            (f"one event, CPU, {ratio}", *compare(cpu, HAND_WRITTEN)),
            (f"one event, wall, {ratio}", *compare(wall, HAND_WRITTEN)),
            *(self._array_row(shape) for shape in arrays),
        ]

    def _values(self) -> list[Row]:
        return [
            (
                "cold start, ms",
                *fill_cells(
                    lambda name: f"{statistics.median(self.cold[name]) * 1e3:.0f}"
                ),
            ),
            (
                "one event, CPU, µs",
                *fill_cells(lambda n: format_times(self.warm[n].cpu)),
            ),
            (
                "one event, wall, µs",
                *fill_cells(lambda n: format_times(self.warm[n].wall)),
            ),
            self._count_row("one by one", "singles"),
            self._count_row("in an array", "array"),
            (
                "peak memory, MB",
                *fill_cells(lambda name: f"{self.peak[name] / 1e6:.0f}"),
            ),
        ]

    def _array_row(self, shape: Shape) -> Row:
        what = f"array of {shape.events:,} events of {shape.event_bytes:,} bytes"
        return (
            f"{what}, CPU, ratio to their JSON",
            *compare(self.arrays[shape], REFERENCE),
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
        imports = statistics.median(self.cold[THIS]) / statistics.median(
            self.cold[IMPORTS]
        )
        return wrap(
            "A ratio is the median of all rounds, with the lowest and the highest in"
            " parentheses. Times are the median, and the 99th percentile in"
            " parentheses. *Their JSON* is the time of a function that only reads and"
            " writes the JSON of the request. A cold start takes"
            f" {imports:.2f} times as long as that of a function that"
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


def compare(turns: Turns, base: str) -> list[str]:
    """Return a cell for each column: its ratio to *base*, over all rounds."""

    def find(name: str) -> str:
        ratios = [a / b for a, b in zip(turns[name], turns[base], strict=True)]
        if name == base:
            return "1.00"
        return (
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )

    return fill_cells(find)


def take_medians(rounds: Iterable[Iterable[int]]) -> list[float]:
    """Return the median of each round."""
    return [statistics.median(requests) for requests in rounds]


def format_times(rounds: Iterable[Iterable[int]]) -> str:
    """Return the median and the 99th percentile in microseconds."""
    cuts = statistics.quantiles(chain.from_iterable(rounds), n=100)
    return f"{cuts[49] / 1e3:,.0f} ({cuts[98] / 1e3:,.0f})"


def format_counts(counts: dict[str, int]) -> str:
    """Return the number of requests and of connections."""
    return f"{counts['requests']:,}, {counts['connections']:,}"
