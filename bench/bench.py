"""Measure this function beside what people would otherwise run, in one run.

Prints a table, and writes it into the README and its plot beside this file. Takes
about a minute. The machine's mood is in every figure, so compare columns of one
run, not figures of two.
"""

import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import calls, coldstart, figures, mapping_rules
from bench.contenders import (
    FLOOR,
    IMPORTS,
    REFERENCE,
    SEGMENT,
    THIS,
    USUAL,
    Contender,
    Upstream,
    Worker,
    build,
    start_segment_function,
    start_upstream,
    start_worker,
)
from bench.figures import Figures, zipped_bytes

COLD_ROUNDS = 9
WARM_ROUNDS = 10
WARM_CALLS = 100
ARRAY_ROUNDS = 11
# Size of an array: how many arrays are measured in a round.
ARRAYS = {1: 100, 10: 20, 100: 10, 1_000: 3, 5_000: 1}
# The usual function posts events one by one, which takes long.
MOST_FOR_USUAL = 1_000
LASTING_CALLS = 10_000


def main() -> None:
    """Run everything and show the outcome."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tell("build the contenders")
        contenders = build(directory)
        upstream = stack.enter_context(start_upstream())
        found = Figures(zipped_bytes(contenders[THIS].folder))
        tell("cold starts")
        found.cold = measure_cold_starts(contenders, upstream)
        workers = {
            name: stack.enter_context(start_worker(contenders[name], upstream))
            for name in (FLOOR, USUAL, REFERENCE, THIS)
        }
        if shutil.which("node"):
            segment = stack.enter_context(start_segment_function(upstream))
            workers[SEGMENT] = segment
        else:
            tell("no node here: the Segment function is left out")
        tell("single events")
        found.warm = measure_singles(workers)
        tell("arrays")
        found.arrays = measure_arrays(workers)
        tell("calls and connections")
        found.upstream = count_calls(workers, upstream)
        tell("memory over many calls")
        found.growth, found.peak = measure_memory(workers)
        tell("rules")
        found.rules = mapping_rules.measure()
    print(found.table())
    figures.write(found)


def tell(step: str) -> None:
    """Print what is done next."""
    print(f"{step} ...", flush=True)


def measure_cold_starts(
    contenders: Mapping[str, Contender], upstream: Upstream
) -> dict[str, float]:
    """Return the median seconds from a process's start to its first answer."""
    names = (FLOOR, IMPORTS, USUAL, THIS)
    return medians(
        names,
        COLD_ROUNDS,
        lambda name: coldstart.start(contenders[name], upstream, calls.make_single()),
    )


def measure_singles(workers: Mapping[str, Worker]) -> dict[str, dict[str, list[int]]]:
    """Return the wall and CPU nanoseconds of each single event, by contender."""
    found: dict[str, dict[str, list[int]]] = {
        name: {"wall": [], "cpu": []} for name in workers
    }
    for number in range(WARM_ROUNDS + 1):
        for name, worker in workers.items():
            result = worker.run([calls.make_single() for _ in range(WARM_CALLS)])
            if number:  # the first round warms up
                found[name]["wall"] += result["wall"]
                found[name]["cpu"] += result["cpu"]
    return found


def measure_arrays(workers: Mapping[str, Worker]) -> dict[str, dict[int, float]]:
    """Return the CPU microseconds an event, by contender and size of the array."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for size, count in ARRAYS.items():
        names = [REFERENCE, THIS] + [USUAL] * (size <= MOST_FOR_USUAL)

        def measure(name: str, size: int = size, count: int = count) -> float:
            few = 1 if name == USUAL and size > 1 else count
            result = workers[name].run([calls.make_array(size) for _ in range(few)])
            return float(statistics.median(result["cpu"])) / size / 1_000

        for name, value in medians(names, ARRAY_ROUNDS, measure).items():
            found[name][size] = value
    return found


def count_calls(
    workers: Mapping[str, Worker], upstream: Upstream
) -> dict[str, dict[str, dict[str, int]]]:
    """Return the calls to Hyperline for 1,000 events, and how many connections."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for name in (FLOOR, USUAL, SEGMENT, THIS):
        if name not in workers:
            continue
        upstream.counts()
        workers[name].run([calls.make_single() for _ in range(1_000)])
        found[name] = {"singles": upstream.counts()}
        if name in (THIS, USUAL):
            workers[name].run([calls.make_array(1_000)])
            found[name]["array"] = upstream.counts()
    return found


def measure_memory(workers: Mapping[str, Worker]) -> tuple[int, dict[str, int]]:
    """Return this function's growth over many calls, and each one's peak, in bytes."""
    single = calls.make_single()
    before = workers[THIS].run([single], LASTING_CALLS // 10)["rss"]
    after = workers[THIS].run([single], LASTING_CALLS)["rss"]
    peaks = {name: worker.run([single])["peak"] for name, worker in workers.items()}
    return after - before, peaks


def medians(
    names: Iterable[str], rounds: int, measure: Callable[[str], Any]
) -> dict[str, float]:
    """Return the median of *rounds* measurements of each name, taken in turns."""
    values: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, measured in values.items():
            measured.append(measure(name))
    return {name: statistics.median(measured) for name, measured in values.items()}


if __name__ == "__main__":
    main()
