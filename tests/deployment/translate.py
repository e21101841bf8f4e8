"""Apply SAM's transform to template.yaml. It runs with the Python of .venv/stack.

Standard input is a JSON array of requests, each an object with the values of
`parameters`, and with properties of the `receiver` that replace those in the template.
Standard output is a JSON array of the resulting templates.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import (  # type: ignore[import-untyped]
    transform,
)
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
# The transform only accepts code that was uploaded.
BUCKET = "s3://uploaded/"


class NoManagedPolicies:
    """The template names no managed policy, so none has to be looked up."""

    def load(self) -> dict[str, str]:
        """Return the ARN of each managed policy by its name."""
        return {}


def translate(template: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Return *template* as CloudFormation creates it."""
    template = copy.deepcopy(template)
    template["Resources"]["Receiver"]["Properties"] |= request["receiver"]
    for owner in (
        template["Globals"]["Function"],
        *(
            resource.get("Properties", {})
            for resource in template["Resources"].values()
        ),
    ):
        if "CodeUri" in owner:
            owner["CodeUri"] = BUCKET + owner["CodeUri"]
    translated: dict[str, Any] = transform(
        template, request["parameters"], NoManagedPolicies(), passthrough_metadata=True
    )
    for resource in translated["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Code"] = resource["Properties"]["Code"]["S3Key"]
    return translated


if __name__ == "__main__":
    parsed = yaml_parse(TEMPLATE.read_text("utf-8"))
    json.dump(
        [translate(parsed, request) for request in json.load(sys.stdin)], sys.stdout
    )
