"""The mappings that were deployed, as objects of the bucket, and which a day needs.

Pure: no network, no environment, no clock.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Self

# Where they are in the bucket; nothing deletes them.
MAPPINGS = "mappings/"
_TIME = "%Y%m%dT%H%M%SZ"
_KEY = re.compile(rf"{MAPPINGS}(\d{{8}}T\d{{6}}Z)-([0-9a-f]{{12}})\.toml")


class StoredMapping(NamedTuple):
    """An object with a mapping, and when it was deployed."""

    since: int
    """In milliseconds since 1970."""
    digest: str
    """The beginning of the SHA-256 of its content."""

    @classmethod
    def create(cls, content: bytes, now: float) -> Self:
        """Return the mapping with this *content*; *now* is in seconds since 1970."""
        digest = hashlib.sha256(content).hexdigest()[:12]
        return cls(int(now) * 1_000, digest)

    @property
    def key(self) -> str:
        """The key of the object, whose order is that of the times."""
        time = datetime.fromtimestamp(self.since / 1_000, UTC)
        return f"{MAPPINGS}{time:{_TIME}}-{self.digest}.toml"


def read_keys(keys: Iterable[str]) -> list[StoredMapping]:
    """Return the mappings with these *keys*, the oldest first; others are ignored."""
    found = [
        StoredMapping(_read_time(name[1]), name[2])
        for key in keys
        if (name := _KEY.fullmatch(key))
    ]
    return sorted(found)


def choose(stored: Sequence[StoredMapping], received_from: int) -> list[StoredMapping]:
    """Return the mappings of events that were received since *received_from*.

    That is the one that was deployed before, and all later ones.
    """
    earlier = [mapping for mapping in stored if mapping.since <= received_from]
    return [*earlier[-1:], *stored[len(earlier) :]]


def _read_time(text: str) -> int:
    time = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    return round(time.timestamp() * 1_000)
