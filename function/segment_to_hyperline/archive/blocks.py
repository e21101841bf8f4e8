"""Divide a stream of events into blocks, which several processes can read.

A block begins with an object on a new line, if the line before ends with an object. In
valid JSON, that is never inside a string, an object or an array: a string has no line
ends, and a comma or a colon is between two values. So the events in the blocks are
those in the stream. If no block has damage, the stream has none.
"""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from segment_to_hyperline.archive.decoding import detect_encoding, read_until_damage

# Blocks are at least about as long, and their beginnings depend on it.
_PIECE_BYTES = 1 << 16
_CUT = re.compile(rb"\}\r?\n(?=\{)")


class Block:
    """A part of a stream, which is read like a file."""

    def __init__(self, pieces: "_Pieces", number: int) -> None:
        self.number = number
        """Its number in the stream, from 0."""
        self.byte = pieces.byte
        """The position of its first byte in the stream, from 0."""
        self.line = pieces.line
        """The number of its first line in the stream, from 1."""
        self._pieces = pieces
        self._data = pieces.take()

    def read1(self, size: int) -> bytes:
        """Return up to *size* bytes, which are none only at the end.

        Raises one of `DAMAGES` where the stream can't be decompressed any more.
        """
        if not self._data:
            self._data = self._pieces.take_rest()
        if not self._data and self._pieces.failure and not self._pieces.next:
            raise self._pieces.failure
        data, self._data = self._data[:size], self._data[size:]
        return data

    def skip(self) -> None:
        """Move to its end."""
        while self._pieces.take_rest():
            pass


def read_blocks(stream: BinaryIO, size: int = _PIECE_BYTES) -> Iterator[Block]:
    """Yield the blocks of *stream*; each can be read until the next one is requested.

    They are the same each time that the stream is read.
    """
    pieces = _Pieces(stream, size)
    number = 0
    while pieces.next or number == 0:
        block = Block(pieces, number)
        yield block
        block.skip()
        number += 1


class _Pieces:
    """Reads a stream, and knows where blocks begin in it."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream: Any = stream
        self._size = size
        self.byte = 0
        self.line = 1
        self.failure: Exception | None = None
        """Why nothing is read after the next piece."""
        self.next = self._read()
        """What follows, which is empty only at the end."""
        self._is_divided = detect_encoding(self.next[:4]) == "utf-8"
        self._after_cut = b""
        self._begins_block = False

    def take(self) -> bytes:
        """Return what follows, up to the end of the block or more."""
        data = self.next
        self.byte += len(data)
        self.line += data.count(b"\n")
        self._advance()
        return data

    def take_rest(self) -> bytes:
        """Return what follows, or nothing at the end of the block."""
        return b"" if self._begins_block else self.take()

    def _advance(self) -> None:
        self._begins_block = bool(self._after_cut)
        self.next, self._after_cut = self._after_cut, b""
        if self.next:
            return
        piece = self._read()
        cut = _CUT.search(piece) if self._is_divided else None
        end = cut.end() if cut else len(piece)
        self.next, self._after_cut = piece[:end], piece[end:]

    def _read(self) -> bytes:
        """Return so many bytes, or what there is before the end or a failure."""
        if self.failure:
            return b""
        data, self.failure = read_until_damage(self._stream, self._size)
        return data
