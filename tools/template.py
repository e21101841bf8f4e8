"""Read template.yaml."""

from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).parents[1] / "template.yaml"


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


def read_template() -> dict[str, Any]:
    """Return the template as a dictionary."""
    template: dict[str, Any] = yaml.load(PATH.read_text("utf-8"), _Loader)
    return template
