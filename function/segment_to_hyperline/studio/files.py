"""Read and write the mapping and its tests, without losing what others wrote."""

import errno
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from segment_to_hyperline.archive.files import InputError

_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def read_bytes(path: Path) -> tuple[bytes, str]:
    """Return the content of a file and its version, as `find_version` does.

    Raises `InputError`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return content, hash_content(content)


def read_text(path: Path) -> tuple[str, str]:
    """Return the text of a file, with its ends of lines, and its version.

    Raises `InputError`.
    """
    content, version = read_bytes(path)
    try:
        return content.decode("utf-8-sig"), version
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}") from error


def find_version(path: Path) -> str:
    """Return what changes with the content of a file; empty if it doesn't exist."""
    try:
        return hash_content(path.read_bytes())
    except FileNotFoundError:
        return ""


def hash_content(content: bytes) -> str:
    """Return the version of a file with this *content*."""
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Replace a file by one with *text*, so that it is never half written.

    Raises OSError, also for a read-only file, and ValueError for a lone surrogate.
    """
    content = text.encode()
    path = path.resolve()  # the target of a link is replaced, and not the link
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644
    if not mode & _WRITABLE:
        raise PermissionError(errno.EACCES, "The file is read-only", str(path))
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
