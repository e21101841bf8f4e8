"""Hash a file while it is read."""

import hashlib
import io
from typing import Any, override

_BUFFER_BYTES = 1 << 18


class HashingReader(io.RawIOBase):
    """The bytes of *file*, which are counted and hashed."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.size = 0
        self._file = file
        self._hash = hashlib.sha256()

    def finish(self) -> str:
        """Read what is left; return the SHA-256 of all bytes, in hexadecimal."""
        while self.readinto(bytearray(_BUFFER_BYTES)):
            pass
        return self._hash.hexdigest()

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        size = self._file.readinto(buffer)
        self._hash.update(memoryview(buffer)[:size])
        self.size += size
        return size

    @override
    def close(self) -> None:
        self._file.close()
        super().close()
