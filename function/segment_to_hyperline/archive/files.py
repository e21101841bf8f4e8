"""Read captured events from files, folders and the standard input.

A file can be compressed with gzip, as in Segment's archive in S3.
https://www.twilio.com/docs/segment/connections/storage/catalog/aws-s3
"""

import gzip
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segment_to_hyperline.archive.captured import (
    Captured,
    UnreadableLine,
    read_events,
)
from segment_to_hyperline.errors import Error

STANDARD_INPUT = "-"
BUFFER_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


class InputError(Error):
    """Raised when the events can't be used; the message says why and what to do."""


class Item(NamedTuple):
    """What was read from a file."""

    file: str
    """The name of the file."""
    captured: Captured
    """An event, or an unreadable line whose reason begins with the file and line."""


# Yields what is in the files with these names.
type ReadFiles = Callable[[Sequence[str]], Iterable[Item]]


def find_files(names: Sequence[str]) -> list[str]:
    """Return the files that *names* refer to, each once; a folder is all its files.

    Raises `InputError` for a name that doesn't exist, and for a folder without files.
    """
    files: dict[str, str] = {}
    for name in names:
        for file in _expand(name):
            is_input = file == STANDARD_INPUT
            files.setdefault(file if is_input else str(Path(file).resolve()), file)
    return list(files.values())


def open_input(name: str) -> io.BufferedReader:
    """Return the file *name*, or the standard input."""
    if name == STANDARD_INPUT:
        return sys.stdin.buffer  # type: ignore[return-value] # declared as BinaryIO
    return io.BufferedReader(io.FileIO(name), BUFFER_BYTES)


def read_files(
    names: Sequence[str],
    open_file: Callable[[str], io.BufferedReader] = open_input,
) -> Iterator[Item]:
    """Yield the events of the files *names*, in the order of the names.

    To show how much was read, pass an *open_file* that counts the bytes.
    """
    for name in names:
        with open_file(name) as file:
            yield from _read_file(name, file)


def _expand(name: str) -> Iterable[str]:
    if name == STANDARD_INPUT:
        return [name]
    path = Path(name)
    if path.is_dir():
        files = sorted(_walk(path))
        if not files:
            raise InputError(f"'{name}': The folder has no files")
        return files
    if not path.exists():
        raise InputError(f"'{name}': No such file or directory")
    return [name]


def _walk(folder: Path) -> Iterator[str]:
    """Yield the files in *folder* that are not hidden, nor in a hidden folder."""

    def fail(error: OSError) -> None:
        raise InputError(f"'{error.filename}': {error.strerror}") from error

    visited: set[str] = set()  # a link can lead to a folder that contains it
    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (str(Path(parent, n)) for n in names if not n.startswith("."))


def require_files(names: Sequence[str]) -> None:
    """Raise `InputError` for what can't be read twice, such as the standard input."""
    for name in find_files(names):
        if name == STANDARD_INPUT or not Path(name).is_file():
            raise InputError(f"'{name}': is read twice, so it must be a file")


def _read_file(name: str, file: io.BufferedReader) -> Iterator[Item]:
    # Segment's archive declares its gzip as a transfer encoding, so many clients store
    # the files decompressed, under the same name.
    is_compressed = file.peek(2)[:2] == _GZIP_MAGIC
    stream: Any = gzip.GzipFile(fileobj=file) if is_compressed else file
    shown = "<stdin>" if name == STANDARD_INPUT else name
    for captured in read_events(stream):
        if isinstance(captured, UnreadableLine):
            reason = f"{shown}:{captured.line}: {captured.reason}"
            yield Item(name, UnreadableLine(captured.line, reason))
        else:
            yield Item(name, captured)
