"""The events that a page shows: of very many, a sample."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import batched
from threading import Lock
from typing import Any, NamedTuple

from segment_to_hyperline.archive.captured import (
    Captured,
    CapturedEvent,
    UnreadableLine,
    read_events,
)
from segment_to_hyperline.archive.files import decompress
from segment_to_hyperline.mapping.nodes import write_name
from segment_to_hyperline.preview.verdict import name_event
from segment_to_hyperline.text import format_count

# So many events are evaluated within about a second.
MAX_EVENTS = 10_000
_MAX_PROBLEMS = 20
_MAX_PATHS = 1_000
# How deep, and in how many events, properties are looked for.
_DEPTH = 5
_SEARCHED = 1_000


class Kept(NamedTuple):
    """The events at one moment."""

    version: int
    """A number that increases with each change."""
    items: tuple[CapturedEvent, ...]
    total: int
    """How many events were read; one of each *step* is kept."""
    step: int
    problems: tuple[str, ...]
    """What couldn't be read; the first few."""
    unreadable: int
    """How many parts couldn't be read."""

    def to_json(self) -> dict[str, Any]:
        """Return what the page lists."""
        return {
            "version": self.version,
            "total": self.total,
            "step": self.step,
            "problems": self.problems,
            "unreadable": self.unreadable,
            "names": [_name(item) for item in self.items],
            "paths": _list_paths(self.items),
        }


class Events:
    """The events that were read or pasted, in memory only. Threads can share them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.kept = Kept(0, (), 0, 1, (), 0)
        """The present events, which never change: a new value replaces it."""

    def clear(self) -> None:
        """Forget all events."""
        with self._lock:
            self.kept = Kept(self.kept.version + 1, (), 0, 1, (), 0)

    def add(self, captured: Iterable[Captured]) -> None:
        """Add events; of more than `MAX_EVENTS`, one of two, four… is kept."""
        with self._lock:
            version, items, total, step, problems, unreadable = self.kept
            kept, found = list(items), list(problems)
            for item in captured:
                if isinstance(item, UnreadableLine):
                    unreadable += 1
                    found.append(item.reason)
                    del found[_MAX_PROBLEMS:]
                    continue
                if total == MAX_EVENTS * step:
                    kept, step = _halve(kept), 2 * step
                if total % step == _choose(total // step, step):
                    kept.append(item)
                total += 1
            self.kept = Kept(
                version + 1, tuple(kept), total, step, tuple(found), unreadable
            )

    def read(self, name: str, content: bytes) -> None:
        """Add the events in *content*, in any of the formats that `preview` reads."""
        self.add(_read(name, content))


def _halve(kept: list[CapturedEvent]) -> list[CapturedEvent]:
    pairs = enumerate(batched(kept, 2))
    return [pair[_choose(number, len(pair))] for number, pair in pairs]


@lru_cache(1)  # asked for each event of a block
def _choose(block: int, size: int) -> int:
    """Return which event of a *block* is kept.

    It is as good as random, because events can alternate: each second one can be of the
    same kind.
    """
    digest = hashlib.blake2b(b"%d/%d" % (block, size), digest_size=4).digest()
    return int.from_bytes(digest) % size


def _read(name: str, content: bytes) -> Iterator[Captured]:
    stream = decompress(io.BufferedReader(io.BytesIO(content)))
    for item in read_events(stream):
        if isinstance(item, UnreadableLine):
            yield item._replace(reason=f"{name}:{item.line}: {item.reason}")
        else:
            yield item


def _name(item: CapturedEvent) -> str:
    data = item.event.data
    return (name_event(data) if isinstance(data, dict) else "") or "(no event)"


def _list_paths(items: tuple[CapturedEvent, ...]) -> dict[str, str]:
    """Return the paths of the fields that occur, as in an expression, in order."""
    found: dict[str, int] = {}
    for item in items[:_SEARCHED]:
        for path in _find_paths(item.event.data, "", _DEPTH):
            if path in found or len(found) < _MAX_PATHS:
                found[path] = found.get(path, 0) + 1
    return {path: format_count(n, "event") for path, n in sorted(found.items())}


def _find_paths(value: Any, path: str, depth: int) -> Iterator[str]:
    if path:
        yield path
    if isinstance(value, dict) and depth:
        for name, inner in value.items():
            below = f"{path}.{write_name(name)}".removeprefix(".")
            yield from _find_paths(inner, below, depth - 1)
    elif isinstance(value, list) and depth and value:
        yield from _find_paths(value[0], f"{path}[0]", depth - 1)
