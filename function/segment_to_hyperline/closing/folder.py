"""The folder of a month's report: its files, and the manifest with their hashes."""

import gzip
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.closing.close import Request
from segment_to_hyperline.closing.reading import Zone
from segment_to_hyperline.reconciliation.header import Header, read_header

MANIFEST = "manifest.json"
# What the events bill, and what was read from Hyperline.
EVENTS, RESPONSES = "data/events.ndjson.gz", "data/hyperline.ndjson.gz"
# How much of the folder's name a temporary one has.
_SHOWN_NAME = 50


class Manifest(NamedTuple):
    """What a report was made of."""

    version: str
    """The version of this application."""
    request: Request
    header: Header
    core: str | None
    """The host of the core API that was read, or None."""
    inputs: Sequence[tuple[str, str]]
    """The files with the events, and the hash of each."""


@contextmanager
def create_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder, which only its owner can read, and which becomes *path*.

    It is removed if something fails. Raises `InputError` if *path* exists.
    """
    require_new(path)
    with _explain(path):
        prefix = f".{path.name[:_SHOWN_NAME]}."
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    try:
        (folder / EVENTS).parent.mkdir()
        yield folder
        require_new(path)
        with _explain(path):
            folder.rename(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def require_new(path: Path) -> None:
    """Raise `InputError` if *path* exists, or can't be the name of a folder."""
    with _explain(path), suppress(FileNotFoundError):
        path.lstat()
        raise InputError(f"'{path}' exists: choose another folder, or remove it")


@contextmanager
def _explain(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"'{path}' can't be created: {error.strerror}") from error


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write lines of ASCII, compressed with gzip."""
    with gzip.open(path, "wt", encoding="ascii", compresslevel=6) as file:
        file.writelines(f"{line}\n" for line in lines)


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines that `write_lines` wrote; raises `InputError`."""
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            yield from file
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"'{path}' can't be read: {error}") from error


def describe_origin(manifest: Manifest) -> dict[str, Any]:
    """Return what the report was made of, as JSON."""
    request = manifest.request
    return {
        "version": manifest.version,
        "request": {
            "month": request.month,
            **request.zone._asdict(),
            "event_types": request.event_types,
            "max": request.most,
        },
        "core_api": manifest.core,
        **manifest.header.to_json(),
        "inputs": [{"file": name, "sha256": hash_} for name, hash_ in manifest.inputs],
    }


def hash_origin(folder: Path, manifest: Manifest) -> str:
    """Return the hash of everything that the report in *folder* is made of.

    The report has it, so that nothing of it can be changed alone.
    """
    read = {name: _hash(folder / name) for name in (EVENTS, RESPONSES)}
    origin = json.dumps({**describe_origin(manifest), "read": read}, sort_keys=True)
    return hashlib.sha256(origin.encode()).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of the files that *folder* has."""
    content = {**describe_origin(manifest), "files": hash_files(folder)}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def read_manifest(folder: Path) -> tuple[Manifest, dict[str, str]]:
    """Return the manifest, and the hashes of the files as they were written.

    Raises `InputError`.
    """
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        manifest = _parse(content)
        _check_inputs(manifest)
        return manifest, dict(content["files"])
    except OSError as error:
        problem = f"'{folder}' isn't the folder of a report: {error.strerror}"
        raise InputError(problem) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"'{folder / MANIFEST}' was changed") from error


def hash_files(folder: Path) -> dict[str, str]:
    """Return the hash of each file in *folder*, besides the manifest.

    Links, and folders that no report has, are there without a hash.
    """
    ignored = {folder / MANIFEST, (folder / EVENTS).parent}
    return {
        str(path.relative_to(folder)): _hash(path) if _is_plain(path) else ""
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path not in ignored
    }


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_inputs(manifest: Manifest) -> None:
    """Raise `ValueError` if the hashes of the input are not those in the header."""
    header, hashes = manifest.header, [hash_ for _, hash_ in manifest.inputs]
    digest = hashlib.sha256("".join(hashes).encode()).hexdigest()
    if (len(hashes), digest) != (header.files, header.sha256):
        raise ValueError


def _parse(content: dict[str, Any]) -> Manifest:
    asked = content["request"]
    zone = Zone(asked["time_zone"], asked["grace_days"])
    types = tuple(asked["event_types"])
    return Manifest(
        content["version"],
        Request(asked["month"], zone, types, asked["max"]),
        read_header(content),
        content["core_api"],
        [(each["file"], each["sha256"]) for each in content["inputs"]],
    )
