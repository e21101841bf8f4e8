"""Write the alarms of alarms.toml, and the outcomes of events, where they belong.

`make alarms` runs it, and a test says when it has to be run again.
"""

import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from maintenance.dashboard import write_outcomes

ROOT = Path(__file__).parents[1]
# The dimension of AWS's own metrics.
_DIMENSIONS = {
    "AWS/SQS": "QueueName",
    "AWS/Lambda": "FunctionName",
    "AWS/ApiGateway": "ApiId",
}
# Of a metric filter of monitoring.yaml, which can't have a dimension for the stack.
_ACCESS_LOG = "AccessLog"
_STRING = "tag:yaml.org,2002:str"


class Alarm(NamedTuple):
    """An alarm of alarms.toml, which describes the fields."""

    name: str
    meaning: str = ""
    deadline: str = ""
    action: str = ""
    resolved: str = ""
    parts: tuple[dict[str, Any], ...] = ()
    metric: str = ""
    statistic: str = ""
    period: int = 0
    datapoints: str = ""
    metrics: Mapping[str, str] = {}
    expression: str = ""
    above: float | None = None
    below: float | None = None
    missing: str = "notBreaching"
    condition: str = ""
    template: str = "monitoring.yaml"


class _Call(NamedTuple):
    """A function of CloudFormation, in its short form."""

    name: str
    argument: Any


class _Text(str):
    """A text that is folded over several lines."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Writes calls as CloudFormation's short functions."""


def _represent(dumper: yaml.SafeDumper, call: _Call) -> yaml.Node:
    if isinstance(call.argument, str):
        return dumper.represent_scalar(f"!{call.name}", call.argument)
    return dumper.represent_sequence(f"!{call.name}", call.argument, flow_style=True)


_Dumper.add_representer(_Call, _represent)
_Dumper.add_representer(
    _Text, lambda dumper, text: dumper.represent_scalar(_STRING, text, ">")
)


def read_alarms() -> list[Alarm]:
    """Return the alarms, in the order of their runbooks."""
    table = tomllib.loads((ROOT / "alarms.toml").read_text("utf-8"))
    return [Alarm(**alarm) for alarm in table["alarms"]]


