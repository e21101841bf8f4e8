"""Which mapping `sam build` puts into a function, and what stops the build."""

from pathlib import Path

import pytest

from segment_to_hyperline.defaults import MAPPING_VARIABLE
from segment_to_hyperline.mapping_tests.build import BuildError, copy_mapping

MAPPING = '[[rules]]\nrecord = { seats = "properties.seats" }\n'
FAILING = """
[[tests]]
name = "Pages are filtered"
event = '{"type": "page", "messageId": "m-1", "userId": "1", "name": "Home"}'
billed = [{}]
"""


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a function; the build is in another one, with a default mapping."""
    build, artifact = tmp_path / "build", tmp_path / "artifact"
    build.mkdir()
    artifact.mkdir()
    (build / "mapping.toml").write_text(MAPPING)
    monkeypatch.chdir(build)
    return artifact


def read(artifact: Path) -> str:
    """Return the mapping that the functions read."""
    return (artifact / "mapping.toml").read_text()


def test_the_default_is_the_mapping_of_the_repository(artifact: Path) -> None:
    """If the variable is not set, or empty."""
    assert copy_mapping("", artifact) == Path("mapping.toml")
    assert read(artifact) == MAPPING


def test_the_mapping_of_the_owner_replaces_it(artifact: Path, tmp_path: Path) -> None:
    """With any name; the functions find it under theirs."""
    own = tmp_path / "with space.toml"
    own.write_text(f"# mine\n{MAPPING}")

    assert copy_mapping(str(own), artifact) == own
    assert read(artifact) == f"# mine\n{MAPPING}"


def reject(own: str, artifact: Path) -> str:
    """Return why nothing is built."""
    with pytest.raises(BuildError) as raised:
        copy_mapping(own, artifact)
    assert not (artifact / "mapping.toml").exists()
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("none.toml", "No such file or directory: it must be a file with a mapping"),
        ("", "Is a directory: it must be a file with a mapping"),
    ],
)
def test_what_is_no_file_stops_the_build(
    artifact: Path, tmp_path: Path, name: str, problem: str
) -> None:
    """And not the default mapping, which would bill other events, is deployed."""
    own = tmp_path / name

    assert reject(str(own), artifact) == f"{MAPPING_VARIABLE}={own}: {problem}"


@pytest.mark.parametrize("own", ["mapping.toml", "./mapping.toml", "~/mapping.toml"])
def test_a_relative_path_stops_the_build(artifact: Path, own: str) -> None:
    """Even if the folder of the build, which SAM chooses, has such a file."""
    assert reject(own, artifact) == (
        f"{MAPPING_VARIABLE}={own}: SAM builds in another folder, so the path must be"
        ' absolute: write for example "$PWD/mapping.toml"'
    )


def test_a_mistake_stops_the_build(artifact: Path, tmp_path: Path) -> None:
    """The error has the path, and the rule."""
    own = tmp_path / "mine.toml"
    own.write_text("[[rules]]\nevnt = 'A'\n")

    assert reject(str(own), artifact).startswith(
        f"{MAPPING_VARIABLE}={own}: mine.toml: rule 1: evnt is not a known key here"
    )


def test_the_tests_beside_the_mapping_stop_the_build(
    artifact: Path, tmp_path: Path
) -> None:
    """Those of the owner, and not those of the repository."""
    own = tmp_path / "mine.toml"
    own.write_text(MAPPING)
    (tmp_path / "mapping_tests.toml").write_text(FAILING)

    assert "Pages are filtered" in reject(str(own), artifact)
    assert copy_mapping("", artifact)


def test_a_repository_without_a_mapping_is_not_built(artifact: Path) -> None:
    """The error names the file, and not the variable, which is not set."""
    Path("mapping.toml").unlink()

    assert reject("", artifact) == (
        "mapping.toml: No such file or directory: it must be a file with a mapping"
    )
