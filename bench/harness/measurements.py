"""What is measured of the contenders, alternately, so that all have the same load."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from bench.harness import coldstart, invocations
from bench.harness.build import (
    FLOOR,
    HAND_WRITTEN,
    IMPORTS,
    REFERENCE,
    SEGMENT,
    THIS,
    Contender,
)
from bench.harness.processes import Upstream, Worker

WARM_REQUESTS = 100
# Size of an array: how many arrays are measured in a round.
ARRAYS = {1: 100, 10: 20, 100: 10, 1_000: 3, 5_000: 1}
# The usual function posts events one by one, so larger arrays would take too long.
HAND_WRITTEN_MAX_SIZE = 1_000


class Rounds(NamedTuple):
    """How often each measurement is repeated."""

    cold: int = 9
    warm: int = 10
    array: int = 11
    memory: int = 10_000
    """Requests of which the growth of the memory is measured."""
    rules: int = 15


def measure_cold_starts(
    contenders: Mapping[str, Contender], upstream: Upstream, rounds: int
) -> dict[str, float]:
    """Return the median seconds from the start of a process to its first response."""

    def measure(name: str) -> float:
        request = invocations.make_single()
        return coldstart.measure(contenders[name], upstream, request)

    return medians((FLOOR, IMPORTS, HAND_WRITTEN, THIS), rounds, measure)


def measure_singles(
    workers: Mapping[str, Worker], rounds: int
) -> dict[str, dict[str, list[int]]]:
    """Return the wall and CPU nanoseconds of each single event, by contender."""
    measured: dict[str, dict[str, list[int]]] = {
        name: {"wall": [], "cpu": []} for name in workers
    }
    for number in range(rounds + 1):
        for name, worker in workers.items():
            requests = [invocations.make_single() for _ in range(WARM_REQUESTS)]
            result = worker.run(requests)
            if number:  # the first round warms up
                measured[name]["wall"] += result["wall"]
                measured[name]["cpu"] += result["cpu"]
    return measured


def measure_arrays(
    workers: Mapping[str, Worker], rounds: int
) -> dict[str, dict[int, float]]:
    """Return the CPU microseconds per event, by contender and size of the array."""
    measured: dict[str, dict[int, float]] = defaultdict(dict)
    for size, count in ARRAYS.items():
        names = [REFERENCE, THIS] + [HAND_WRITTEN] * (size <= HAND_WRITTEN_MAX_SIZE)

        def measure(name: str, size: int = size, count: int = count) -> float:
            number = 1 if name == HAND_WRITTEN and size > 1 else count
            requests = [invocations.make_array(size) for _ in range(number)]
            result = workers[name].run(requests)
            return float(statistics.median(result["cpu"])) / size / 1_000

        for name, value in medians(names, rounds, measure).items():
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
    for name in (FLOOR, HAND_WRITTEN, SEGMENT, THIS):
        if name not in workers:
            continue
        upstream.counts()
        workers[name].run([invocations.make_single() for _ in range(1_000)])
        counted[name] = {"singles": upstream.counts()}
        if name in (THIS, HAND_WRITTEN):
            workers[name].run([invocations.make_array(1_000)])
            counted[name]["array"] = upstream.counts()
    return counted


def measure_growth(worker: Worker, requests: int) -> int:
    """Return the bytes by which a worker's memory grows over this many requests."""
    single = invocations.make_single()
    before = int(worker.run([single], max(1, requests // 10))["rss"])
    return int(worker.run([single], requests)["rss"]) - before


def measure_peaks(workers: Mapping[str, Worker]) -> dict[str, int]:
    """Return the most bytes of memory that each contender has used."""
    single = invocations.make_single()
    return {name: worker.run([single])["peak"] for name, worker in workers.items()}


def medians(
    names: Iterable[str], rounds: int, measure: Callable[[str], Any]
) -> dict[str, float]:
    """Return the median of *rounds* measurements for each name, taken alternately."""
    values: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, measured in values.items():
            measured.append(measure(name))
    return {name: statistics.median(measured) for name, measured in values.items()}
