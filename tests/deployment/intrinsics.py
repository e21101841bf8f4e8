"""Resolve CloudFormation's functions and conditions, as far as template.yaml uses them.

A reference to a resource becomes `${Receiver}`, and one to an attribute
`${Receiver.Arn}`. Other values become strings, as CloudFormation passes them on.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

# CloudFormation removes a property with this value.
_NO_VALUE = "${AWS::NoValue}"
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


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
