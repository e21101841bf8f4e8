"""Run a contender's handler and measure each invocation.

Usage: `worker.py FOLDER MODULE`. It reads lines `{"requests": file, "times": n}` from
standard input. For each, it sends the requests in the file n times to the handler, and
prints the measurements as one line of JSON.
"""

import gc
import importlib
import io
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


class Context:
    """The fields of an invocation's context that are read."""

    function_name = "bench"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:1:function:bench"
    aws_request_id = "1"


class Log(io.TextIOBase):
    """Counts the characters that are written, which are ASCII, and discards them."""

    written = 0

    def write(self, text: str) -> int:
        """Count *text*."""
        self.written += len(text)
        return len(text)


log = Log()


def measure(handler: Any, requests: list[Any]) -> dict[str, Any]:
    """Handle *requests*; return the nanoseconds and logged bytes of each, and memory.

    Memory is in bytes: what is in use afterwards, and the peak.
    """
    walls, cpus, logged = [], [], []
    for request in requests:
        log.written = 0
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        response = handler(request, Context())
        walls.append(time.perf_counter_ns() - wall)
        cpus.append(time.process_time_ns() - cpu)
        logged.append(log.written)
        if response["statusCode"] not in {200, 401}:
            sys.exit(f"the handler returned {response}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    gc.collect()
    return {
        "wall": walls,
        "cpu": cpus,
        "logged": logged,
        "rss": _resident_bytes(),
        "peak": peak,
    }


def _resident_bytes() -> int:
    """Return the memory in use now, in bytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def main(folder: str, module: str) -> None:
    """Measure until the standard input ends."""
    sys.path[0] = folder
    # The handler's log must not be mixed with the results.
    results, sys.stdout = sys.stdout, log
    handler = importlib.import_module(module).lambda_handler
    print("ready", file=results, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        requests = json.loads(Path(job["requests"]).read_text("utf-8")) * job["times"]
        print(json.dumps(measure(handler, requests)), file=results, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
