"""What is measured of the contenders, alternately, so that all have the same load."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
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

# The value of each round, by contender. Values of a round have the same load.
type Turns = Mapping[str, Sequence[float]]


class Shape(NamedTuple):
    """What a request has."""

    events: int
    event_bytes: int
    """The size of an event, about 300 or 1,000."""

    def make(self) -> dict[str, Any]:
        """Return a new request."""
        is_small = self.event_bytes < _USUAL_BYTES
        make = invocations.make_small_array if is_small else invocations.make_array
        return make(self.events)


_USUAL_BYTES = 1_000
SINGLE = Shape(1, _USUAL_BYTES)
USUAL = [SINGLE, *(Shape(events, _USUAL_BYTES) for events in (10, 100, 1_000, 6_000))]
SMALL = [Shape(events, 300) for events in (1_000, 20_000)]
# How many requests of a shape are measured in a round; otherwise one. The largest have
# the 6 MB that Lambda accepts.
_REQUESTS = {1: 100, 10: 20, 100: 10, 1_000: 3}


class Rounds(NamedTuple):
    """How often everything is measured, with new processes, and each thing in a run."""

    runs: int = 3
    cold: int = 7
    warm: int = 11
    array: int = 7
    memory: int = 10_000
    """Requests of which the growth of the memory is measured."""
    rules: int = 11


class Times(NamedTuple):
    """The nanoseconds of each request, by round."""

    cpu: list[list[int]]
    wall: list[list[int]]


class Run(NamedTuple):
    """What was measured in a run, most of it by contender."""

    cold: Turns
    """The seconds of a cold start."""
    warm: Mapping[str, Times]
    """The times of single events."""
    arrays: Mapping[Shape, Turns]
    """The microseconds of CPU per event."""
    upstream: Mapping[str, Mapping[str, Mapping[str, int]]]
    """The `requests` and `connections` for 1,000 events, by `singles` and `array`."""
    growth: int
    """By how many bytes this function's memory grows over 10,000 requests."""
    peak: Mapping[str, int]
    """The most memory used, in bytes."""
    rules: float
    """The CPU of 20 rules, relative to reading and writing the JSON."""
    rejected_cpu: float
    """The microseconds of CPU of a request without a signature."""
    forged_cpu: float
    """The microseconds of CPU of a request with a forged signature."""
    logged: Mapping[int, int]
    """The bytes logged for a request, by its events; 0 for a rejected one."""


def measure_cold_starts(
    contenders: Mapping[str, Contender], upstream: Upstream, rounds: int
) -> Turns:
    """Return the seconds from the start of a process to its first response."""

    def measure(name: str) -> float:
        request = invocations.make_single()
        return coldstart.measure(contenders[name], upstream, request)

    return take_turns((FLOOR, IMPORTS, HAND_WRITTEN, THIS), rounds, measure)


def measure_singles(workers: Mapping[str, Worker], rounds: int) -> Mapping[str, Times]:
    """Return the times of single events, by contender."""
    measured = {name: Times([], []) for name in workers}
    for number in range(rounds + 1):
        for name, worker in workers.items():
            requests = [invocations.make_single() for _ in range(WARM_REQUESTS)]
            result = worker.run(requests)
            if number:  # the first round warms up
                measured[name].cpu.append(result["cpu"])
                measured[name].wall.append(result["wall"])
    return measured


def measure_arrays(workers: Mapping[str, Worker], rounds: int) -> Mapping[Shape, Turns]:
    """Return the CPU microseconds per event, by shape."""
    names = (REFERENCE, THIS, HAND_WRITTEN)

    def measure(shape: Shape, name: str) -> float:
        requests = [shape.make() for _ in range(_REQUESTS.get(shape.events, 1))]
        result = workers[name].run(requests)
        return float(statistics.median(result["cpu"])) / shape.events / 1_000

    return {
        shape: take_turns(names, rounds, partial(measure, shape))
        for shape in (*USUAL, *SMALL)
    }


def measure_rejected(worker: Worker, make: Callable[[], dict[str, Any]]) -> float:
    """Return the CPU microseconds of a request that is rejected with 401."""
    requests = [make() for _ in range(WARM_REQUESTS)]
    worker.run(requests)
    return float(statistics.median(worker.run(requests)["cpu"])) / 1_000


def measure_logged(worker: Worker) -> dict[int, int]:
    """Return the bytes logged for a request, by its events; 0 for a rejected one."""
    requests = {
        0: invocations.make_unauthorized(),
        **{shape.events: shape.make() for shape in USUAL},
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


def take_turns(
    names: Iterable[str], rounds: int, measure: Callable[[str], float]
) -> dict[str, list[float]]:
    """Return what is measured for each name in each round."""
    values: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, measured in values.items():
            measured.append(measure(name))
    return values
