"""Run ministack with the resource types of template.yaml that it doesn't know.

It runs in the environment of ministack, .venv/stack. A composite alarm is created with
ministack's own API. Its alarms can't compute a rate, so such an alarm watches the first
metric of the rate instead. Saved queries are accepted, and nothing is created.

The clock of SQS is ahead by the seconds in the file `clock`, so that a test doesn't
wait for a visibility timeout or the retention.
"""

import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ministack.app import main  # type: ignore[import-not-found]
from ministack.services import cloudwatch, sqs  # type: ignore[import-not-found]
from ministack.services.cloudformation import (  # type: ignore[import-not-found]
    provisioners,
)

type Created = tuple[str, dict[str, Any]]

CLOCK = Path(tempfile.gettempdir(), "clock")
HANDLERS = provisioners._RESOURCE_HANDLERS  # noqa: SLF001 - there is no public way
create_alarm = HANDLERS["AWS::CloudWatch::Alarm"]["create"]


def accept(logical_id: str, _properties: dict[str, Any], stack_name: str) -> Created:
    """Return a name for the resource, and create nothing."""
    return f"{stack_name}-{logical_id}", {}


def create_metric_alarm(
    logical_id: str, properties: dict[str, Any], stack_name: str
) -> Created:
    """Create an alarm on a metric; of a rate, it is the first one."""
    for query in properties.get("Metrics", ()):
        if stat := query.get("MetricStat"):
            others = {k: v for k, v in properties.items() if k != "Metrics"}
            properties = others | stat["Metric"]
            properties |= {"Statistic": stat["Stat"], "Period": stat["Period"]}
            break
    created: Created = create_alarm(logical_id, properties, stack_name)
    return created


def create_composite_alarm(
    logical_id: str, properties: dict[str, Any], stack_name: str
) -> Created:
    """Create a composite alarm; raise ValueError if its rule is invalid."""
    name = f"{stack_name}-{logical_id}"
    content = {**properties, "AlarmName": name}
    put = cloudwatch._put_composite_alarm  # noqa: SLF001
    status, _headers, body = put({}, content, is_cbor=True)
    if status != 200:
        raise ValueError(body)
    return name, {}


def delete(_physical_id: str, _properties: dict[str, Any]) -> None:
    """Do nothing: the local AWS is discarded as a whole."""


class Clock:
    """The module `time`, as far as ministack's SQS uses it."""

    def time(self) -> float:
        """Return the time, put forward by the seconds in the file `clock`."""
        seconds = 0.0
        with suppress(FileNotFoundError):
            seconds = float(CLOCK.read_text())
        return time.time() + seconds


sqs.time = Clock()
HANDLERS["AWS::Logs::QueryDefinition"] = {"create": accept, "delete": delete}
HANDLERS["AWS::CloudWatch::Alarm"]["create"] = create_metric_alarm
HANDLERS["AWS::CloudWatch::CompositeAlarm"] = {
    "create": create_composite_alarm,
    "delete": delete,
}

if __name__ == "__main__":
    main()
