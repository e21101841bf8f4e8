"""What the templates deploy: alarms, metric filters, the format of the access log."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from local_stack.aws import ROOT
from tests.cloudformation import read_resources
from tests.monitoring.alarms import Alarm, Composite
from tests.monitoring.metrics import MetricFilter


class Deployed(NamedTuple):
    """What is evaluated; a reference to a resource is as in `${Receiver}`."""

    alarms: Mapping[str, Alarm | Composite]
    filters: tuple[MetricFilter, ...]
    access_format: str


def read_deployed(**parameters: str) -> Deployed:
    """Return what is deployed with these *parameters*, and alarms that notify."""
    topic = "arn:aws:sns:eu-west-1:123456789012:topic"
    own = read_resources(ROOT / "template.yaml", AlarmTopicArn=topic, **parameters)
    passed = own["Monitoring"]["Properties"]["Parameters"]
    resources = own | read_resources(ROOT / "monitoring.yaml", **passed)
    own_metric = _select(resources, "AWS::CloudWatch::Alarm")
    alarms = {name: Alarm.create(alarm) for name, alarm in own_metric.items()}
    composites = _select(resources, "AWS::CloudWatch::CompositeAlarm")
    filters = _select(resources, "AWS::Logs::MetricFilter")
    settings = own["WebhookApi"]["Properties"]["AccessLogSettings"]
    return Deployed(
        alarms | {n: Composite.create(c, alarms) for n, c in composites.items()},
        tuple(map(MetricFilter.create, filters.values())),
        settings["Format"],
    )


def _select(resources: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the properties of the resources of a type."""
    return {n: r["Properties"] for n, r in resources.items() if r["Type"] == kind}
