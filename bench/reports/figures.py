"""The figures of all runs, and the table of them."""

import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from operator import truediv
from typing import NamedTuple

from bench.harness.build import (
    FLOOR,
    HAND_WRITTEN,
    IMPORTS,
    REFERENCE,
    SEGMENT,
    THIS,
)
from bench.harness.measurements import (
    SINGLE,
    SMALL,
    USUAL,
    Run,
    Shape,
    Times,
    Turns,
)
from bench.reports.machine import processor, versions
from bench.reports.markdown import wrap, write_table

COLUMNS = (THIS, HAND_WRITTEN, SEGMENT, FLOOR)
NOTHING = "-"

type Row = tuple[str, ...]


class Figures(NamedTuple):
    """The measurements."""

    zipped: int
    """The size of this function's artifact, in bytes."""
    runs: Sequence[Run]
    """What was measured in each run."""

    def rejected_cpu(self) -> float:
        """Return the microseconds of CPU of a request without a signature."""
        return statistics.median(run.rejected_cpu for run in self.runs)

    def forged_cpu(self) -> float:
        """Return the microseconds of CPU of a request with a forged signature."""
        return statistics.median(run.forged_cpu for run in self.runs)

    def logged(self) -> Mapping[int, int]:
        """Return the bytes logged for a request, by its events; 0: a rejected one."""
        return self.runs[0].logged

    def cpu_per_event(self, name: str) -> dict[int, float]:
        """Return the median microseconds of the usual events, by their number."""
        return {
            shape.events: statistics.median(
                chain.from_iterable(run.arrays[shape][name] for run in self.runs)
            )
            for shape in USUAL
        }

    def table(self) -> str:
        """Return the figures as a Markdown table, and how they were measured."""
        rows = [*self._ratios(), *self._values(), *self._single_column()]
        return f"{write_table(('', *COLUMNS), rows)}\n\n{self._explanation()}"

    def _ratios(self) -> list[Row]:
        ratio = "ratio to hand-written"
        cold = [run.cold for run in self.runs]
        cpu = [take_medians(run.warm, "cpu") for run in self.runs]
        wall = [take_medians(run.warm, "wall") for run in self.runs]
        return [
            (f"cold start, {ratio}", *compare(cold, HAND_WRITTEN)),
            (f"one event, CPU, {ratio}", *compare(cpu, HAND_WRITTEN)),
            (f"one event, wall, {ratio}", *compare(wall, HAND_WRITTEN)),
            *(self._array_row(shape) for shape in (*USUAL, *SMALL) if shape != SINGLE),
        ]

    def _values(self) -> list[Row]:
        return [
            (
                "cold start, ms",
                *fill_cells(lambda name: f"{self._median_cold_start(name) * 1e3:.0f}"),
            ),
            (
                "one event, CPU, µs",
                *fill_cells(
                    lambda name: format_times(run.warm[name].cpu for run in self.runs)
                ),
            ),
            (
                "one event, wall, µs",
                *fill_cells(
                    lambda name: format_times(run.warm[name].wall for run in self.runs)
                ),
            ),
            self._count_row("one by one", "singles"),
            self._count_row("in an array", "array"),
            (
                "peak memory, MB",
                *fill_cells(
                    lambda name: f"{max(run.peak[name] for run in self.runs) / 1e6:.0f}"
                ),
            ),
        ]

    def _median_cold_start(self, name: str) -> float:
        """Return the median seconds of a cold start."""
        return statistics.median(
            chain.from_iterable(run.cold[name] for run in self.runs)
        )

    def _array_row(self, shape: Shape) -> Row:
        what = f"array of {shape.events:,} events of {shape.event_bytes:,} bytes"
        return (
            f"{what}, CPU, ratio to their JSON",
            *compare([run.arrays[shape] for run in self.runs], REFERENCE),
        )

    def _count_row(self, how: str, kind: str) -> Row:
        upstream = self.runs[0].upstream
        return (
            f"1,000 events {how}: requests, connections to Hyperline",
            *fill_cells(lambda contender: format_counts(upstream[contender][kind])),
        )

    def _single_column(self) -> list[Row]:
        others = [NOTHING] * (len(COLUMNS) - 1)
        growth = max(run.growth for run in self.runs)
        return [
            ("growth over 10,000 requests, MB", f"{growth / 1e6:.1f}", *others),
            ("artifact, zipped, MB", f"{self.zipped / 1e6:.2f}", *others),
        ]

    def _explanation(self) -> str:
        imports = self._median_cold_start(THIS) / self._median_cold_start(IMPORTS)
        rules = statistics.median(run.rules for run in self.runs)
        return wrap(
            "A ratio is the median of a run's rounds; of the"
            f" {len(self.runs)} runs, it is the middle one, with the lowest and the"
            " highest in parentheses. Times are the median of all requests, and the"
            " 99th percentile in parentheses. Memory is the highest of all runs. *Their"
            " JSON* is the time of a function that only reads and writes the JSON of"
            " the request. A cold start takes"
            f" {imports:.2f} times as long as that of a function that"
            " only creates boto3's Secrets Manager client and imports requests. Mapping"
            f" 1,000 events with 20 rules that have conditions takes {rules:.2f}"
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


def compare(runs: Sequence[Turns], base: str) -> list[str]:
    """Return a cell for each column: its ratio to *base*, of the rounds of each run."""

    def find(name: str) -> str:
        if name == base:
            return "1.00"
        medians = [
            statistics.median(map(truediv, run[name], run[base])) for run in runs
        ]
        middle = statistics.median(medians)
        return f"{middle:.2f} ({min(medians):.2f} to {max(medians):.2f})"

    return fill_cells(find)


def take_medians(measured: Mapping[str, Times], clock: str) -> Turns:
    """Return the medians of the rounds, by contender; *clock* is `cpu` or `wall`."""
    return {
        name: [statistics.median(requests) for requests in getattr(times, clock)]
        for name, times in measured.items()
    }


def format_times(runs: Iterable[Sequence[Sequence[int]]]) -> str:
    """Return the median and the 99th percentile in microseconds."""
    requests = chain.from_iterable(chain.from_iterable(runs))
    cuts = statistics.quantiles(requests, n=100)
    return f"{cuts[49] / 1e3:,.0f} ({cuts[98] / 1e3:,.0f})"


def format_counts(counts: Mapping[str, int]) -> str:
    """Return the number of requests and of connections."""
    return f"{counts['requests']:,}, {counts['connections']:,}"
