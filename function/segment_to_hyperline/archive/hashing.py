"""Watch a file while it is read, for example to hash it."""

import hashlib
import io
from collections.abc import Callable
from typing import Any, override

_BUFFER_BYTES = 1 << 18


class WatchedReader(io.RawIOBase):
    """The bytes of *file*; *watch* is called with each part that is read."""

    def __init__(
        self, file: io.BufferedReader, watch: Callable[[memoryview], None]
    ) -> None:
        self._file = file
        self._watch = watch

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer)
        self._watch(memoryview(buffer)[:size])
        return size

    @override
    def close(self) -> None:
        self._file.close()
        super().close()


class HashingReader(WatchedReader):
    """The bytes of *file*, which are counted and hashed."""

    def __init__(self, file: io.BufferedReader) -> None:
        super().__init__(file, self._add)
        self.size = 0
        self._hash = hashlib.sha256()

    def finish(self) -> str:
        """Read what is left; return the SHA-256 of all bytes, in hexadecimal."""
        while self.readinto(bytearray(_BUFFER_BYTES)):
            pass
        return self._hash.hexdigest()

    def _add(self, data: memoryview) -> None:
        self._hash.update(data)
        self.size += len(data)
