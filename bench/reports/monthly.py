"""What the stack costs per month, whether or not there are events.

As a command, it updates the table in bench/README.md, which isn't measured.
"""

import re
from pathlib import Path
from typing import Any

from bench.reports import prices
from bench.reports.markdown import write_table
from segment_to_hyperline.simulation.template import read_template
from segment_to_hyperline.telemetry import UNITS

README = Path(__file__).parents[1] / "README.md"
_HOURS = 24 * 30
# The metrics that are written while events are delivered.
_ALWAYS = ("Received", "Delivered", "HyperlineLatency", "BillingDelay")


def monthly() -> dict[str, float]:
    """Return the costs per month that don't depend on the number of events."""
    return {
        **_monitoring(),
        "the secret": prices.SECRET,
        "reading the secret every 5 minutes, per sandbox of Lambda": (
            12 * _HOURS * prices.SECRET_REQUEST
        ),
        "reading it every 10 seconds, with a sandbox key of Hyperline": (
            360 * _HOURS * prices.SECRET_REQUEST
        ),
        "Lambda polling the Replay queue": prices.POLLS_PER_MONTH * prices.SQS_REQUEST,
    }


def monthly_table() -> str:
    """Return a Markdown table of the costs per month."""
    rows = [(name, f"${dollars:.2f}") for name, dollars in monthly().items()]
    return write_table(("per month", ""), rows)


def _monitoring() -> dict[str, float]:
    """Return the costs of metrics, alarms and the dashboard."""
    resources = _read_resources()
    types = [resource["Type"] for resource in resources]
    alarms = [
        resource["Properties"]
        for resource in resources
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in resource
    ]
    watched = sum(map(_count_metrics, alarms))
    metrics = 2 * len(UNITS) + types.count("AWS::Logs::MetricFilter")
    composites = types.count("AWS::CloudWatch::CompositeAlarm")
    return {
        f"{len(_ALWAYS)} metrics that are written every hour": (
            len(_ALWAYS) * prices.METRIC
        ),
        f"all {metrics} metrics, if each were written every hour": (
            metrics * prices.METRIC
        ),
        f"{len(alarms)} alarms on {watched} metrics": watched * prices.ALARM,
        f"{composites} composite alarm": composites * prices.COMPOSITE_ALARM,
        "the dashboard, after the third of the account": prices.DASHBOARD,
    }


def _count_metrics(alarm: dict[str, Any]) -> int:
    """Return the number of metrics that *alarm* watches."""
    return sum("MetricStat" in m for m in alarm.get("Metrics", [{"MetricStat": 1}]))


def _read_resources() -> list[Any]:
    """Return the resources of both templates."""
    templates = map(read_template, ("template.yaml", "monitoring.yaml"))
    return [resource for each in templates for resource in each["Resources"].values()]


def main() -> None:
    """Update the costs per month in bench/README.md."""
    text = README.read_text("utf-8")
    table = re.compile(r"\| per month \|.*?(?=\n\n)", re.DOTALL)
    README.write_text(table.sub(monthly_table(), text), "utf-8")


if __name__ == "__main__":
    main()
