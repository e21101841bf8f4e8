"""Read a file with tests of the mapping strictly."""

import io
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from segment_to_hyperline.archive.captured import (
    CapturedEvent,
    UnreadableLine,
    read_events,
)
from segment_to_hyperline.errors import Error
from segment_to_hyperline.hyperline.facts import VALUE_TYPES
from segment_to_hyperline.mapping.mistakes import MappingFileError, check_keys
from segment_to_hyperline.mapping.placement import find_nearest_line
from segment_to_hyperline.mapping.rules import DEFAULTS

NAME = "mapping_tests.toml"
_INPUTS = ("event", "file")
_HEAD = re.compile(r"^[ \t]*\[\[[ \t]*tests[ \t]*\]\]", re.MULTILINE)
_OUTCOMES = ("billed", "filtered", "quarantined")


class MappingTestsError(Error):
    """Raised when tests of the mapping are invalid, or when one of them fails."""


class MappingTest(NamedTuple):
    """An event, and what the mapping is to make of it."""

    name: str
    """What the test is about, in words."""
    line: int
    """Where it is in the file."""
    event: CapturedEvent
    outcome: str
    """One of `_OUTCOMES`."""
    billed: tuple[dict[str, Any], ...]
    """What is expected of each billable event."""
    reason: str
    """A part of the reason for which the event is quarantined."""


def load_tests(path: Path) -> list[MappingTest]:
    """Return the tests in the file at *path*, and none if there is no such file.

    Raises `MappingTestsError`, also for a link to a file that doesn't exist.
    """
    try:
        return parse_tests(path.read_bytes(), path)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return []
        raise MappingTestsError(f"{path}: {error.strerror}") from error


def parse_tests(source: bytes, path: Path) -> list[MappingTest]:
    """Return the tests in *source*, the content of the file at *path*.

    A test can name a file with its event, relative to *path*. Raises
    `MappingTestsError` with the line of the first mistake.
    """
    text = ""
    try:
        text = source.decode("utf-8-sig").replace("\r\n", "\n")
        return _read_document(text, path.parent)
    except (ValueError, RecursionError) as error:  # tomllib raises both
        raise MappingTestsError(f"{path.name}: not TOML: {error}") from error
    except MappingFileError as error:
        line = error.line
        place = f"line {line}: " if line else ""
        raise MappingTestsError(f"{path.name}: {place}{error}") from error


def _read_document(text: str, folder: Path) -> list[MappingTest]:
    document = tomllib.loads(text)
    check_keys(document, ("tests",))
    tables = document.get("tests", [])
    if not _is_list_of_tables(tables):
        raise MappingFileError("begin each test with a line [[tests]]")
    blocks = _split(text)
    tests: list[MappingTest] = []
    for index, content in enumerate(tables):
        before, block = blocks[index] if len(blocks) == len(tables) else (0, "")
        line = before + (find_nearest_line(block, ("tests", 0, "name")) or 1)
        try:
            name = _read_name(content, [test.name for test in tests])
            tests.append(_read_test(content, name, line, folder))
        except MappingFileError as error:
            known = content.get("name")
            label = f"test {index + 1}" + (f" ({known})" if known else "")
            where = ("tests", 0, *(error.path or tuple(content)[:1]))
            nearest = find_nearest_line(block, where)
            line = before + nearest if nearest else line
            raise MappingFileError(f"{label}: {error}", line=line) from error
    return tests


def _split(text: str) -> list[tuple[int, str]]:
    """Return the text of each test, with the number of lines before it.

    Lines are found in this text, because to find them in the whole file would take
    seconds for 100 tests.
    """
    starts = [head.start() for head in _HEAD.finditer(text)]
    return [
        (text.count("\n", 0, start), text[start:end])
        for start, end in pairwise([*starts, len(text)])
    ]


