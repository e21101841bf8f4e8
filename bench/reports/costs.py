"""Estimate what a million events cost, from list prices and what was measured."""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from bench.reports import prices
from bench.reports.markdown import wrap, write_table
from bench.reports.monthly import monthly_table
from bench.reports.prices import SECRET_READS_PER_SECOND
from segment_to_hyperline.simulation.template import read_template

# What the variables of the access log contain, at their usual length.
ACCESS_LOG = {
    "requestId": "Jf4cVgXhDoEEPWQ=",
    "identity.userAgent": "Segment (Actions)",
    "identity.sourceIp": "54.148.219.64",
    "status": "200",
    "responseLatency": "61",
    "error.message": "-",
    "integrationErrorMessage": "-",
}


class Cost(NamedTuple):
    """What a million events cost, in US dollars."""

    milliseconds: int
    """What Lambda bills per request."""
    gateway: float
    function: float
    logs: float

    @property
    def total(self) -> float:
        """The sum of the costs."""
        return self.gateway + self.function + self.logs


def memory_size() -> int:
    """Return the function's memory in the template, in MB."""
    return int(read_template()["Parameters"]["MemorySize"]["Default"])


def access_log_bytes() -> int:
    """Return the length of a line of the template's access log."""
    api = read_template()["Resources"]["WebhookApi"]["Properties"]
    line = re.sub(
        r"\$context\.([a-zA-Z.]+)",
        lambda variable: ACCESS_LOG[variable[1]],
        api["AccessLogSettings"]["Format"],
    )
    return len(line)


def estimate(events: int, cpu_microseconds: float, logged: int) -> Cost:
    """Return the cost of a million events in requests of this number of *events*.

    *cpu_microseconds* is per event, *logged* is the bytes of the function's line. With
    0 events it is the cost of a million rejected requests.
    """
    memory = memory_size()
    requests = 1e6 / (events or 1)
    computing = (events or 1) * cpu_microseconds / 1e3 * prices.MEMORY_PER_CPU / memory
    milliseconds = math.ceil(computing + (prices.WAIT_MS if events else 0))
    seconds = milliseconds / 1e3
    units = math.ceil((events or 1) * prices.EVENT_BYTES / prices.API_UNIT_BYTES)
    log_bytes = logged + access_log_bytes() + 2 * prices.LOG_LINE_BYTES
    return Cost(
        milliseconds=milliseconds,
        gateway=requests * units * prices.API_REQUEST,
        function=requests
        * (prices.LAMBDA_REQUEST + seconds * memory / 1024 * prices.LAMBDA_GB_SECOND),
        logs=requests * log_bytes / 1e9 * prices.LOG_GB,
    )


def describe_flood(cpu_microseconds: float, logged: int) -> str:
    """Return a sentence on the cost of forged requests at the template's limit.

    *cpu_microseconds* and *logged* are those of one such request.
    """
    limit = read_template()["Parameters"]["MaxRequestsPerSecond"]["Default"]
    cost = estimate(0, cpu_microseconds, logged)
    # A sandbox handles requests one by one while it doesn't wait for the secret.
    available = 1_000 - SECRET_READS_PER_SECOND * prices.SECRET_WAIT_MS
    sandboxes = math.ceil(limit * cost.milliseconds / available)
    reads = SECRET_READS_PER_SECOND * 3_600 * prices.SECRET_REQUEST
    return wrap(
        "Forged requests with a signature of 40 hexadecimal digits make a sandbox of"
        " Lambda read the secret once a second, and its previous version once a minute."
        f" {limit:,} of them per second (`MaxRequestsPerSecond`) keep about {sandboxes}"
        f" sandboxes busy, and cost ${cost.total * limit * 3_600 / 1e6:.2f} an hour,"
        f" plus ${reads:.3f} per sandbox for reading the secret. Of one request per"
        " second and sandbox, each reads the secret; a million of these cost"
        f" ${cost.total + SECRET_READS_PER_SECOND * 1e6 * prices.SECRET_REQUEST:.2f}."
        " Requests without such a signature cause no additional read."
    )


def table(cpu_microseconds: Mapping[int, float], logged: Mapping[int, int]) -> str:
    """Return Markdown tables, from the CPU time per event and the bytes logged.

    Both are by the events of a request; 0 stands for a rejected one.
    """
    return "\n\n".join(
        (
            _list_costs(cpu_microseconds, logged),
            _explain(logged),
            _describe_rare(),
            monthly_table(),
        )
    )


def _list_costs(
    cpu_microseconds: Mapping[int, float], logged: Mapping[int, int]
) -> str:
    titles = {
        1: "a million events, one by one",
        100: "a million events, 100 per request",
        1_000: "a million events, 1,000 per request",
        0: "a million requests rejected with 401",
    }
    rows = []
    for events, title in titles.items():
        cost = estimate(events, cpu_microseconds[events], logged[events])
        dollars = (cost.gateway, cost.function, cost.logs, cost.total)
        cells = (title, f"{cost.milliseconds} ms", *(f"${d:.4f}" for d in dollars))
        rows.append(cells)
    head = ("requests", "Lambda bills per request", "API Gateway", "Lambda")
    return write_table((*head, "logs", "total"), rows)


def _explain(logged: Mapping[int, int]) -> str:
    return wrap(
        f"At {memory_size()} MB, arm64, us-east-1 list prices of {prices.PRICES_READ}"
        f" without free tiers, and events of {prices.EVENT_BYTES:,} bytes."
        f" {prices.WAIT_MS} ms of the time is an assumed wait for Hyperline; the rest"
        f" is measured. A line of the function has {logged[1]} bytes for one event, and"
        f" {logged[0]} for a rejected request; a line of the access log has"
        f" {access_log_bytes()}."
    )


def _describe_rare() -> str:
    parked = 1e6 * prices.SQS_REQUEST * 1.2
    traced = 0.05 * 1e6 * prices.TRACE
    return wrap(
        f"A million events that are parked one by one cost ${parked:.2f} more for SQS:"
        " each is sent alone, and received and deleted ten at a time. With"
        f" `Tracing=on`, a million requests cost up to ${traced:.2f} more."
    )
