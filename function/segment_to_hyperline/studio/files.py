"""Read and write the mapping and its tests, without losing what others wrote."""

import hashlib
import os
import tempfile
from pathlib import Path

from segment_to_hyperline.archive.files import InputError


def read_text(path: Path) -> tuple[str, str]:
    """Return the text of a file and its version, as `find_version` does.

    Raises `InputError`.
    """
    try:
        # Not `read_text`, which would change the ends of lines.
        content = path.read_bytes()
        return content.decode("utf-8-sig"), _hash(content)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
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