def _read_name(content: dict[str, Any], earlier: list[str]) -> str:
    check_keys(content, ("name", *_INPUTS, *_OUTCOMES))
    name = content.get("name")
    if not isinstance(name, str) or not name:
        raise MappingFileError("name: say in a string what the test is about")
    if name in earlier:
        raise MappingFileError("name: another test has it too", path=("name",))
    return name


def _read_test(
    content: dict[str, Any], name: str, line: int, folder: Path
) -> MappingTest:
    source = _find_only(content, _INPUTS)
    outcome = _find_only(content, _OUTCOMES)
    value = content[outcome]
    try:
        event = _read_event(content[source], folder if source == "file" else None)
        billed = _read_billed(value) if outcome == "billed" else ()
    except MappingFileError as error:
        at = outcome if error.path else source
        raise MappingFileError(str(error), path=(at,)) from error
    if outcome == "filtered" and value is not True:
        raise MappingFileError("filtered: must be true", path=(outcome,))
    if outcome == "quarantined" and not (isinstance(value, str) and value):
        problem = "quarantined: must be a string, a part of the expected reason"
        raise MappingFileError(problem, path=(outcome,))
    reason = value if outcome == "quarantined" else ""
    return MappingTest(name, line, event, outcome, billed, reason)


def _find_only(content: dict[str, Any], keys: tuple[str, ...]) -> str:
    """Return the one of *keys* that *content* has."""
    found = [key for key in keys if key in content]
    if len(found) != 1:
        raise MappingFileError(f"needs exactly one of {', '.join(keys)}")
    return found[0]


def _read_event(value: Any, folder: Path | None) -> CapturedEvent:
    """Return the event in JSON, or in a file of *folder*."""
    source = "event" if folder is None else "file"
    if not isinstance(value, str):
        raise MappingFileError(f"{source}: must be a string")
    content = value.encode() if folder is None else _read_file(value, folder)
    found = list(read_events(io.BytesIO(content)))
    match found:
        case [CapturedEvent() as event]:
            return event
        case [CapturedEvent(), *_]:
            problem = f"has {len(found)} events, and must have one"
        case [UnreadableLine() as unreadable, *_]:
            problem = f"line {unreadable.line}: {unreadable.reason}"
        case _:
            problem = "has no event"
    raise MappingFileError(f"{source}: {problem}")


def _read_file(name: str, folder: Path) -> bytes:
    # `sam build` copies only this folder.
    if Path(name).is_absolute() or ".." in Path(name).parts:
        problem = "it must be in the folder of the tests, or below it"
        raise MappingFileError(f"file: {name}: {problem}")
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise MappingFileError(f"file: {name}: {error.strerror}") from error


def _read_billed(value: Any) -> tuple[dict[str, Any], ...]:
    at = ("billed",)
    if not value or not _is_list_of_tables(value):
        problem = "billed: begin each billable event with a line [[tests.billed]]"
        raise MappingFileError(problem, path=at)
    for fields in value:
        unknown = [name for name in fields if name not in (*DEFAULTS, "record")]
        if unknown:
            expected = ", ".join((*DEFAULTS, "record"))
            problem = f"billed: {unknown[0]} is none of {expected}"
            raise MappingFileError(problem, path=at)
        for name in DEFAULTS:
            if not isinstance(fields.get(name, ""), str):
                problem = f"billed: {name}: must be a string, in quotes"
                raise MappingFileError(problem, path=at)
        _check_record(fields.get("record", {}))
    return tuple(value)


def _check_record(record: Any) -> None:
    at = ("billed",)
    if not isinstance(record, dict):
        raise MappingFileError("billed: record: must be a table", path=at)
    for name, value in record.items():
        items = value if isinstance(value, list) else [value]
        if not all(type(item) in VALUE_TYPES for item in items):
            problem = (
                f"billed: record.{name}: must be a string, a number, a boolean, or a"
                " list of these"
            )
            raise MappingFileError(problem, path=at)


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
