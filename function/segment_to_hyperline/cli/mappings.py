"""The mapping that a command uses, and the one it is compared with."""

import subprocess
from pathlib import Path

import click

from segment_to_hyperline import defaults
from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.mapping.file import load_rules, parse_rules
from segment_to_hyperline.mapping.rules import Rules

mapping_option = click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=defaults.find("mapping.toml"),
    metavar="FILE",
    help="Mapping to use; by default function/mapping.toml of this version.",
)


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
