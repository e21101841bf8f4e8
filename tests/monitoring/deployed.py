"""What the templates deploy: alarms, metric filters, the format of the access log."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.monitoring.alarms import Alarm
from tests.monitoring.metrics import MetricFilter
from tools.template import PATH, read_template


class Deployed(NamedTuple):
    """What is evaluated; a reference to a resource is its name in template.yaml."""

    alarms: Mapping[str, Alarm]
    filters: tuple[MetricFilter, ...]
    access_format: str


def read_deployed() -> Deployed:
    """Return what is deployed with the default values of the parameters.

    Alarms that exist only with another value of a parameter are left out.
    """
    template = read_template()
    own = _resolve(template["Resources"], _read_defaults(template))
    resources = own | _read_nested(own)
    alarms = _select(resources, "AWS::CloudWatch::Alarm")
    filters = _select(resources, "AWS::Logs::MetricFilter")
    settings = own["WebhookApi"]["Properties"]["AccessLogSettings"]
    return Deployed(
        {name: Alarm.create(properties) for name, properties in alarms.items()},
        tuple(map(MetricFilter.create, filters.values())),
        settings["Format"],
    )


def _select(resources: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the properties of the resources of a type that always exist."""
    return {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == kind and "Condition" not in resource
    }


def _read_nested(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resources of the nested stack, with the parameters passed to it."""
    if "Monitoring" not in resources:
        return {}
    template = read_template(PATH.with_name("monitoring.yaml"))
    passed = resources["Monitoring"]["Properties"]["Parameters"]
    names = {name: value for name, value in passed.items() if isinstance(value, str)}
    nested = _resolve(template["Resources"], _read_defaults(template) | names)
    return dict(nested)


def _read_defaults(template: Mapping[str, Any]) -> dict[str, str]:
    parameters = template["Parameters"]
    return {name: str(p["Default"]) for name, p in parameters.items() if "Default" in p}


def _resolve(value: Any, names: Mapping[str, str]) -> Any:
    """Return *value* with the values of parameters instead of references to them."""
    match value:
        case dict():
            return {key: _resolve(item, names) for key, item in value.items()}
        case list():
            return [_resolve(item, names) for item in value]
        case str() if value in names:
            return names[value]
        case str():
            return re.sub(r"\$\{([\w:.]+)\}", lambda m: names.get(m[1], m[1]), value)
        case _:
            return value
