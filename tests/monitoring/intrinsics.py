"""Read templates, and evaluate CloudFormation's functions as far as that is possible.

A reference to a resource is its name, as in "Receiver" or "Quarantine.QueueName".
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

NO_VALUE = "AWS::NoValue"


class _Loader(yaml.SafeLoader):
    """Reads `!Name value` as {"Fn::Name": value}."""


def _construct(loader: _Loader, tag: str, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            raise TypeError(node)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _construct)


class Template(NamedTuple):
    """A template with the values of its parameters."""

    content: Mapping[str, Any]
    parameters: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path, **parameters: Any) -> "Template":
        """Return the template at *path*; other parameters have their default."""
        content = yaml.load(path.read_text("utf-8"), _Loader)
        declared = content.get("Parameters", {})
        defaults = {n: p["Default"] for n, p in declared.items() if "Default" in p}
        return cls(content, defaults | parameters)

    def resources(self) -> dict[str, Any]:
        """Return the resources that are created."""
        return {
            name: self.evaluate(resource)
            for name, resource in self.content["Resources"].items()
            if "Condition" not in resource or self._holds(resource["Condition"])
        }

    def evaluate(self, value: Any) -> Any:
        """Return *value* with the results of its functions."""
        match value:
            case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Sub": _} | {"Fn::FindInMap": _}:
                return self._refer(value)
            case {"Fn::If": [condition, yes, no]}:
                return self.evaluate(yes if self._holds(condition) else no)
            case dict():
                items = ((key, self.evaluate(item)) for key, item in value.items())
                return {key: item for key, item in items if item != NO_VALUE}
            case list():
                return list(map(self.evaluate, value))
        return value

    def _refer(self, function: Mapping[str, Any]) -> Any:
        """Return what a *function* refers to."""
        match function:
            case {"Ref": name}:
                return self.parameters.get(name, name)
            case {"Fn::GetAtt": str(path)}:
                return path
            case {"Fn::Sub": str(text)}:
                return self._substitute(text, {})
            case {"Fn::Sub": [text, variables]}:
                return self._substitute(text, self.evaluate(variables))
            case {"Fn::FindInMap": [name, first, second]}:
                row = self.content["Mappings"][name][str(self.evaluate(first))]
                return row[self.evaluate(second)]
        raise ValueError(f"unknown reference: {function}")

    def _substitute(self, text: str, variables: Mapping[str, Any]) -> str:
        known = {**self.parameters, **variables}
        return re.sub(r"\$\{([\w:.]+)\}", lambda m: str(known.get(m[1], m[1])), text)

    def _holds(self, condition: Any) -> bool:
        match condition:
            case str() | {"Condition": _}:
                name = (
                    condition if isinstance(condition, str) else condition["Condition"]
                )
                return self._holds(self.content["Conditions"][name])
            case {"Fn::Equals": [a, b]}:
                return str(self.evaluate(a)) == str(self.evaluate(b))
            case {"Fn::Not": [inner]}:
                return not self._holds(inner)
            case {"Fn::And": inner}:
                return all(map(self._holds, inner))
            case {"Fn::Or": inner}:
                return any(map(self._holds, inner))
        raise ValueError(f"unknown condition: {condition}")
