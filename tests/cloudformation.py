"""Read templates, and resolve their functions and conditions, as far as we use them.

A reference to a resource becomes `${Receiver}`, and one to an attribute
`${Receiver.Arn}`. Other values become strings, as CloudFormation passes them on.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

# CloudFormation removes a property with this value.
_NO_VALUE = "${AWS::NoValue}"
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class _Loader(yaml.SafeLoader):
    """Reads `!Sub text` as {"Fn::Sub": text}, and `!Ref name` as {"Ref": name}."""


def _construct(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        text = str(loader.construct_scalar(node))
        return {name: text.split(".", 1) if tag == "GetAtt" else text}
    assert isinstance(node, yaml.SequenceNode)
    return {name: loader.construct_sequence(node, deep=True)}


_Loader.add_multi_constructor("!", _construct)


def read_resources(path: Path, **parameters: str) -> dict[str, Any]:
    """Return what the template at *path* creates; other parameters have their default.

    SAM's transform is not applied.
    """
    template = yaml.load(path.read_text("utf-8"), _Loader)
    declared = template["Parameters"].items()
    defaults = {k: str(v["Default"]) for k, v in declared if "Default" in v}
    resolver = Resolver(defaults | parameters, template["Conditions"])
    return {
        name: resolver.resolve(resource)
        for name, resource in template["Resources"].items()
        if "Condition" not in resource or resolver.holds(resource)
    }


class Resolver(NamedTuple):
    """The values of the parameters, and the conditions of the template."""

    parameters: Mapping[str, str]
    conditions: Mapping[str, Any]

    def resolve(self, value: Any) -> Any:
        """Return *value* without functions; raise `ValueError` for an unknown one."""
        match value:
            case dict():
                for name, argument in value.items():
                    if name == "Ref" or name.startswith("Fn::"):
                        return self._call(name, argument)
                items = {key: self.resolve(item) for key, item in value.items()}
                return {key: v for key, v in items.items() if v != _NO_VALUE}
            case list():
                return [v for v in map(self.resolve, value) if v != _NO_VALUE]
            case bool():
                return str(value).lower()
            case _:
                # It refers to nothing; inside Fn::Sub it would be written like this.
                return str(value).replace("${", "${!")

    def _call(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", str(name):
                return self._look_up(name)
            case "Fn::GetAtt", [str(resource), str(attribute)]:
                return f"${{{resource}.{attribute}}}"
            case "Fn::If", [str(condition), then, otherwise]:
                is_true = self.holds(self.conditions[condition])
                return self.resolve(then if is_true else otherwise)
            case "Fn::Sub", [str(text), dict(variables)]:
                return self._substitute(text, self.resolve(variables))
            case "Fn::Sub", str(text):
                return self._substitute(text, {})
            case _:
                raise ValueError(f"unknown function {function}: {argument}")

    def holds(self, condition: Any) -> bool:
        """Return whether *condition* is true."""
        match condition:
            case {"Fn::Equals": [first, second]}:
                return bool(self.resolve(first) == self.resolve(second))
            case {"Fn::Not": [negated]}:
                return not self.holds(negated)
            case {"Fn::And": list(all_of)}:
                return all(map(self.holds, all_of))
            case {"Fn::Or": list(any_of)}:
                return any(map(self.holds, any_of))
            case {"Condition": str(name)}:
                return self.holds(self.conditions[name])
            case _:
                raise ValueError(f"unknown condition {condition}")

    def _look_up(self, name: str) -> str:
        return self.parameters.get(name, f"${{{name}}}")

    def _substitute(self, text: str, variables: Mapping[str, str]) -> str:
        def replace(match: re.Match[str]) -> str:
            is_literal, name = match.groups()
            return (
                match[0] if is_literal else variables.get(name) or self._look_up(name)
            )

        return _VARIABLE.sub(replace, text)
