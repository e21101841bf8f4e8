"""Delete everything that the probe has written, and say what stays."""

import time
from collections.abc import Sequence
from contextlib import suppress

from segment_to_hyperline.doctor.probe.stored import StoredEvents
from segment_to_hyperline.errors import Error

# The least seconds before it is checked that nothing is left, and later attempts.
_SETTLING_SECONDS = 5
_PAUSES = (5, 10)


class Cleanup:
    """Deletes events by their ids; *event_types* are the types that they have."""

    def __init__(self, stored: StoredEvents, event_types: Sequence[str]) -> None:
        self._stored = stored
        self._event_types = event_types
        self._ids: list[str] = []
        self._deleted = 0

    def add(self, record_id: str) -> None:
        """Note an id that is going to be posted."""
        self._ids.append(record_id)

    def delete_new(self) -> None:
        """Delete the events that were added since the last time."""
        with suppress(Error):  # `finish` tries again
            self._delete_new()

    def finish(self, delay: float, *, is_slow: bool) -> list[str]:
        """Delete what is left, and return what stays.

        An event could be read after at most *delay* seconds, unless it *is_slow*.
        """
        if not self._ids:
            return []
        self._delete_new()
        # What is stored late may not have been deleted.
        for seconds in (max(delay, _SETTLING_SECONDS), *_PAUSES):
            time.sleep(seconds)
            counts = {name: self._stored.count(name) for name in self._event_types}
            left = {name: number for name, number in counts.items() if number}
            if not left:
                break
            self._stored.delete(self._ids)
        stays = [f"events of the type {name} ({left[name]})" for name in left]
        if is_slow:
            stays.append(
                f"perhaps events whose type begins with {self._event_types[0]}: they"
                " could not be read within a minute, so look for them later"
            )
        return stays

    def _delete_new(self) -> None:
        self._stored.delete(self._ids[self._deleted :])
        self._deleted = len(self._ids)
