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

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from segment_to_hyperline.archive.captured import (
    CapturedEvent,
    UnreadableLine,
    read_events,
)

STANDARD_INPUT = "-"
_GZIP_MAGIC = b"\x1f\x8b"
# How often the number of events is updated.
_STEP = 10_000


class InputError(Exception):
    """Raised when the events can't be used; the message says why and what to do."""


class Item(NamedTuple):
    """An event or an unreadable line, and the name of the file it is in.

    The reason why a line is unreadable begins with the file and the line.
    """

    source: str
    captured: CapturedEvent | UnreadableLine


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


def read_files(names: Sequence[str], *, visible: bool) -> Iterator[Item]:
    """Yield the events of the files *names*, in the order of the names.

    If *visible*, and the standard error is a terminal, shows the progress.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}, {task.fields[events]:,} events"),
        *(BarColumn(), DownloadColumn(), TimeElapsedColumn(), TimeRemainingColumn()),
    )
    is_hidden = not (visible and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as bar:
        task = bar.add_task("reading", total=_total_size(names), events=0)
        number = 0
        for name in names:
            with _open(name) as raw:
                stream = _Counted(raw, lambda n: bar.advance(task, n))
                for item in _read_stream(name, stream):
                    yield item
                    number += 1
                    if number % _STEP == 0:
                        bar.update(task, events=number)


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


def _total_size(names: Sequence[str]) -> int | None:
    if STANDARD_INPUT in names:
        return None
    return sum(Path(name).stat().st_size for name in names)


def _open(name: str) -> io.BufferedReader:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer  # type: ignore[return-value] # declared as BinaryIO
    return Path(name).open("rb")


class _Counted(io.RawIOBase):
    """Reports the number of bytes that were read from *stream*."""

    def __init__(
        self, stream: io.BufferedReader, report: Callable[[int], None]
    ) -> None:
        self._stream = stream
        self._report = report

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into *buffer*; return the number of bytes."""
        # Unlike `read`, this doesn't wait until the buffer is full.
        data = self._stream.read1(len(memoryview(buffer)))
        memoryview(buffer)[: len(data)] = data
        self._report(len(data))
        return len(data)


def _read_stream(name: str, raw: io.RawIOBase) -> Iterator[Item]:
    buffered = io.BufferedReader(raw, 1 << 20)
    # Segment's archive declares its gzip as a transfer encoding, so many clients store
    # the files decompressed, under the same name.
    is_compressed = buffered.peek(2)[:2] == _GZIP_MAGIC
    stream: Any = gzip.GzipFile(fileobj=buffered) if is_compressed else buffered
    shown = "<stdin>" if name == STANDARD_INPUT else name
    for captured in read_events(stream):
        if isinstance(captured, UnreadableLine):
            reason = f"{shown}:{captured.line}: {captured.reason}"
            yield Item(name, UnreadableLine(captured.line, reason))
        else:
            yield Item(name, captured)
