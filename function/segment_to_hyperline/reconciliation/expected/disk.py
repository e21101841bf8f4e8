"""Explain that the temporary database doesn't fit on the disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from segment_to_hyperline.archive.files import InputError

# https://www.sqlite.org/rescode.html, of whose codes the last byte is the kind of error
_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


@contextmanager
def explain_full_disk() -> Iterator[None]:
    """Raise `InputError` if SQLite can't write its temporary files."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 255 not in _CODES:
            raise
        # https://www.sqlite.org/tempfiles.html#temporary_file_storage_locations
        raise InputError(
            f"temporary files can't be written ({error}): free some space, or set"
            " SQLITE_TMPDIR to a folder on another disk"
        ) from error
