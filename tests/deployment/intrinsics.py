"""Resolve CloudFormation's functions and conditions, as far as template.yaml uses them.

A reference to a resource becomes `${Receiver}`, and its attribute `${Receiver.Arn}`. So do
pseudo parameters. Everything else becomes a string, as CloudFormation passes it on.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

# What CloudFormation treats as if the property were not there.
_NO_VALUE = object()
_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class Resolver(NamedTuple):
    """The values of the parameters, and the conditions of the template."""

    parameters: Mapping[str, str]
    conditions: Mapping[str, Any]

    def resolve(self, value: Any) -> Any:
        """Return *value* without functions; raise `ValueError` for an unknown one."""
        match value:
            case {"Ref": "AWS::NoValue"}:
                return _NO_VALUE
            case {"Ref": str(name)} if len(value) == 1:
                return self._look_up(name)
            case {"Fn::GetAtt": [str(resource), str(attribute)]}:
                return f"${{{resource}.{attribute}}}"
            case {"Fn::If": [str(name), then, otherwise]}:
                is_true = self.holds(self.conditions[name])
                return self.resolve(then if is_true else otherwise)
            case {"Fn::Sub": [str(text), dict(variables)]}:
                return self._substitute(text, self.resolve(variables))
            case {"Fn::Sub": str(text)}:
                return self._substitute(text, {})
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(map(self.resolve, parts))
            case dict():
                if unknown := [name for name in value if name.startswith("Fn::")]:
                    raise ValueError(f"unknown function {unknown[0]}: {value}")
                resolved = {key: self.resolve(item) for key, item in value.items()}
                return {k: v for k, v in resolved.items() if v is not _NO_VALUE}
            case list():
                return [r for r in map(self.resolve, value) if r is not _NO_VALUE]
            case bool():
                return str(value).lower()
            case _:
                # A reference outside Fn::Sub is text, and written as such inside it.
                return str(value).replace("${", "${!")

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
            return match[0] if is_literal else variables.get(name) or self._look_up(name)

        return _VARIABLE.sub(replace, text)
