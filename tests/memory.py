"""Run the Receiver in a process of its own, and measure the memory it has in use.

Usage: `python -m tests.memory FILE`. The file has an API Gateway request as JSON. Each
line of the standard input is a number of times to handle it, after which the bytes in
use are printed.
"""

import gc
import json
import os
import resource
import sys
from pathlib import Path

import receiver
from local_stack.invocations import Context


def resident_bytes() -> int:
    """Return the memory in use now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def main(path: Path) -> None:
    """Handle requests until the standard input ends."""
    request = json.loads(path.read_text("utf-8"))
    # The handler's log must not be mixed with the results.
    results, sys.stdout = sys.stdout, Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    for line in sys.stdin:
        for _ in range(int(line)):
            assert receiver.lambda_handler(request, Context())["statusCode"] == 200
        print(resident_bytes(), file=results, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
