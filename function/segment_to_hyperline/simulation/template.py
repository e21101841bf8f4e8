"""Read template.yaml and monitoring.yaml."""

from typing import Any

import yaml

from segment_to_hyperline import defaults


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as their arguments."""


def _construct(loader: _Loader, _tag: str, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            return loader.construct_scalar(node)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            return loader.construct_mapping(node, deep=True)
        case _:
            raise TypeError(node)


_Loader.add_multi_constructor("!", _construct)


def read_template(name: str = "template.yaml") -> dict[str, Any]:
    """Return the template of this name as a dictionary."""
    text = defaults.find(name).read_text("utf-8")
    template: dict[str, Any] = yaml.load(text, _Loader)
    return template
