"""Compare this function with alternatives, in three runs of about three minutes each.

Prints a table, writes it into bench/README.md, and plots the CPU time. Absolute figures
vary with the machine's load, so compare the columns, and not the figures of two tables.
`python -m bench --quick` measures each once, and only prints the table.
"""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from bench import mapping_rules
from bench.harness import invocations, measurements
from bench.harness.build import (
    FLOOR,
    HAND_WRITTEN,
    REFERENCE,
    SEGMENT,
    THIS,
    Contender,
    build,
)
from bench.harness.measurements import Rounds, Run
from bench.harness.processes import (
    Upstream,
    start_segment_function,
    start_upstream,
    start_worker,
)
from bench.reports import readme
from bench.reports.figures import Figures
from bench.reports.machine import zipped_bytes

QUICK = Rounds(runs=1, cold=1, warm=1, array=1, memory=100, rules=1)


def main(*, quick: bool) -> None:
    """Print the figures, and write them unless the run is a *quick* one."""
    measured = measure(QUICK if quick else Rounds())
    print(measured.table())
    if not quick:
        readme.write(measured)


def measure(rounds: Rounds) -> Figures:
    """Return the figures of all runs."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        announce("build the contenders")
        contenders = build(directory)
        upstream = stack.enter_context(start_upstream())
        runs = []
        for number in range(1, rounds.runs + 1):
            announce(f"run {number} of {rounds.runs}")
            runs.append(measure_run(contenders, upstream, rounds))
        return Figures(zipped_bytes(contenders[THIS].folder), runs)


def measure_run(
    contenders: Mapping[str, Contender], upstream: Upstream, rounds: Rounds
) -> Run:
    """Return what is measured with new processes of *contenders*."""
    with ExitStack() as stack:
        announce("cold starts")
        cold = measurements.measure_cold_starts(contenders, upstream, rounds.cold)
        workers = {
            name: stack.enter_context(start_worker(contenders[name], upstream))
            for name in (FLOOR, HAND_WRITTEN, REFERENCE, THIS)
        }
        if shutil.which("node"):
            segment = stack.enter_context(start_segment_function(upstream))
            workers[SEGMENT] = segment
        else:
            announce("node is not installed, so the Segment function is left out")
        announce("single events")
        warm = measurements.measure_singles(workers, rounds.warm)
        announce("arrays")
        arrays = measurements.measure_arrays(workers, rounds.array)
        announce("rejected requests")
        rejected_cpu, forged_cpu = (
            measurements.measure_rejected(workers[THIS], make)
            for make in (invocations.make_unauthorized, invocations.make_forged)
        )
        logged = measurements.measure_logged(workers[THIS])
        announce("requests and connections")
        counted = measurements.count_requests(workers, upstream)
        announce("memory over many requests")
        growth = measurements.measure_growth(workers[THIS], rounds.memory)
        peak = measurements.measure_peaks(workers)
        announce("rules")
        rules = mapping_rules.measure(rounds.rules)
        return Run(
            cold=cold,
            warm=warm,
            arrays=arrays,
            upstream=counted,
            growth=growth,
            peak=peak,
            rules=rules,
            rejected_cpu=rejected_cpu,
            forged_cpu=forged_cpu,
            logged=logged,
        )


def announce(step: str) -> None:
    """Print the name of the step that starts."""
    print(f"{step} ...", flush=True)


if __name__ == "__main__":
    main(quick="--quick" in sys.argv[1:])
