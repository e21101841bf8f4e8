"""The mapping that a command uses, and the one it is compared with."""

import hashlib
import subprocess
from pathlib import Path
from typing import NamedTuple

import click

from segment_to_hyperline import defaults
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.mapping.file import load_rules, parse_rules
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.reconciliation.header import MappingVersion

mapping_option = click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=defaults.find("mapping.toml"),
    metavar="FILE",
    help="Mapping to use; by default function/mapping.toml of this version.",
)


class MappingFile(NamedTuple):
    """The content of a mapping file, and which version it is."""

    content: bytes
    version: MappingVersion


def read_mapping(mapping: Path) -> MappingFile:
    """Return the content of a file that has a valid mapping.

    Raises `InputError` or `MappingFileError`.
    """
    try:
        content = mapping.read_bytes()
    except OSError as error:
        raise InputError(f"'{mapping}': {error.strerror}") from error
    parse_rules(content, mapping.name)
    digest = hashlib.sha256(content).hexdigest()
    version = MappingVersion(str(mapping), digest, _describe_commit(mapping))
    return MappingFile(content, version)


def _describe_commit(mapping: Path) -> str:
    """Return the last git commit of a file, and whether it was changed since."""
    commit = _run_git(mapping, "log", "-1", "--format=%h", "--", mapping.name)
    if not commit:
        return "no git commit"
    is_changed = _run_git(mapping, "status", "--porcelain", "--", mapping.name)
    return f"git commit {commit}{', changed since' if is_changed else ''}"


def _run_git(mapping: Path, *arguments: str) -> str:
    """Return what git prints, or nothing if it fails or doesn't exist."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=mapping.absolute().parent,
            capture_output=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.decode(errors="replace").strip() if not done.returncode else ""


def load_other_mapping(against: str, mapping: Path) -> Rules:
    """Return the rules in a file, or those of the file *mapping* in a git revision.

    Raises `InputError` or `MappingFileError`.
    """
    if Path(against).is_file():
        return load_rules(Path(against))
    revision = f"{against}:./{mapping.name}"
    shown = subprocess.run(
        ["git", "show", "--end-of-options", revision],
        cwd=mapping.absolute().parent,
        capture_output=True,
        check=False,
    )
    if shown.returncode:
        raise InputError(
            f"{against} is neither a file nor a git revision that contains the mapping:"
            f" {shown.stderr.decode().strip()}"
        )
    return parse_rules(shown.stdout, revision)
