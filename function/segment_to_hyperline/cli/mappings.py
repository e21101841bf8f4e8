"""The mapping that a command uses, and the one it is compared with."""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from segment_to_hyperline import defaults
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.mapping.file import load_rules, parse_rules
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.reconciliation.api.rows import format_milliseconds
from segment_to_hyperline.reconciliation.expected.mappings import DatedMapping
from segment_to_hyperline.reconciliation.header import MappingVersion

# git sets them for a hook, where they take precedence over the folder of the mapping.
# https://git-scm.com/docs/githooks#_description
_GIT_VARIABLES = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX"),
)

mapping_option = click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar=defaults.MAPPING_VARIABLE,
    show_envvar=True,  # in errors, too
    default=defaults.find("mapping.toml"),
    metavar="FILE",
    help="Mapping to use; by default function/mapping.toml of this version.",
)


class MappingFile(NamedTuple):
    """A mapping, and which version it is."""

    mapping: DatedMapping
    version: MappingVersion


def read_mappings(
    mapping: Path, later: Sequence[tuple[int, str]]
) -> Sequence[MappingFile]:
    """Return the valid mapping in a file, and *later* ones, in the order of time.

    A later one has the time since when it was deployed, and is a file, or a git
    revision of the file *mapping*. Raises `InputError` or `MappingFileError`.
    """
    content = _read(mapping)
    commit = _describe_commit(mapping)
    files = [_create_file(DatedMapping(0, content, str(mapping)), commit)]
    for since, name in sorted(later):
        if Path(name).is_file():
            content, commit = _read(Path(name)), _describe_commit(Path(name))
        else:
            content, commit = _read_revision(name, mapping), f"git revision {name}"
            name = str(mapping)  # noqa: PLW2901 - the revision is of this file
        files.append(_create_file(DatedMapping(since, content, name), commit))
    return files


def _create_file(mapping: DatedMapping, commit: str) -> MappingFile:
    parse_rules(mapping.content, Path(mapping.name).name)
    digest = hashlib.sha256(mapping.content).hexdigest()
    since = format_milliseconds(mapping.since) if mapping.since else ""
    return MappingFile(mapping, MappingVersion(mapping.name, digest, commit, since))


def _read(mapping: Path) -> bytes:
    try:
        return mapping.read_bytes()
    except OSError as error:
        raise InputError(f"'{mapping}': {error.strerror}") from error


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
        done = _start_git(mapping, *arguments)
    except OSError:
        return ""
    return done.stdout.decode(errors="replace").strip() if not done.returncode else ""


def _start_git(mapping: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git in the repository that the file *mapping* is in."""
    others = {k: v for k, v in os.environ.items() if k not in _GIT_VARIABLES}
    return subprocess.run(
        ["git", *arguments],
        cwd=mapping.absolute().parent,
        env=others,
        capture_output=True,
        check=False,
    )


def load_other_mapping(against: str, mapping: Path) -> Rules:
    """Return the rules in a file, or those of the file *mapping* in a git revision.

    Raises `InputError` or `MappingFileError`.
    """
    if Path(against).is_file():
        return load_rules(Path(against))
    return parse_rules(_read_revision(against, mapping), f"{against}:./{mapping.name}")


def _read_revision(name: str, mapping: Path) -> bytes:
    """Return the content of the file *mapping* in a git revision."""
    revision = f"{name}:./{mapping.name}"
    shown = _start_git(mapping, "show", "--end-of-options", revision)
    if shown.returncode:
        raise InputError(
            f"{name} is neither a file nor a git revision that contains the mapping:"
            f" {shown.stderr.decode().strip()}"
        )
    return shown.stdout
