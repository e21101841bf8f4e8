"""Write a resource as rows: a path to each property, and its value as a string."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

# Only people read these, so they have no row.
_TEXTS = {
    ("AWS::Lambda::Function", "Description"),
    ("AWS::ApiGatewayV2::Api", "Body.info.description"),
    ("AWS::CloudWatch::Alarm", "AlarmDescription"),
    ("AWS::IAM::Role", "Policies.0.PolicyName"),
    ("AWS::Events::Rule", "Description"),
}


def read_rows(resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the rows of *resource*: its properties, and attributes such as its type.

    A statement of a policy has a row for each of its actions.
    """
    kind = resource["Type"]
    content = {
        k: v for k, v in resource.items() if k not in {"Properties", "Condition"}
    }
    if kind != "AWS::Lambda::Function":
        # The transform copies it from the function for which it creates the resource.
        content.pop("Metadata", None)
    rows: defaultdict[str, list[str]] = defaultdict(list)
    for path, value in flatten(content | resource.get("Properties", {})):
        if (kind, path) not in _TEXTS:
            rows[path].append(value)
    return {path: " / ".join(sorted(values)) for path, values in rows.items()}


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each value in *value*."""
    match value:
        case {"Effect": str()}:
            yield from _flatten_statement(value)
        case dict() if value:
            for key, item in value.items():
                yield from flatten(item, f"{path}.{key}" if path else key)
        case list() if any(isinstance(item, dict | list) for item in value):
            for index, item in enumerate(value):
                yield from flatten(item, f"{path}.{index}")
        case list() if value:
            yield path, ", ".join(map(str, value))
        case _:
            yield path, str(value) or '""'


def _flatten_statement(statement: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    rest = dict(statement)
    effect, actions = rest.pop("Effect"), rest.pop("Action", "NotAction")
    text = "; ".join(f"{name} {item}" for name, item in flatten(rest))
    for action in [actions] if isinstance(actions, str) else actions:
        yield f"{effect} {action}", text
