"""A folder with waiting events, which a person can edit."""

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.mapping.rules import Rules
from segment_to_hyperline.quarantine.edits import Edit, read_file, write_file
from segment_to_hyperline.quarantine.waiting import Place, Waiting


def write_files(
    folder: Path, events: Sequence[Waiting], *, is_purged: bool = False
) -> int:
    """Write a file for each message, and return their number; raises `InputError`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InputError(f"'{folder}' isn't empty: choose another folder")
    groups = [list(own) for _, own in groupby(events, lambda event: event.message.id)]
    for own in groups:
        content = write_file(own, is_purged=is_purged)
        _write(folder / f"{own[0].message.id}.json", content)
    return len(groups)


def read_files(
    folder: Path, waiting: Mapping[Place, Waiting], rules: Rules
) -> tuple[list[Edit], list[str]]:
    """Return the events of the files in *folder*, and why some files can't be used.

    *waiting* has the events that are in Quarantine.
    """
    edits: list[Edit] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*.json")):
        try:
            text = path.read_text("utf-8")
            edits += read_file(str(path), text, waiting, rules)
        except UnicodeDecodeError:
            problems.append(f"{path}: not UTF-8")
        except InputError as error:
            problems.append(str(error))
    return edits, problems


def _write(path: Path, content: str) -> None:
    """Write a file that only its owner can read, and that survives a crash."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
