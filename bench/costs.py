"""What a million events cost, from the list prices and the measured CPU time."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

# List prices in US dollars, us-east-1, arm64, without free tiers and discounts.
# https://aws.amazon.com/lambda/pricing/ https://aws.amazon.com/api-gateway/pricing/
# https://aws.amazon.com/cloudwatch/pricing/
PRICES_READ = "November 2026"
LAMBDA_GB_SECOND = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1e6
API_REQUEST = 1.00 / 1e6  # for each 512 KB of a call
LOG_GB = 0.50

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEMORY_OF_A_CORE = 1_769
API_UNIT_BYTES = 512 * 1024
# About half of it ours, the rest what Lambda and API Gateway write themselves.
LOG_BYTES_A_CALL = 2_000
# Not measured: the time of a post to Hyperline and back, in which a call waits.
WAIT_MS = 50
EVENT_BYTES = 1_000


class Cost(NamedTuple):
    """The milliseconds that Lambda bills for a call, and dollars a million events."""

    milliseconds: int
    gateway: float
    function: float
    logs: float

    @property
    def total(self) -> float:
        """Return what all of it costs."""
        return self.gateway + self.function + self.logs


def memory_size() -> int:
    """Return the megabytes that the template gives the function."""
    template = Path(__file__).parents[1].joinpath("template.yaml").read_text("utf-8")
    declared = re.search(
        r"\n  MemorySize:\n    Type: Number\n    Default: (\d+)", template
    )
    assert declared, "the template has no parameter MemorySize"
    return int(declared[1])


def estimate(events: int, cpu_microseconds: float, memory: int) -> Cost:
    """Return what calls of so many *events* cost, each taking so much CPU time."""
    calls = 1e6 / events
    computing = events * cpu_microseconds / 1e3 * MEMORY_OF_A_CORE / memory
    milliseconds = math.ceil(computing + WAIT_MS)
    seconds = milliseconds / 1e3
    units = math.ceil(events * EVENT_BYTES / API_UNIT_BYTES)
    return Cost(
        milliseconds,
        calls * units * API_REQUEST,
        calls * (LAMBDA_REQUEST + seconds * memory / 1024 * LAMBDA_GB_SECOND),
        calls * LOG_BYTES_A_CALL / 1e9 * LOG_GB,
    )


def table(cpu_microseconds: Mapping[int, float]) -> str:
    """Return a Markdown table, from the CPU time an event by the size of the call."""
    memory = memory_size()
    names = ["events arrive", "Lambda bills a call", "API Gateway", "Lambda", "logs"]
    names.append("a million events")
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    for events in (1, 100, 1_000):
        cost = estimate(events, cpu_microseconds[events], memory)
        how = "one by one" if events == 1 else f"{events:,} a call"
        dollars = (cost.gateway, cost.function, cost.logs, cost.total)
        cells = (how, f"{cost.milliseconds} ms", *(f"${d:.3f}" for d in dollars))
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        f"At {memory} MB, arm64, us-east-1 list prices of {PRICES_READ} and events of"
        f" {EVENT_BYTES:,} bytes. Of the time, {WAIT_MS} ms are waiting for Hyperline;"
        " that is an assumption, the rest is measured."
    )
    return "\n".join([*lines, "", note])
