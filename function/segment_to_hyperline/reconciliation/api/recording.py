"""Record what was read from Hyperline, and read it again without a network."""

import gzip
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.reconciliation.api.client import Client, Endpoint
from segment_to_hyperline.reconciliation.api.failures import AccessError, Failure
from segment_to_hyperline.reconciliation.api.pace import Pace

_NOT_RECORDED = "what was read is not complete: this folder can't be used"


class Recording:
    """Writes responses to a file, as NDJSON that is compressed with gzip.

    Several threads can use it, from different clients.
    """

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path, "wt", encoding="ascii", compresslevel=6)  # noqa: SIM115 - closed by __exit__
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(
        self, endpoint: Endpoint, query: Mapping[str, str], outcome: Mapping[str, Any]
    ) -> None:
        """Add the *outcome* of a request: its content, or an error."""
        line = json.dumps({"path": endpoint.path, "query": dict(query), **outcome})
        with self._lock:
            self._file.write(f"{line}\n")


class RecordingClient(Client):
    """A client whose responses are recorded."""

    def __init__(self, recording: Recording, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._recording = recording

    def get[Content](
        self,
        endpoint: Endpoint,
        query: Mapping[str, str],
        parse: Callable[[Any], Content | Failure],
    ) -> Content:
        """Return the same as `Client.get`, and record it, or that it is forbidden."""
        used: list[Any] = []

        def keep(content: Any) -> Content | Failure:
            used[:] = [content]
            return parse(content)

        try:
            result = super().get(endpoint, query, keep)
        except AccessError as error:
            failure = {"error": type(error).__name__, "message": str(error)}
            self._recording.add(endpoint, query, failure)
            raise
        self._recording.add(endpoint, query, {"content": used[0]})
        return result


class RecordedResponses:
    """The responses of a recording.

    They are in a temporary database, because there can be many.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("", check_same_thread=False)
        self._db.execute("CREATE TABLE response (request TEXT, outcome TEXT)")
        self._lock = threading.Lock()
        self._used = Counter[str]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def load(self, lines: Iterable[str]) -> None:
        """Load the *lines* of a recording; raises `InputError`."""
        self._db.executemany("INSERT INTO response VALUES (?, ?)", map(_split, lines))
        self._db.execute("CREATE INDEX by_request ON response (request)")

    def take(self, endpoint: Endpoint, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the next outcome of a request; raises `InputError`."""
        request = _identify(endpoint.path, query)
        with self._lock:
            number = self._used[request]
            self._used[request] += 1
            row = self._db.execute(
                "SELECT outcome FROM response WHERE request = ?"
                " ORDER BY rowid LIMIT 1 OFFSET ?",
                (request, number),
            ).fetchone()
        if row is None:
            raise InputError(_NOT_RECORDED)
        outcome: dict[str, Any] = json.loads(row[0])
        return outcome

    def count_unused(self) -> int:
        """Return how many outcomes were not taken."""
        (total,) = self._db.execute("SELECT count(*) FROM response").fetchone()
        return int(total) - self._used.total()


class RecordedClient(Client):
    """A client that sends nothing, and returns what was recorded."""

    def __init__(self, responses: RecordedResponses, url: str) -> None:
        super().__init__(url, "recorded", Pace())
        self._responses = responses

    def get[Content](
        self,
        endpoint: Endpoint,
        query: Mapping[str, str],
        parse: Callable[[Any], Content | Failure],
    ) -> Content:
        """Return what `Client.get` returned, or raise what it raised."""
        outcome = self._responses.take(endpoint, query)
        if "error" in outcome:
            raise _find_error(outcome["error"])(outcome["message"])
        result = parse(outcome["content"])
        if isinstance(result, Failure):
            raise InputError(_NOT_RECORDED)
        return result


def _identify(path: str, query: Mapping[str, str]) -> str:
    return json.dumps([path, sorted(query.items())])


def _split(line: str) -> tuple[str, str]:
    """Return the request and the outcome in a line."""
    try:
        fields = json.loads(line)
        request = _identify(fields.pop("path"), fields.pop("query"))
    except (
        *(ValueError, KeyError, AttributeError, TypeError, RecursionError),
    ) as error:
        raise InputError(_NOT_RECORDED) from error
    return request, json.dumps(fields)


def _find_error(name: str) -> type[AccessError]:
    classes = {each.__name__: each for each in AccessError.__subclasses__()}
    return classes.get(name, AccessError)
