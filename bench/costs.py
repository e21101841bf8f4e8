"""Estimate what a million events cost, from list prices and what was measured.

As a command, it updates the costs per month in bench/README.md, which aren't measured.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from segment_to_hyperline.simulation.template import read_template
from segment_to_hyperline.telemetry import UNITS

README = Path(__file__).with_name("README.md")
# List prices in US dollars, us-east-1, arm64, without free tiers and discounts.
# https://aws.amazon.com/lambda/pricing/ https://aws.amazon.com/api-gateway/pricing/
# https://aws.amazon.com/cloudwatch/pricing/ https://aws.amazon.com/sqs/pricing/
# https://aws.amazon.com/secrets-manager/pricing/ https://aws.amazon.com/xray/pricing/
PRICES_READ = "November 2026"
LAMBDA_GB_SECOND = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1e6
API_REQUEST = 1.00 / 1e6  # for each 512 KB of a request
LOG_GB = 0.50
METRIC = 0.30  # per month; for the hours in which it is written
ALARM = 0.10  # per month and metric
COMPOSITE_ALARM = 0.50
DASHBOARD = 3.00
SECRET = 0.40
SECRET_REQUEST = 0.05 / 1e4
SQS_REQUEST = 0.40 / 1e6
TRACE = 5.00 / 1e6

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEMORY_PER_CPU = 1_769
API_UNIT_BYTES = 512 * 1024
# What CloudWatch adds to each line.
LOG_LINE_BYTES = 26
# An assumption: how long a request waits for Hyperline's response.
WAIT_MS = 50
EVENT_BYTES = 1_000
# Another one: how long Secrets Manager's response takes.
SECRET_WAIT_MS = 20
# How often a sandbox reads the secret at most, while requests have a wrong signature:
# once a second, and the previous version once a minute.
SECRET_READS_PER_SECOND = 1 + 1 / 60
# Lambda polls a queue with five connections that wait for up to 20 s.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
POLLS_PER_MONTH = 5 * 3 * 60 * 24 * 30
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
    computing = (events or 1) * cpu_microseconds / 1e3 * MEMORY_PER_CPU / memory
    milliseconds = math.ceil(computing + (WAIT_MS if events else 0))
    seconds = milliseconds / 1e3
    units = math.ceil((events or 1) * EVENT_BYTES / API_UNIT_BYTES)
    log_bytes = logged + access_log_bytes() + 2 * LOG_LINE_BYTES
    return Cost(
        milliseconds=milliseconds,
        gateway=requests * units * API_REQUEST,
        function=requests
        * (LAMBDA_REQUEST + seconds * memory / 1024 * LAMBDA_GB_SECOND),
        logs=requests * log_bytes / 1e9 * LOG_GB,
    )


def monthly() -> dict[str, float]:
    """Return the costs that don't depend on the number of events, per month."""
    resources = list(_resources().values())
    types = [resource["Type"] for resource in resources]
    alarms = [
        resource["Properties"]
        for resource in resources
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in resource
    ]
    watched = sum(
        len([m for m in alarm.get("Metrics", [{"MetricStat": 1}]) if "MetricStat" in m])
        for alarm in alarms
    )
    metrics = 2 * len(UNITS) + types.count("AWS::Logs::MetricFilter")
    composites = types.count("AWS::CloudWatch::CompositeAlarm")
    always = ("Received", "Delivered", "HyperlineLatency", "BillingDelay")
    return {
        f"{len(always)} metrics that are written every hour": len(always) * METRIC,
        f"all {metrics} metrics, if each were written every hour": metrics * METRIC,
        f"{len(alarms)} alarms on {watched} metrics": watched * ALARM,
        f"{composites} composite alarm": composites * COMPOSITE_ALARM,
        "the dashboard, after the third of the account": DASHBOARD,
        "the secret": SECRET,
        "reading the secret every 5 minutes, per sandbox of Lambda": 12
        * 24
        * 30
        * SECRET_REQUEST,
        "reading it every 10 seconds, with a sandbox key of Hyperline": 360
        * 24
        * 30
        * SECRET_REQUEST,
        "Lambda polling the Replay queue": POLLS_PER_MONTH * SQS_REQUEST,
    }


