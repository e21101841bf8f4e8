"""What template.yaml deploys after SAM's transform, for different parameters.

This includes the nested stack of daily_check.yaml.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from local_stack.aws import ROOT
from tests.cloudformation import Resolver, read_resources
from tests.deployment.rows import flatten, read_rows

# For each parameter, a valid value that differs from its default and from the others'.
OTHER_VALUES = {
    "SecretName": "prod/segment",
    "HyperlineUrl": "https://example.com",
    "IngestionVersion": "v2",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "UndeliveredHours": "72",
    "SilenceHours": "5",
    "ArchiveBucket": "archive",
    "ArchivePrefix": "prod/",
    "ReportTopicArn": "arn:aws:sns:us-east-1:123456789012:reports",
    "BackfillMissing": "true",
    "Dashboard": "off",
    "ParkAfterSeconds": "60",
    "MaxRequestsPerSecond": "7",
    "ReservedConcurrency": "9",
    "LogRetentionInDays": "90",
    "Architecture": "x86_64",
    "MemorySize": "512",
    "SnapStart": "on",
    "Tracing": "on",
    "SmokeTest": "true",
    "DeploymentType": "Linear10PercentEvery1Minute",
}
# The parameters that are set. All resources exist in the last two.
SCENARIOS: dict[str, dict[str, str]] = {
    "defaults": {},
    **{name: {name: value} for name, value in OTHER_VALUES.items()},
    "everything": OTHER_VALUES,
    "all resources": {
        name: OTHER_VALUES[name] for name in ("SmokeTest", "ArchiveBucket")
    },
}
# The nested stack whose resources are listed too.
NESTED = "Reconciliation"
# The stack with the defaults, and with another timeout of the Receiver.
EDITED = "edited"


class Stack(NamedTuple):
    """What is deployed with some parameters."""

    parameters: Mapping[str, str]
    """The value of each parameter."""
    is_set: frozenset[str]
    """The parameters whose value is not the default."""
    rows: Mapping[tuple[str, str], str]
    """The value of each property, by the name of its resource and its path.

    They include the outputs and what parameters accept.
    """
    version: str
    """The logical id of the Receiver's version. If it changes, one is published."""

    def number(self, resource: str, path: str) -> float:
        """Return the number that is the value of a property."""
        return float(self.rows[resource, path])

    def variable(self, function: str, name: str) -> float:
        """Return the number in an environment variable of *function*."""
        return self.number(function, f"Environment.Variables.{name}")


def deploy_all() -> Mapping[str, Stack]:
    """Return what is deployed in each of `SCENARIOS`, and in `EDITED`."""
    requests: list[dict[str, Any]] = [
        {"parameters": parameters, "receiver": {}} for parameters in SCENARIOS.values()
    ]
    requests.append({"parameters": {}, "receiver": {"Timeout": 11}})
    return dict(zip([*SCENARIOS, EDITED], _deploy(requests), strict=True))


def _deploy(requests: Sequence[Mapping[str, Any]]) -> list[Stack]:
    """Return what is deployed for each of *requests*, which translate.py describes."""
    # All at once, because starting SAM's translator takes most of the time.
    done = subprocess.run(
        [ROOT / ".venv/stack/bin/python", Path(__file__).with_name("translate.py")],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"SAM can't transform template.yaml: {done.stderr}")
    return [
        _read(template, request["parameters"])
        for template, request in zip(json.loads(done.stdout), requests, strict=True)
    ]


def _read(template: Mapping[str, Any], values: Mapping[str, str]) -> Stack:
    """Return the stack of a transformed *template* with these *values*."""
    text = json.dumps(template)
    (version,) = set(re.findall(r"ReceiverVersion[0-9a-f]{10}", text))
    template = json.loads(text.replace(version, "ReceiverVersion"))
    defaults = {k: str(v["Default"]) for k, v in template["Parameters"].items()}
    parameters = {**defaults, **values}
    is_set = frozenset(k for k, v in parameters.items() if v != defaults[k])
    resolver = Resolver(parameters, template["Conditions"])
    resources = _resolve(template, resolver)
    if NESTED in resources:
        passed = resources[NESTED]["Properties"]["Parameters"]
        resources |= read_resources(ROOT / "daily_check.yaml", **passed)
    rows = dict([*_list_rows(resources), *_read_rest(template, resolver)])
    return Stack(parameters, is_set, rows, version)


type _Rows = Iterator[tuple[tuple[str, str], str]]


def _resolve(template: Mapping[str, Any], resolver: Resolver) -> dict[str, Any]:
    """Return the resources that exist."""
    return {
        name: resolver.resolve(resource)
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or resolver.holds(resource)
    }


def _list_rows(resources: Mapping[str, Any]) -> _Rows:
    for name, resource in resources.items():
        for path, value in read_rows(resource).items():
            yield (name, path), value


def _read_rest(template: Mapping[str, Any], resolver: Resolver) -> _Rows:
    for name, parameter in template["Parameters"].items():
        yield ("Parameters", name), _describe(parameter)
    for name, output in resolver.resolve(template["Outputs"]).items():
        for path, value in flatten(output):
            if path != "Description":
                yield ("Outputs", f"{name}.{path}"), value


def _describe(parameter: Mapping[str, Any]) -> str:
    """Return what *parameter* accepts; its pattern in the words of the template."""
    rest = {k: v for k, v in parameter.items() if k != "Description"}
    if rest.pop("AllowedPattern", None):
        rest["AllowedPattern"] = rest.pop("ConstraintDescription")
    return "; ".join(f"{path} {value}" for path, value in flatten(rest))
