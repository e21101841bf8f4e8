"""Find and open files, folders and the standard input.

A file can be compressed with gzip, as in Segment's archive in S3.
https://www.twilio.com/docs/segment/connections/storage/catalog/aws-s3
"""

import gzip
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from segment_to_hyperline.errors import Error

STANDARD_INPUT = "-"
BUFFER_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"


class InputError(Error):
    """Raised when the events can't be used; the message says why and what to do."""


class NothingReceived(InputError):
    """Raised when Segment's archive has days, but none of those that are needed."""

    def __init__(self, problem: str, last_day: int) -> None:
        super().__init__(problem)
        self.last_day = last_day
        """The last day of receipt that it has, in milliseconds since 1970."""


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


def decompress(file: io.BufferedReader) -> BinaryIO:
    """Return the content of *file*, which can be compressed with gzip.

    Segment's archive declares its gzip as a transfer encoding, so many clients store
    the files decompressed, under the same name.
    """
    is_compressed = file.peek(2)[:2] == _GZIP_MAGIC
    stream: Any = gzip.GzipFile(fileobj=file) if is_compressed else file
    return stream  # type: ignore[no-any-return] # GzipFile isn't declared as BinaryIO


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
