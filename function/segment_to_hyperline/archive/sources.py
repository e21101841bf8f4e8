"""Where events are: files, folders, the standard input, and objects of S3."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from segment_to_hyperline.archive.blocks import read_blocks
from segment_to_hyperline.archive.captured import (
    Captured,
    UnreadableLine,
    read_events,
)
from segment_to_hyperline.archive.files import (
    STANDARD_INPUT,
    InputError,
    decompress,
    find_files,
    open_input,
)
from segment_to_hyperline.archive.received_days import ALL_DAYS, ReceivedDays

if TYPE_CHECKING:  # it imports boto3
    from segment_to_hyperline.archive.s3_objects import StoredObject

SCHEME = "s3://"


class Source(NamedTuple):
    """A file, the standard input or an object of S3; it can be pickled."""

    name: str
    size: int | None
    """The number of its bytes, if known."""
    stored: "StoredObject | None" = None
    """The object of S3, if it is one."""


class Item(NamedTuple):
    """What was read from a source."""

    source: str
    """The name of the source."""
    captured: Captured
    """An event, or an unreadable line whose reason begins with the source and line."""
    number: int
    """A number that increases with the position in the source, below its bytes."""


class Part(NamedTuple):
    """Which blocks of a source are read: every *of*-th one, from the one *first*."""

    first: int
    of: int


WHOLE = Part(0, 1)


def find_sources(names: Sequence[str], days: ReceivedDays = ALL_DAYS) -> list[Source]:
    """Return what *names* refer to, each source once; a folder is all in it.

    *days* are those of receipt to read from Segment's archive in S3. Raises
    `InputError` for a name that doesn't exist, and for a folder without files.
    """
    sources: dict[str, Source] = {}
    for name in names:
        found = _find_objects(name, days) if name.startswith(SCHEME) else _find(name)
        for source in found:
            sources.setdefault(_identify(source), source)
    return list(sources.values())


def open_source(source: Source) -> io.BufferedReader:
    """Return the bytes of *source*; raises `InputError`, also while they are read."""
    if source.stored:
        module = import_module("segment_to_hyperline.archive.s3_objects")
        opened: io.BufferedReader = module.open_object(source.stored)
        return opened
    try:
        return open_input(source.name)
    except OSError as error:
        raise InputError(f"'{source.name}': {error.strerror}") from error


def show_name(name: str) -> str:
    """Return the *name* of a source for people."""
    return "<stdin>" if name == STANDARD_INPUT else name


def read_sources(
    sources: Iterable[Source],
    open_source: Callable[[Source], io.BufferedReader] = open_source,
) -> Iterator[Item]:
    """Yield the events of *sources*, in their order; raises `InputError`.

    To show how much was read, pass an *open_source* that counts the bytes.
    """
    for source in sources:
        with open_source(source) as file:
            yield from read_items(source.name, file)


def read_items(
    name: str, file: io.BufferedReader, part: Part = WHOLE
) -> Iterator[Item]:
    """Yield the events in a *part* of *file*; raises `InputError`."""
    shown = show_name(name)
    try:
        stream = decompress(file)
        if name == STANDARD_INPUT:  # a block would wait for what is typed later
            yield from _number(name, shown, read_events(stream))
            return
        for block in read_blocks(stream):
            if block.number % part.of == part.first:
                items = read_events(block, block.line, block.byte)
                yield from _number(name, shown, items, block.byte)
    except OSError as error:
        raise InputError(f"'{shown}': {error.strerror or error}") from error


def require_rereadable(sources: list[Source]) -> list[Source]:
    """Return *sources*; raise `InputError` for one that can't be read twice."""
    for source in sources:
        if source.size is None:
            raise InputError(f"'{source.name}': is read twice, so it must be a file")
    return sources


def _number(
    name: str, shown: str, items: Iterable[Captured], start: int = 0
) -> Iterator[Item]:
    """Yield *items* with their numbers; *start* is the byte at which they begin."""
    # Each item has at least one byte.
    for number, captured in enumerate(items, start):
        if isinstance(captured, UnreadableLine):
            reason = f"{shown}:{captured.line}: {captured.reason}"
            yield Item(name, UnreadableLine(captured.line, reason), number)
        else:
            yield Item(name, captured, number)


def _find(name: str) -> Iterator[Source]:
    for file in find_files([name]):
        is_file = file != STANDARD_INPUT and Path(file).is_file()
        yield Source(file, Path(file).stat().st_size if is_file else None)


def _find_objects(name: str, days: ReceivedDays) -> Iterator[Source]:
    # It is slow to import.
    module = import_module("segment_to_hyperline.archive.s3")
    for stored in module.find_objects(name, days):
        yield Source(stored.name, stored.size, stored)


def _identify(source: Source) -> str:
    is_file = source.stored is None and source.name != STANDARD_INPUT
    return str(Path(source.name).resolve()) if is_file else source.name
