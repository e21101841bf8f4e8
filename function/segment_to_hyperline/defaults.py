"""Find what a command uses by default: the mapping, and the template."""

from pathlib import Path

# The owner's mapping, instead of that of the installed version: for `sam build`, and as
# the default of --mapping.
MAPPING_VARIABLE = "SEGMENT_TO_HYPERLINE_MAPPING"
_PACKAGE = Path(__file__).parent
# The wheel has the files in the package, and a checkout in function/ and its root.
_FOLDERS = (_PACKAGE, *_PACKAGE.parents[:2])


def is_installed(path: Path) -> bool:
    """Return whether *path* is in the wheel, so that an update would replace it."""
    return path.resolve().is_relative_to(_PACKAGE)


def find(name: str) -> Path:
    """Return the path of the file *name* of the installed version."""
    return next(path for folder in _FOLDERS if (path := folder / name).exists())
