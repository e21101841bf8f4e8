"""A result names the version of the mapping that it was made with."""

import hashlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from segment_to_hyperline.archive.files import InputError
from segment_to_hyperline.cli.main import cli
from segment_to_hyperline.cli.mappings import load_other_mapping, read_mappings
from segment_to_hyperline.defaults import MAPPING_VARIABLE
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.reconciliation.header import MappingVersion
from tests.samples import track

ROOT = Path(__file__).parents[3]
IDENTITY = ("-c", "user.name=A", "-c", "user.email=a@example.com")


def run_git(folder: Path, *arguments: str) -> str:
    """Return what git prints."""
    done = subprocess.run(
        ["git", *IDENTITY, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def read_version(mapping: Path) -> MappingVersion:
    """Return the version of the only mapping."""
    (found,) = read_mappings(mapping, ())
    return found.version


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    """A mapping that was committed to a repository of its own."""
    path = tmp_path / "mapping.toml"
    shutil.copy(ROOT / "function/mapping.toml", path)
    run_git(tmp_path, "init", "--quiet")
    run_git(tmp_path, "add", path.name)
    run_git(tmp_path, "commit", "--quiet", "-m", "Add the mapping")
    return path


def test_a_mapping_has_a_hash_and_a_commit(mapping: Path) -> None:
    """So its content is known later."""
    (found,) = read_mappings(mapping, ())

    content = mapping.read_bytes()
    commit = run_git(mapping.parent, "log", "-1", "--format=%h")
    assert found.mapping == (0, content, str(mapping))
    assert found.version == MappingVersion(
        str(mapping), hashlib.sha256(content).hexdigest(), f"git commit {commit}"
    )


def test_later_mappings_are_files_or_revisions(mapping: Path) -> None:
    """Of this file, in the order of their times."""
    first = mapping.read_bytes()
    copy = mapping.with_name("copy.toml")
    copy.write_bytes(first + b"# a copy\n")
    mapping.write_bytes(first + b"# a change\n")

    found = read_mappings(mapping, [(2_000, str(copy)), (1_000, "HEAD")])

    assert [each.mapping for each in found] == [
        (0, first + b"# a change\n", str(mapping)),
        (1_000, first, str(mapping)),
        (2_000, first + b"# a copy\n", str(copy)),
    ]
    assert [each.version[2:] for each in found[1:]] == [
        ("git revision HEAD", "1970-01-01T00:00:01.000Z"),
        ("no git commit", "1970-01-01T00:00:02.000Z"),
    ]


def test_each_mapping_is_checked(mapping: Path) -> None:
    """The error names the file."""
    wrong = mapping.with_name("wrong.toml")
    wrong.write_text("[[rules]]")

    with pytest.raises(MappingFileError, match=r"wrong\.toml"):
        read_mappings(mapping, [(1_000, str(wrong))])


def test_the_commit_is_the_last_one_of_this_file(
    mapping: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other files don't matter, nor does the folder of the command."""
    before = read_version(mapping)
    (mapping.parent / "other").write_text("1")
    run_git(mapping.parent, "add", "other")
    run_git(mapping.parent, "commit", "--quiet", "-m", "Add another file")
    (mapping.parent / "other").write_text("2")
    monkeypatch.chdir(mapping.parent)

    assert read_version(Path(mapping.name)) == before._replace(file=mapping.name)


@pytest.mark.parametrize("is_staged", [False, True])
def test_a_changed_mapping_is_not_that_of_its_commit(
    mapping: Path, *, is_staged: bool
) -> None:
    """Whether or not the change is staged."""
    before = read_version(mapping)
    mapping.write_bytes(mapping.read_bytes() + b"\n# a comment\n")
    if is_staged:
        run_git(mapping.parent, "add", mapping.name)

    version = read_version(mapping)

    assert version.commit == f"{before.commit}, changed since"
    assert version.sha256 != before.sha256


def test_a_mapping_without_a_commit_has_its_hash(mapping: Path) -> None:
    """It isn't in the repository yet."""
    copy = mapping.with_name("copy.toml")
    shutil.copy(mapping, copy)

    version = read_version(copy)

    assert version.commit == "no git commit"
    assert version.sha256 == read_version(mapping).sha256


def test_git_is_not_required(mapping: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finance may not have it."""
    monkeypatch.setenv("PATH", "")

    assert read_version(mapping).commit == "no git commit"


def test_a_mapping_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    """In one line."""
    with pytest.raises(InputError, match="mapping': Is a directory"):
        read_version(make_folder(tmp_path / "mapping"))


def make_folder(path: Path) -> Path:
    """Return a new folder."""
    path.mkdir()
    return path


@pytest.mark.parametrize("revision", ["HEAD", "file"])
def test_a_mapping_is_compared_with_a_file_or_a_revision(
    mapping: Path, revision: str
) -> None:
    """It is read as it was then."""
    before = apply_rules(load_other_mapping(str(mapping), mapping), track())
    copy = mapping.with_name("file")
    shutil.copy(mapping, copy)
    mapping.write_text("not a mapping")

    other = load_other_mapping(str(copy) if revision == "file" else "HEAD", mapping)

    assert apply_rules(other, track()) == before != ()


def test_a_revision_without_the_mapping_is_reported(mapping: Path) -> None:
    """With git's reason."""
    with pytest.raises(
        InputError, match=r"none is neither a file nor a git revision.*invalid object"
    ):
        load_other_mapping("none", mapping)


def test_the_variable_of_sam_build_is_also_that_of_the_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command shows is what is built; --mapping shows another mapping."""
    own, other = tmp_path / "own.toml", tmp_path / "other.toml"
    own.write_text("[[rules]]\nown = 1\n")
    other.write_text("[[rules]]\nother = 1\n")
    monkeypatch.setenv(MAPPING_VARIABLE, str(own))

    def run(*options: str) -> str:
        return CliRunner().invoke(cli, ["test", *options]).output

    assert "own.toml: rule 1: own is not a known key" in run()
    assert "other.toml: rule 1: other is not a known key" in run(
        "--mapping", str(other)
    )
    monkeypatch.setenv(MAPPING_VARIABLE, "")
    assert run() == "The mapping has no tests\n"


def test_a_variable_that_names_no_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which names the variable, and doesn't use the default mapping."""
    monkeypatch.setenv(MAPPING_VARIABLE, str(tmp_path / "none.toml"))

    done = CliRunner().invoke(cli, ["test"])

    assert done.exit_code == 2
    assert f"(env var: '{MAPPING_VARIABLE}')" in done.output
    assert "none.toml' does not exist" in done.output


def test_the_repository_is_that_of_the_mapping_in_a_hook(
    mapping: Path, tmp_path: Path
) -> None:
    """Git sets GIT_DIR for the hooks of a worktree, and the mapping is in a folder."""
    worktree = tmp_path / "worktree"
    run_git(tmp_path, "worktree", "add", "--quiet", "--detach", str(worktree))
    moved = worktree / "function/mapping.toml"
    moved.parent.mkdir()
    run_git(worktree, "mv", mapping.name, str(moved))
    run_git(worktree, "commit", "--quiet", "-m", "Move the mapping")
    hook = tmp_path / ".git/hooks/pre-commit"
    command = [sys.executable, "-m", "segment_to_hyperline", "preview"]
    sample = str(ROOT / "events/sample.ndjson")
    arguments = [sample, "--mapping", str(moved), "--against", "HEAD"]
    hook.write_text(f"#!/bin/sh\nenv | grep ^GIT_DIR=\n{shlex.join(command)} ")
    with hook.open("a") as file:
        file.write(shlex.join(arguments))
    hook.chmod(0o755)

    done = subprocess.run(
        [*("git", *IDENTITY, "commit"), *("--allow-empty", "-m", "Test the hook")],
        cwd=worktree,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "GIT_DIR=" in done.stderr
    assert "billed events: 5 unchanged" in done.stderr
    assert done.returncode == 0, done.stderr
