"""Decode a stream that can be UTF-8 or UTF-16, be invalid in places, or fail."""

import codecs
import gzip
import zlib
from typing import Any

# What is raised where gzip can't be decompressed.
DAMAGES = (EOFError, zlib.error, gzip.BadGzipFile)


class DecodedStream:
    """Decodes the bytes of *stream*, which are UTF-8 or UTF-16, until it fails.

    Bytes that are invalid become lone surrogates, so that reading continues.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.failure: Exception | None = None
        self.ended = False
        self._head = self._read(4)
        self._encoding = detect_encoding(self._head)
        self._errors = (
            "surrogateescape" if self._encoding == "utf-8" else "surrogatepass"
        )
        self._decoder = codecs.getincrementaldecoder(self._encoding)(self._errors)

    def read(self, size: int) -> str:
        """Return the text in the next *size* bytes; less only at the end."""
        data = self._head + self._read(size)
        self._head = b""
        self.ended = len(data) < size
        text = self._decoder.decode(data)
        if self.ended:
            text += "\udcff" * len(self._decoder.getstate()[0])
            self._decoder.reset()
        return text

    def measure(self, text: str) -> int:
        """Return the number of bytes that *text* was decoded from."""
        return len(text.encode(self._encoding, self._errors))

    def _read(self, size: int) -> bytes:
        """Return *size* bytes, or what there is before the end or a failure."""
        if self.failure:
            return b""
        data, self.failure = read_until_damage(self._stream, size)
        return data


def read_until_damage(stream: Any, size: int) -> tuple[bytes, Exception | None]:
    """Return *size* bytes, or what there is before the end or damage; and the damage.

    That is one of `DAMAGES`, or None.
    """
    parts: list[bytes] = []
    while size:
        try:
            # Unlike `read`, this returns what comes before a failure.
            part = stream.read1(size)
        except DAMAGES as error:
            return b"".join(parts), error
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts), None


def detect_encoding(head: bytes) -> str:
    """Return the encoding of text that begins with the four bytes *head*."""
    for encoding, mark, zeros in (
        ("utf-16-le", codecs.BOM_UTF16_LE, head[1::2]),
        ("utf-16-be", codecs.BOM_UTF16_BE, head[::2]),
    ):
        # Without a mark it shows in the zeros of two ASCII characters, such as `[{`.
        if head.startswith(mark) or (zeros == b"\0\0" and head.count(0) == 2):
            return encoding
    return "utf-8"
