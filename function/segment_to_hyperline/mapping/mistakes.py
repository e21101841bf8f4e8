"""Mistakes in a mapping file, and the checks that find the simplest of them."""

from collections.abc import Iterable
from typing import Any

from segment_to_hyperline.errors import Error
from segment_to_hyperline.mapping.placement import Path


class MappingFileError(Error):
    """Raised for an invalid mapping file; the message names file, rule and reason."""

    def __init__(
        self, message: str, *, path: Path = (), line: int | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        """Where the mistake is in the tables of the file."""
        self.line = line
        """The line of the mistake, from 1, for editors; None if it is not known."""


def require_string(field: str, value: Any) -> str:
    """Return *value*, the expression or the name of a rule's *field*."""
    if not isinstance(value, str) or not value:
        raise MappingFileError(
            f"{field}: must be a non-empty string", path=split_field(field)
        )
    return value


def check_keys(content: Iterable[str], known: Iterable[str]) -> None:
    """Raise `MappingFileError` for the first key of *content* that isn't *known*."""
    for name in content:
        if name not in known:
            raise MappingFileError(
                f"{name} is not a known key here; expected one of {', '.join(known)}",
                path=(name,),
            )


def split_field(field: str) -> Path:
    """Return the path of a rule's *field*, such as `record.seats`."""
    return tuple(field.split(".", 1))
