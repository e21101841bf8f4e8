"""What the page completes and documents: keys, functions and recipes."""

import json
import re
from collections.abc import Iterator
from typing import Any

from segment_to_hyperline import defaults
from segment_to_hyperline.mapping.functions import Functions

_TABLE = re.compile(r"^\[tables\.(\w+)\]\n(?:.+\n)+", re.MULTILINE)


def create_reference() -> dict[str, Any]:
    """Return the keys of a rule, the functions, and recipes to start from."""
    return {
        "keys": _describe_keys(),
        "functions": _describe_functions(),
        "recipes": list(_list_recipes()),
    }


def _describe_keys() -> dict[str, str]:
    schema = json.loads(defaults.find("mapping.schema.json").read_text("utf-8"))
    properties = schema["$defs"]["rule"]["properties"]
    definitions = schema["$defs"]
    return {
        name: content.get("description")
        or definitions.get(name, {}).get("description", "")
        for name, content in properties.items()
    }


def _describe_functions() -> dict[str, str]:
    """Return each function with its row in the documentation, if it has one."""
    text = defaults.find("docs/mapping.md").read_text("utf-8")
    table = text.partition("| Function | Returns |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (.+) \| (.+) \|$", table, re.MULTILINE)
    documented = {
        name: f"{re.sub('`', '', calls)}: {re.sub('`', '', result)}"
        for calls, result in rows
        for name in re.findall(r"`(\w+)\(", calls)
    }
    names = sorted(Functions.FUNCTION_TABLE)
    return {name: documented.get(name, "as in JMESPath") for name in names}


def _list_recipes() -> Iterator[dict[str, str]]:
    """Yield each recipe, with the table that it looks up values in."""
    text = defaults.find("docs/recipes.toml").read_text("utf-8")
    tables = {match[1]: match[0] for match in _TABLE.finditer(text)}
    for block in text.split("\n\n"):
        if "[[rules]]" not in block:
            continue
        used = re.search(r"lookup\('(\w+)'", block)
        yield {
            "title": block.partition("\n")[0].removeprefix("# ").rstrip("."),
            "text": f"{block.strip()}\n",
            "table": tables[used[1]] if used else "",
        }
