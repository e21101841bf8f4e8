"""What template.yaml deploys after SAM's transform, for different parameters."""

import functools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.deployment.intrinsics import Resolver
from tests.deployment.rows import flatten, read_rows
from tools.local_aws import ROOT

# What monitors the application is tested elsewhere, except for the alarm by which
# CodeDeploy decides whether a deployment fails.
_MONITORING = re.compile(
    "AWS::CloudWatch::.*|AWS::Logs::QueryDefinition|AWS::CloudFormation::Stack"
)
_NOT_ONLY_MONITORING = {"ReceiverErrorsAlarm"}

# For each parameter, a valid value that differs from its default and from the others'.
OTHER_VALUES = {
    "SecretName": "prod/segment",
    "HyperlineUrl": "https://example.com",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "SilenceHours": "5",
    "CheckedEventTypes": '["Seats Added"]',
    "Dashboard": "off",
    "ParkAfterSeconds": "60",
    "RequestsPerSecond": "7",
    "ReservedConcurrency": "9",
    "LogRetentionInDays": "90",
    "Architecture": "x86_64",
    "MemorySize": "512",
    "SnapStart": "on",
    "Tracing": "on",
    "SmokeTest": "true",
    "DeploymentType": "Linear10PercentEvery1Minute",
}
# The parameters that are set: none, each one alone, and all of them.
SCENARIOS: dict[str, dict[str, str]] = {
    "defaults": {},
    **{name: {name: value} for name, value in OTHER_VALUES.items()},
    "everything": OTHER_VALUES,
}


class Stack(NamedTuple):
    """What is deployed with some parameters."""

    parameters: Mapping[str, str]
    """The value of each parameter."""
    is_set: frozenset[str]
    """The parameters whose value is not the default."""
    resources: Mapping[str, Mapping[str, Any]]
    """The resources that are created, without intrinsic functions."""
    rows: Mapping[tuple[str, str], str]
    """The value of each property, by the name of its resource and its path.

    They include the outputs and what parameters accept, but no monitoring.
    """
    version: str
    """The logical id of the Receiver's version. If it changes, one is published."""

    def properties(self, resource: str) -> Mapping[str, Any]:
        """Return the properties of *resource*."""
        properties: Mapping[str, Any] = self.resources[resource]["Properties"]
        return properties


@functools.cache
def deploy_all() -> Mapping[str, Stack]:
    """Return what is deployed in each of `SCENARIOS`."""
    # All at once, because starting SAM's translator takes most of the time.
    stacks = deploy(*({"parameters": values} for values in SCENARIOS.values()))
    return dict(zip(SCENARIOS, stacks, strict=True))


def deploy(*requests: Mapping[str, Mapping[str, Any]]) -> list[Stack]:
    """Return what is deployed for each of *requests*, which translate.py describes."""
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
        _read(template, request.get("parameters", {}))
        for template, request in zip(json.loads(done.stdout), requests, strict=True)
    ]


def _read(template: Mapping[str, Any], values: Mapping[str, str]) -> Stack:
    """Return the stack of a transformed *template* with these *values*."""
    text = json.dumps(template)
    (version,) = set(re.findall(r"ReceiverVersion[0-9a-f]{10}", text))
    template = json.loads(text.replace(version, "ReceiverVersion"))
    defaults = {k: str(v["Default"]) for k, v in template["Parameters"].items()}
    parameters = defaults | values
    resolver = Resolver(parameters, template["Conditions"])
    resources = {
        name: resolver.resolve(resource)
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or resolver.holds(resource)
    }
    is_set = frozenset(k for k, v in parameters.items() if v != defaults[k])
    rows = dict([*_read_resources(resources), *_read_head(template, resolver)])
    return Stack(parameters, is_set, resources, rows, version)


def _read_resources(
    resources: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[tuple[str, str], str]]:
    for name, resource in resources.items():
        if name in _NOT_ONLY_MONITORING or not _MONITORING.fullmatch(resource["Type"]):
            for path, value in read_rows(resource).items():
                yield (name, path), value


def _read_head(
    template: Mapping[str, Any], resolver: Resolver
) -> Iterator[tuple[tuple[str, str], str]]:
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
