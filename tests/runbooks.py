"""The commands of the documentation, run in bash as a person pastes them."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import botocore.session
import jmespath
from botocore import xform_name
from botocore.validate import ParamValidator

ROOT = Path(__file__).parents[1]
# Records its arguments in a single write, because two run at once in a pipe.
RECORDER = """#!/bin/bash
printf -v line '%s\\x1f' "$@"
printf '%s\\x1e' "$line" >> {record}
{command}
"""
# A name that the AWS CLI has changed, because --endpoint-url begins like it.
_RENAMED = {"notification-endpoint": "endpoint"}
_SESSION = botocore.session.get_session()


# The words after `aws`.
type Call = tuple[str, ...]


def read_blocks(document: str, heading: str = "") -> list[str]:
    """Return the commands in *document*, or only in its section *heading*.

    An element is a block of code without a language, in which a command begins in the
    first column.
    """
    text = (ROOT / document).read_text("utf-8")
    if heading:
        found = re.search(
            rf"^#+ {heading}\n(.*?)(?=^##+ [A-Z]|\Z)", text, re.MULTILINE | re.DOTALL
        )
        assert found, f"{document} has no section {heading}"
        text = found[1]
    blocks = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [
        re.sub(f"^{indent}", "", block, flags=re.MULTILINE)
        for indent, language, block in blocks
        if not language
    ]


class Shell:
    """A bash with commands in a folder of its own, which records the calls of `aws`."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._bin = folder / "bin"
        self._bin.mkdir()
        self._record = folder / "record"
        path = f"{self._bin}:{ROOT / '.venv/bin'}:{os.environ['PATH']}"
        self._environment = environment | {"PATH": path}

    def add_aws(self, command: str) -> None:
        """Add `aws`, which runs *command*, of bash."""
        record = shlex.quote(str(self._record))
        self.add("aws", RECORDER.format(record=record, command=command))

    def add(self, name: str, script: str) -> None:
        """Add the command *name*."""
        (self._bin / name).write_text(script)
        (self._bin / name).chmod(0o755)

    def run(self, *blocks: str, typed: str = "") -> str:
        """Run *blocks* one after the other, and return what they print.

        *typed* is what the person types when a command asks.
        """
        script = self.folder / "script"
        script.write_text("\n".join(blocks))
        done = subprocess.run(
            ["bash", script],
            cwd=self.folder,
            env=self._environment,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def calls(self) -> list[Call]:
        """Return the calls of `aws` so far."""
        text = self._record.read_text("utf-8") if self._record.exists() else ""
        return [tuple(part.split("\x1f")[:-1]) for part in text.split("\x1e")[:-1]]


def check(call: Call) -> str:
    """Return what botocore's model finds wrong with *call*, or nothing."""
    service, operation, *options = call
    if service == "s3":  # the AWS CLI's own commands
        return "" if operation in {"cp", "ls", "rb"} else f"unknown: s3 {operation}"
    model = _SESSION.get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        return f"{service} has no operation {operation}"
    described = model.operation_model(names[operation])
    if described.has_streaming_output:
        options.pop()  # the file for it
    shape: Any = described.input_shape
    members = {xform_name(name, "-"): name for name in shape.members}
    parameters = {}
    for written, values in _group(options):
        option = _RENAMED.get(written, written)
        if option == "query":
            jmespath.compile(*values)
        elif option == "output":
            assert values[0] in {"json", "text", "table"}
        elif option == "cli-binary-format":
            assert values == ["raw-in-base64-out"]
        elif option not in members:
            return f"{service} {operation} has no option --{option}"
        else:
            name = members[option]
            parameters[name] = _convert(shape.members[name], values)
    return str(ParamValidator().validate(parameters, shape).generate_report())


def _group(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each option without its dashes, and its values."""
    values: list[str] = []
    for word in reversed(words):
        if word.startswith("--"):
            yield word[2:], values[::-1]
            values = []
        else:
            values.append(word)
    assert not values, "a value without an option"


def _convert(shape: Any, values: list[str]) -> Any:
    """Return the value of a parameter as the AWS CLI converts it."""
    match shape.type_name:
        case "list":
            return [_convert(shape.member, [value]) for value in values]
        case "boolean":
            assert values == []
            return True
        case "integer" | "long":
            return int(*values)
        case "double":
            return float(*values)
        case "structure" | "map":
            return json.loads(*values)
        case _:
            (value,) = values
            allowed = getattr(shape, "enum", ())
            assert not allowed or value in allowed, f"{value!r} is none of {allowed}"
            return value
