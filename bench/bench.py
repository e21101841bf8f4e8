"""Compare this function with the usual alternatives, in one run of about two minutes.

Prints a table, writes it into README.md, and plots the CPU time beside this file.
Absolute figures vary with the machine's load, so compare the columns of one run, and
not the figures of two runs.
"""

import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import coldstart, figures, invocations, mapping_rules
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
WARM_REQUESTS = 100
ARRAY_ROUNDS = 11
# Size of an array: how many arrays are measured in a round.
ARRAYS = {1: 100, 10: 20, 100: 10, 1_000: 3, 5_000: 1}
# The usual function posts events one by one, so larger arrays would take too long.
USUAL_MAX_SIZE = 1_000
MEMORY_REQUESTS = 10_000


def main() -> None:
    """Run all measurements, then print and write the figures."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        announce("build the contenders")
        contenders = build(directory)
        upstream = stack.enter_context(start_upstream())
        measured = Figures(zipped_bytes(contenders[THIS].folder))
        announce("cold starts")
        measured.cold = measure_cold_starts(contenders, upstream)
        workers = {
            name: stack.enter_context(start_worker(contenders[name], upstream))
            for name in (FLOOR, USUAL, REFERENCE, THIS)
        }
        if shutil.which("node"):
            segment = stack.enter_context(start_segment_function(upstream))
            workers[SEGMENT] = segment
        else:
            announce("node is not installed, so the Segment function is left out")
        announce("single events")
        measured.warm = measure_singles(workers)
        announce("arrays")
        measured.arrays = measure_arrays(workers)
        announce("rejected requests")
        measured.rejected_cpu = measure_rejected(
            workers[THIS], invocations.make_unauthorized
        )
        measured.forged_cpu = measure_rejected(workers[THIS], invocations.make_forged)
        measured.logged = measure_logged(workers[THIS])
        announce("requests and connections")
        measured.upstream = count_requests(workers, upstream)
        announce("memory over many requests")
        measured.growth, measured.peak = measure_memory(workers)
        announce("rules")
        measured.rules = mapping_rules.measure()
    print(measured.table())
    figures.write(measured)


def announce(step: str) -> None:
    """Print the name of the step that starts."""
    print(f"{step} ...", flush=True)


def measure_cold_starts(
    contenders: Mapping[str, Contender], upstream: Upstream
) -> dict[str, float]:
    """Return the median seconds from the start of a process to its first response."""

    def measure(name: str) -> float:
        request = invocations.make_single()
        return coldstart.measure(contenders[name], upstream, request)

    return medians((FLOOR, IMPORTS, USUAL, THIS), COLD_ROUNDS, measure)


def measure_singles(workers: Mapping[str, Worker]) -> dict[str, dict[str, list[int]]]:
    """Return the wall and CPU nanoseconds of each single event, by contender."""
    measured: dict[str, dict[str, list[int]]] = {
        name: {"wall": [], "cpu": []} for name in workers
    }
    for number in range(WARM_ROUNDS + 1):
        for name, worker in workers.items():
            requests = [invocations.make_single() for _ in range(WARM_REQUESTS)]
            result = worker.run(requests)
            if number:  # the first round warms up
                measured[name]["wall"] += result["wall"]
                measured[name]["cpu"] += result["cpu"]
    return measured


def measure_arrays(workers: Mapping[str, Worker]) -> dict[str, dict[int, float]]:
    """Return the CPU microseconds per event, by contender and size of the array."""
    measured: dict[str, dict[int, float]] = defaultdict(dict)
    for size, count in ARRAYS.items():
        names = [REFERENCE, THIS] + [USUAL] * (size <= USUAL_MAX_SIZE)

        def measure(name: str, size: int = size, count: int = count) -> float:
            number = 1 if name == USUAL and size > 1 else count
            requests = [invocations.make_array(size) for _ in range(number)]
            result = workers[name].run(requests)
            return float(statistics.median(result["cpu"])) / size / 1_000

        for name, value in medians(names, ARRAY_ROUNDS, measure).items():
            measured[name][size] = value
    return measured


def measure_rejected(worker: Worker, make: Callable[[], dict[str, Any]]) -> float:
    """Return the CPU microseconds of a request that is rejected with 401."""
    requests = [make() for _ in range(WARM_REQUESTS)]
    worker.run(requests)
    return float(statistics.median(worker.run(requests)["cpu"])) / 1_000


def measure_logged(worker: Worker) -> dict[int, int]:
    """Return the bytes logged for a request, by its events; 0 for a rejected one."""
    requests = {
        0: invocations.make_unauthorized(),
        **{size: invocations.make_array(size) for size in ARRAYS if size > 1},
        1: invocations.make_single(),
    }
    return {
        size: int(worker.run([request])["logged"][0])
        for size, request in requests.items()
    }


def count_requests(
    workers: Mapping[str, Worker], upstream: Upstream
) -> dict[str, dict[str, dict[str, int]]]:
    """Return the requests and connections to Hyperline for 1,000 events."""
    counted: dict[str, dict[str, dict[str, int]]] = {}
    for name in (FLOOR, USUAL, SEGMENT, THIS):
        if name not in workers:
            continue
        upstream.counts()
        workers[name].run([invocations.make_single() for _ in range(1_000)])
        counted[name] = {"singles": upstream.counts()}
        if name in (THIS, USUAL):
            workers[name].run([invocations.make_array(1_000)])
            counted[name]["array"] = upstream.counts()
    return counted


def measure_memory(workers: Mapping[str, Worker]) -> tuple[int, dict[str, int]]:
    """Return this function's growth in bytes, and the peak of each contender."""
    single = invocations.make_single()
    before = workers[THIS].run([single], MEMORY_REQUESTS // 10)["rss"]
    after = workers[THIS].run([single], MEMORY_REQUESTS)["rss"]
    peaks = {name: worker.run([single])["peak"] for name, worker in workers.items()}
    return after - before, peaks


def medians(
    names: Iterable[str], rounds: int, measure: Callable[[str], Any]
) -> dict[str, float]:
    """Return the median of *rounds* measurements for each name, taken alternately."""
    values: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, measured in values.items():
            measured.append(measure(name))
    return {name: statistics.median(measured) for name, measured in values.items()}


if __name__ == "__main__":
    main()
