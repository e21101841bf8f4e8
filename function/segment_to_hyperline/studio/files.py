"""Read and write the mapping and its tests, without losing what others wrote."""

import hashlib
import os
import tempfile
from pathlib import Path

from segment_to_hyperline.archive.files import InputError


def read_bytes(path: Path) -> tuple[bytes, str]:
    """Return the content of a file and its version, as `find_version` does.

    Raises `InputError`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return content, _hash(content)


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
        return _hash(path.read_bytes())
    except FileNotFoundError:
        return ""


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path, text: str) -> None:
    """Replace a file by one with *text*, so that it is never half written."""
    path = path.resolve()  # the target of a link is replaced, and not the link
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(path.stat().st_mode if path.exists() else 0o644)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