def read_repository() -> str:
    """Return the address of the repository, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    address: str = project["urls"]["Repository"]
    return address


def create_resources(alarm: Alarm) -> dict[str, Any]:
    """Return the alarm, with its parts, as resources of a template by their names."""
    actions = [_Call("Ref", "AlarmTopicArn")]
    common = {
        "AlarmDescription": _Text(describe(alarm)),
        "AlarmActions": _Call(
            "If", ["HasAlarmTopic", actions, _Call("Ref", "AWS::NoValue")]
        ),
    }
    if not alarm.parts:
        return _create(alarm.name, "Alarm", alarm.condition, _compare(alarm) | common)
    resources: dict[str, Any] = {}
    for part in alarm.parts:
        data = Alarm(**part)
        text = {"AlarmDescription": f"A condition of {alarm.name}, which notifies."}
        resources |= _create(data.name, "Alarm", "", _compare(data) | text)
    rule = " AND ".join(f'ALARM("${{{name}}}")' for name in resources)
    properties = {"AlarmRule": _Call("Sub", rule), **common}
    return resources | _create(
        alarm.name, "CompositeAlarm", alarm.condition, properties
    )


def _create(
    name: str, kind: str, condition: str, properties: dict[str, Any]
) -> dict[str, Any]:
    resource: dict[str, Any] = {"Type": f"AWS::CloudWatch::{kind}"}
    if condition:
        resource["Condition"] = condition
    return {name: resource | {"Properties": properties}}


def _compare(alarm: Alarm) -> dict[str, Any]:
    """Return what the alarm compares with its threshold, and how."""
    breaching, _, periods = alarm.datapoints.partition(" of ")
    threshold = alarm.below if alarm.above is None else alarm.above
    comparison = "LessThan" if alarm.above is None else "GreaterThan"
    return {
        **_describe_data(alarm),
        "DatapointsToAlarm": _number(breaching),
        "EvaluationPeriods": _number(periods),
        "Threshold": threshold,
        "ComparisonOperator": f"{comparison}Threshold",
        "TreatMissingData": alarm.missing,
    }


def describe(alarm: Alarm) -> str:
    """Return the text of a notification: what has happened, and the deadline."""
    text = f"{_capitalize(alarm.meaning)} Deadline: {alarm.deadline.strip()}"
    plain = re.sub(r"\s+", " ", text.replace("`", ""))
    page = f"{read_repository()}/blob/main/docs/operations.md"
    return f"{plain} Runbook: {page}#{alarm.name.lower()}"


def write_runbook(alarm: Alarm) -> str:
    """Return the section of docs/operations.md on the alarm."""
    labels = ("meaning", "deadline", "action", "resolved")
    items = [_write_item(label, getattr(alarm, label).strip()) for label in labels]
    return "\n".join([f"### {alarm.name}", "", *items, ""])


def update() -> Iterator[tuple[Path, str]]:
    """Yield each file that contains something of the table, as it should be."""
    alarms = read_alarms()
    for name in ("template.yaml", "monitoring.yaml"):
        written = [_write_resource(alarm) for alarm in alarms if alarm.template == name]
        path, text = _replace(name, "  # alarms.toml: {}\n", "\n".join(written))
        yield path, write_outcomes(text) if name == "monitoring.yaml" else text
    runbooks = "\n".join(map(write_runbook, alarms))
    yield _replace(
        "docs/operations.md", "<!-- alarms.toml: {} -->\n", f"\n{runbooks}\n"
    )


def main() -> None:
    """Write the files."""
    for path, text in update():
        path.write_text(text, "utf-8")


def _describe_data(alarm: Alarm) -> dict[str, Any]:
    """Return what is compared with the threshold: a metric, or an expression."""
    kind = "ExtendedStatistic" if alarm.statistic.startswith("p") else "Statistic"
    if alarm.metric:
        return {**_find(alarm.metric), kind: alarm.statistic, "Period": alarm.period}
    parts = [
        {
            "Id": name,
            "ReturnData": False,
            "MetricStat": {
                "Metric": _find(metric),
                "Stat": alarm.statistic,
                "Period": alarm.period,
            },
        }
        for name, metric in alarm.metrics.items()
    ]
    result = {"Id": "result", "Expression": alarm.expression, "Label": alarm.expression}
    return {"Metrics": [result, *parts]}


def _find(metric: str) -> dict[str, Any]:
    """Return the namespace, the name and the dimensions of *metric*."""
    namespace, *resource, name = metric.split(" ")
    if namespace == _ACCESS_LOG:
        own = _Call("Sub", "SegmentToHyperline/${Stack}")
        return {"Namespace": own, "MetricName": name}
    dimensions: dict[str, Any] = {
        "service": resource[0],
        "stack": _Call("Ref", "Stack"),
    }
    if namespace in _DIMENSIONS:
        dimensions = {_DIMENSIONS[namespace]: _Call("Ref", resource[0])}
    listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"Namespace": namespace, "MetricName": name, "Dimensions": listed}


def _number(text: str) -> Any:
    """Return the number, or a reference to the parameter of this name."""
    return int(text) if text.isdecimal() else _Call("Ref", text)


def _write_item(label: str, text: str) -> str:
    """Return an item of a list; commands in it need the functions of the shell."""
    # Whoever follows the link in a notification sees only the section of the alarm.
    setup = "[set up the shell](#set-up-the-shell), then " * ("```" in text)
    item = f"**{label.capitalize()}:** {setup}{text}"
    return f"- {textwrap.indent(item, '  ').strip()}"


def _capitalize(text: str) -> str:
    stripped = text.strip()
    return stripped[0].upper() + stripped[1:]


def _write_resource(alarm: Alarm) -> str:
    resources = create_resources(alarm)
    text = yaml.dump(resources, Dumper=_Dumper, sort_keys=False, width=88)
    unquoted = re.sub(r"(!\w+) '([^']*)'", r"\1 \2", text)
    return re.sub("^(?=.)", "  ", unquoted, flags=re.MULTILINE)


def _replace(name: str, marker: str, content: str) -> tuple[Path, str]:
    """Return the file of this name, with *content* between its markers."""
    path = ROOT / name
    begin, end = marker.format("begin"), marker.format("end")
    head, _, rest = path.read_text("utf-8").partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        raise ValueError(f"{name} needs the lines {begin!r} and {end!r}")
    return path, f"{head}{begin}{content}{end}{tail}"


if __name__ == "__main__":
    main()
