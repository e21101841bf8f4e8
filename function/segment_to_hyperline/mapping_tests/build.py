"""Put the mapping into what `sam build` builds."""

import shutil
from pathlib import Path

from segment_to_hyperline.defaults import MAPPING_VARIABLE
from segment_to_hyperline.errors import Error
from segment_to_hyperline.mapping_tests.check import check_mapping

# Its name in the artifact, and that of the default mapping, in the folder of the build.
_NAME = "mapping.toml"


class BuildError(Error):
    """Raised if there is no mapping, or an invalid one, so that nothing is deployed."""


def copy_mapping(own: str, artifact: Path) -> Path:
    """Check the mapping and its tests, copy it into *artifact*, and return its path.

    *own* is the path of the owner's mapping, and empty for the default one. Raises
    `BuildError`.
    """
    mapping = Path(own or _NAME)
    place = f"{MAPPING_VARIABLE}={own}: " if own else ""
    if own and not mapping.is_absolute():
        raise BuildError(
            f"{place}SAM builds in another folder, so the path must be absolute: write"
            ' for example "$PWD/mapping.toml"'
        )
    try:
        check_mapping(mapping)
        shutil.copyfile(mapping, artifact / _NAME)
    except OSError as error:
        problem = f"{error.strerror}: it must be a file with a mapping"
        raise BuildError(f"{place or f'{mapping}: '}{problem}") from error
    except Error as error:
        raise BuildError(f"{place}{error}") from error
    return mapping
