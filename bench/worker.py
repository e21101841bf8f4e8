"""Run a contender's handler and measure each call.

As a command: `worker.py FOLDER MODULE`. For each line of its standard input,
`{"calls": file, "times": n}`, it makes the calls in that file n times and prints what
each took.
"""

import gc
import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


class Context:
    """What Lambda tells of an invocation."""

    function_name = "bench"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:1:function:bench"
    aws_request_id = "1"


def measure(handler: Any, calls: list[Any]) -> dict[str, Any]:
    """Make *calls*; return the nanoseconds of each, and the bytes of memory."""
    walls, cpus = [], []
    for call in calls:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        answer = handler(call, Context())
        walls.append(time.perf_counter_ns() - wall)
        cpus.append(time.process_time_ns() - cpu)
        if answer["statusCode"] != 200:
            sys.exit(f"answered {answer}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gc.collect()
    return {"wall": walls, "cpu": cpus, "rss": _resident(), "peak": peak}


def _resident() -> int:
    """Return the bytes of memory that are in use now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def main(folder: str, module: str) -> None:
    """Measure as told, until the standard input ends."""
    sys.path[0] = folder
    # What a handler logs must not be taken for a result.
    results, sys.stdout = sys.stdout, open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115, PTH123
    handler = importlib.import_module(module).lambda_handler
    print("ready", file=results, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        calls = json.loads(Path(order["calls"]).read_text("utf-8")) * order["times"]
        print(json.dumps(measure(handler, calls)), file=results, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
