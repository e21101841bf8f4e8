"""What a release publishes, and the workflow that publishes it."""

import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.aws import ROOT
from segment_to_hyperline import __version__
from segment_to_hyperline.simulation.template import read_template

NAME = f"segment-to-hyperline-{__version__}"
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
# The jobs that may do more than read the code.
RAISED = {
    "release.yml build": {"id-token": "write", "attestations": "write"},
    "release.yml publish": {"contents": "write"},
}
# The properties of template.yaml that name a file or a folder beside it.
PATHS = {"CodeUri", "TemplateURL", "LicenseUrl", "ReadmeUrl"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what `make package` has built."""
    folder = tmp_path_factory.mktemp("package")
    command = [ROOT / "maintenance/package", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def read_template_archive(package: Path) -> set[str]:
    """Return the files of the packaged template, below its folder."""
    with tarfile.open(package / f"{NAME}-template.tar.gz") as archive:
        names = archive.getnames()
    assert {name.split("/")[0] for name in names} == {NAME}
    return {name.removeprefix(f"{NAME}/") for name in names}


def find_paths(content: Any) -> Iterator[str]:
    """Yield the paths in a template."""
    values = content.values() if isinstance(content, dict) else content
    for value in values if isinstance(content, dict | list) else ():
        yield from find_paths(value)
    if isinstance(content, dict):
        yield from (content[name] for name in PATHS & content.keys())


def test_a_release_has_a_wheel_and_a_template(package: Path) -> None:
    """Both names have the version."""
    assert {path.name for path in package.iterdir()} == {
        f"segment_to_hyperline-{__version__}-py3-none-any.whl",
        f"{NAME}-template.tar.gz",
    }


def test_the_packaged_template_is_complete(package: Path) -> None:
    """It has each file and folder that the template refers to, and the mapping."""
    files = read_template_archive(package)

    paths = {path.rstrip("/") for path in find_paths(read_template())}
    assert {"function", "monitoring.yaml", "README.md"} <= paths
    assert paths <= files
    assert {"samconfig.toml", "function/Makefile", "function/mapping.toml"} <= files
    assert not any("cli/__pycache__" in name for name in files)


def read_jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the jobs of all workflows, with the name of the file before theirs."""
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text("utf-8"))["jobs"].items():
            yield f"{path.name} {name}", job


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned(path: Path) -> None:
    """A tag of an action can be moved, and a commit can't."""
    used = re.findall(r"uses: (.+)", path.read_text("utf-8"))

    assert used
    wrong = [u for u in used if not re.fullmatch(r"\S+@[0-9a-f]{40} +# v\d\S+", u)]
    assert wrong == []


def test_a_job_has_only_the_permissions_that_it_needs() -> None:
    """None by default; only those of a release may do more than read the code."""
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text("utf-8"))["permissions"] == {}
    for name, job in read_jobs():
        raised = RAISED.get(name, {})
        assert job["permissions"].items() - {("contents", "read")} == raised.items()


def test_what_is_published_was_tested_and_attested() -> None:
    """The jobs run one after the other."""
    jobs = dict(read_jobs())

    assert jobs["release.yml publish"]["needs"] == "build"
    assert jobs["release.yml build"]["needs"] == "test"
    assert {"run": ".ci/run"} in jobs["release.yml test"]["steps"]
    steps = [step.get("uses", "") for step in jobs["release.yml build"]["steps"]]
    assert any(step.startswith("actions/attest@") for step in steps)
