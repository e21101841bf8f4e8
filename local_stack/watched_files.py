"""Notice when a person has changed a file."""

from pathlib import Path


class WatchedFiles:
    """Files, some of which may not exist."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._reported = self._seen = self._read()

    def have_changed(self) -> bool:
        """Return whether they have changed since this was true.

        A change is complete once two looks find the same, because an editor can write
        a file in several steps.
        """
        before, self._seen = self._seen, self._read()
        if self._seen != before or self._seen == self._reported:
            return False
        self._reported = self._seen
        return True

    def _read(self) -> list[bytes | None]:
        return [path.read_bytes() if path.exists() else None for path in self._paths]
