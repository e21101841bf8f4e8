"""Read template.yaml and monitoring.yaml."""

from pathlib import Path
from typing import Any

import yaml

_PACKAGE = Path(__file__).parents[1]
ROOT = _PACKAGE.parents[1]


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
    """Return the template of this name as a dictionary.

    It is in this package, as installed, or in the root of a checkout.
    """
    installed = _PACKAGE / name
    path = installed if installed.exists() else ROOT / name
    template: dict[str, Any] = yaml.load(path.read_text("utf-8"), _Loader)
    return template
