"""Read many things at the same time, each of them once."""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from segment_to_hyperline.deadline import Deadline
from segment_to_hyperline.doctor.findings import Result, Unread

# What a response raises that isn't as documented, such as a proxy's page.
_UNEXPECTED = (KeyError, IndexError, TypeError, ValueError, AttributeError)


class Reading[Content]:
    """Something that is being read, and its *name* for messages."""

    def __init__(self, name: str, future: Future[Content], deadline: Deadline) -> None:
        self._name = name
        self._future = future
        self._deadline = deadline

    def get(self) -> Content:
        """Return it; raises `Unread`, also if it isn't finished before the deadline."""
        try:
            return self._future.result(max(0, self._deadline.left()))
        except TimeoutError as error:
            raise Unread(
                f"there was no time left to read {self._name}",
                "run the command again later, or with fewer EVENTS",
                Result.UNKNOWN,
            ) from error


class Readings:
    """Starts to read; what isn't finished before *deadline* is unknown."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def start[Content](
        self, name: str, read: Callable[[], Content]
    ) -> Reading[Content]:
        """Return what *read* is going to return; it raises `Unread`.

        It can wait for other readings, so each has a thread of its own. The process
        doesn't wait for the threads.
        """
        future = Future[Content]()

        def run() -> None:
            try:
                future.set_result(read())
            except _UNEXPECTED as error:
                future.set_exception(_explain(name, error))
            except BaseException as error:  # noqa: BLE001 - `get` raises it
                future.set_exception(error)

        threading.Thread(target=run, name=name, daemon=True).start()
        return Reading(name, future, self._deadline)


def _explain(name: str, error: Exception) -> Unread:
    unread = Unread(
        f"what was read about {name} isn't as documented",
        "check whether a proxy is in between; otherwise please report a bug",
        Result.UNKNOWN,
    )
    unread.__cause__ = error
    return unread