def monthly_table() -> str:
    """Return a Markdown table of the costs per month."""
    lines = ["| per month | |", "| --- | --- |"]
    lines += [f"| {name} | ${dollars:.2f} |" for name, dollars in monthly().items()]
    return "\n".join(lines)


def _resources() -> dict[str, Any]:
    """Return the resources of both templates."""
    templates = map(read_template, ("template.yaml", "monitoring.yaml"))
    return {k: v for each in templates for k, v in each["Resources"].items()}


def describe_flood(cpu_microseconds: float, logged: int) -> str:
    """Return a sentence on the cost of forged requests at the template's limit.

    *cpu_microseconds* and *logged* are those of one such request.
    """
    limit = read_template()["Parameters"]["RequestsPerSecond"]["Default"]
    cost = estimate(0, cpu_microseconds, logged)
    # A sandbox handles requests one by one while it doesn't wait for the secret.
    available = 1_000 - SECRET_READS_PER_SECOND * SECRET_WAIT_MS
    sandboxes = math.ceil(limit * cost.milliseconds / available)
    reads = SECRET_READS_PER_SECOND * 3_600 * SECRET_REQUEST
    return (
        "Forged requests with a signature of 40 hexadecimal digits make a sandbox of"
        " Lambda read the secret once a second, and its previous version once a minute."
        f" {limit:,} of them per second (`RequestsPerSecond`) keep about {sandboxes}"
        f" sandboxes busy, and cost ${cost.total * limit * 3_600 / 1e6:.2f} an hour,"
        f" plus ${reads:.3f} per sandbox for reading the secret. Of one request per"
        " second and sandbox, each reads the secret; a million of these cost"
        f" ${cost.total + SECRET_READS_PER_SECOND * 1e6 * SECRET_REQUEST:.2f}."
        " Requests without such a signature cause no additional read."
    )


def table(cpu_microseconds: Mapping[int, float], logged: Mapping[int, int]) -> str:
    """Return Markdown tables, from the CPU time per event and the bytes logged.

    Both are by the events of a request; 0 stands for a rejected one.
    """
    names = ["requests", "Lambda bills per request", "API Gateway", "Lambda"]
    names += ["logs", "total"]
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    titles = {
        1: "a million events, one by one",
        100: "a million events, 100 per request",
        1_000: "a million events, 1,000 per request",
        0: "a million requests rejected with 401",
    }
    for events, title in titles.items():
        cost = estimate(events, cpu_microseconds[events], logged[events])
        dollars = (cost.gateway, cost.function, cost.logs, cost.total)
        cells = (title, f"{cost.milliseconds} ms", *(f"${d:.4f}" for d in dollars))
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        f"At {memory_size()} MB, arm64, us-east-1 list prices of {PRICES_READ} without"
        f" free tiers, and events of {EVENT_BYTES:,} bytes. {WAIT_MS} ms of the time is"
        " an assumed wait for Hyperline; the rest is measured. A line of the function"
        f" has {logged[1]} bytes for one event, and {logged[0]} for a rejected request;"
        f" a line of the access log has {access_log_bytes()}."
    )
    parked = 1e6 * SQS_REQUEST * 1.2
    rare = (
        f"A million events that are parked one by one cost ${parked:.2f} more for SQS:"
        " each is sent alone, and received and deleted ten at a time. With"
        f" `Tracing=on`, a million requests cost up to ${0.05 * 1e6 * TRACE:.2f} more."
    )
    return "\n".join([*lines, "", note, "", rare, "", monthly_table()])


def main() -> None:
    """Update the costs per month in bench/README.md."""
    text = README.read_text("utf-8")
    table = re.compile(r"\| per month \|.*?(?=\n\n)", re.DOTALL)
    README.write_text(table.sub(monthly_table(), text), "utf-8")


if __name__ == "__main__":
    main()
