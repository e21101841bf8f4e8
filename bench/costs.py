"""Estimate what a million events cost, from list prices and the measured CPU time."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from tools.local_aws import ROOT

# List prices in US dollars, us-east-1, arm64, without free tiers and discounts.
# https://aws.amazon.com/lambda/pricing/ https://aws.amazon.com/api-gateway/pricing/
# https://aws.amazon.com/cloudwatch/pricing/
PRICES_READ = "November 2026"
LAMBDA_GB_SECOND = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1e6
API_REQUEST = 1.00 / 1e6  # for each 512 KB of a request
LOG_GB = 0.50

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEMORY_PER_CPU = 1_769
API_UNIT_BYTES = 512 * 1024
# About half is the function's log; Lambda and API Gateway write the rest.
LOG_BYTES_PER_REQUEST = 2_000
# An assumption: how long a request waits for Hyperline's response.
WAIT_MS = 50
EVENT_BYTES = 1_000


class Cost(NamedTuple):
    """The milliseconds that Lambda bills per request; dollars per million events."""

    milliseconds: int
    gateway: float
    function: float
    logs: float

    @property
    def total(self) -> float:
        """The sum of the costs."""
        return self.gateway + self.function + self.logs


def memory_size() -> int:
    """Return the function's memory in the template, in MB."""
    template = (ROOT / "template.yaml").read_text("utf-8")
    declared = re.search(
        r"\n  MemorySize:\n    Type: Number\n    Default: (\d+)", template
    )
    assert declared, "the template has no parameter MemorySize"
    return int(declared[1])


def estimate(events: int, cpu_microseconds: float, memory: int) -> Cost:
    """Return the cost of requests with this number of *events*, each using this CPU."""
    requests = 1e6 / events
    computing = events * cpu_microseconds / 1e3 * MEMORY_PER_CPU / memory
    milliseconds = math.ceil(computing + WAIT_MS)
    seconds = milliseconds / 1e3
    units = math.ceil(events * EVENT_BYTES / API_UNIT_BYTES)
    return Cost(
        milliseconds=milliseconds,
        gateway=requests * units * API_REQUEST,
        function=requests
        * (LAMBDA_REQUEST + seconds * memory / 1024 * LAMBDA_GB_SECOND),
        logs=requests * LOG_BYTES_PER_REQUEST / 1e9 * LOG_GB,
    )


def table(cpu_microseconds: Mapping[int, float]) -> str:
    """Return a Markdown table, from the CPU time per event by size of the request."""
    memory = memory_size()
    names = ["events arrive", "Lambda bills per request", "API Gateway", "Lambda"]
    names += ["logs", "total per million events"]
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    for events in (1, 100, 1_000):
        cost = estimate(events, cpu_microseconds[events], memory)
        how = "one by one" if events == 1 else f"{events:,} per request"
        dollars = (cost.gateway, cost.function, cost.logs, cost.total)
        cells = (how, f"{cost.milliseconds} ms", *(f"${d:.3f}" for d in dollars))
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        f"At {memory} MB, arm64, us-east-1 list prices of {PRICES_READ} and events of"
        f" {EVENT_BYTES:,} bytes. {WAIT_MS} ms of the time is an assumed wait for"
        " Hyperline; the rest is measured."
    )
    return "\n".join([*lines, "", note])
