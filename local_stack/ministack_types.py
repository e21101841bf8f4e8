"""Run ministack with what template.yaml and monitoring.yaml need and it doesn't have.

It runs in the environment of ministack, .venv/stack. Its alarms can't compute, so an
alarm on an expression watches the first metric of it instead. It creates nothing for a
saved query. Composite alarms are created with ministack's own API.

The clock of SQS is ahead by the seconds in the file `clock`, so that a test doesn't
wait for a visibility timeout or the retention.
"""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

# It is read when ministack is imported, and would be a folder that stays.
os.environ["STATE_DIR"] = tempfile.gettempdir()

from ministack.app import main  # type: ignore[import-not-found]
from ministack.services import (  # type: ignore[import-not-found]
    cloudwatch,
    lambda_svc,
    sqs,
)
from ministack.services.cloudformation import (  # type: ignore[import-not-found]
    provisioners,
)

type Created = tuple[str, dict[str, Any]]

CLOCK = Path(tempfile.gettempdir(), "clock")
# There is no public way.
HANDLERS = provisioners._RESOURCE_HANDLERS  # noqa: SLF001
describe_alarm = provisioners._cw_metric_alarm_record  # noqa: SLF001
create_mapping = HANDLERS["AWS::Lambda::EventSourceMapping"]["create"]


def accept(logical_id: str, _properties: dict[str, Any], stack_name: str) -> Created:
    """Return a name for the resource, and create nothing."""
    return f"{stack_name}-{logical_id}", {}


def delete(_physical_id: str, _properties: dict[str, Any]) -> None:
    """Do nothing, because nothing was created."""


def describe_first_metric(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Return an alarm for its creation or update; of an expression, on one metric."""
    for query in properties.get("Metrics", ()):
        if stat := query.get("MetricStat"):
            others = {k: v for k, v in properties.items() if k != "Metrics"}
            properties = others | stat["Metric"]
            properties |= {"Statistic": stat["Stat"], "Period": stat["Period"]}
            break
    described: dict[str, Any] = describe_alarm(name, properties)
    return described


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


def delete_composite_alarm(name: str, _properties: dict[str, Any]) -> None:
    """Delete a composite alarm, so that the alarms of its rule can be deleted."""
    delete_alarms = cloudwatch._delete_alarms  # noqa: SLF001
    delete_alarms({}, {"AlarmNames": [name]}, is_cbor=True)


def create_event_source(
    logical_id: str, properties: dict[str, Any], stack_name: str
) -> Created:
    """Create an event source mapping; as on AWS, there is one for a queue and function.

    https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
    """
    created: Created = create_mapping(logical_id, properties, stack_name)
    mappings = lambda_svc._esms  # noqa: SLF001
    new = mappings[created[0]]
    same = ("EventSourceArn", "FunctionArn")
    if any(
        all(other[name] == new[name] for name in same)
        for other in mappings.values()
        if other is not new
    ):
        del mappings[created[0]]
        raise ValueError(f"{logical_id}: an event source mapping already exists")
    return created


class Clock:
    """The module `time`, as far as ministack's SQS uses it."""

    def time(self) -> float:
        """Return the time, put forward by the seconds in the file `clock`."""
        seconds = 0.0
        with suppress(FileNotFoundError):
            seconds = float(CLOCK.read_text())
        return time.time() + seconds


sqs.time = Clock()
HANDLERS["AWS::CloudWatch::CompositeAlarm"] = {
    "create": create_composite_alarm,
    "delete": delete_composite_alarm,
}
HANDLERS["AWS::Lambda::EventSourceMapping"]["create"] = create_event_source
HANDLERS["AWS::Logs::QueryDefinition"] = {"create": accept, "delete": delete}
provisioners._cw_metric_alarm_record = describe_first_metric  # noqa: SLF001

if __name__ == "__main__":
    main()
