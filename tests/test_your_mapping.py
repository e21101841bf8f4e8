"""A repository with only a mapping is deployed as docs/your-mapping.md shows."""

import io
import re
import shutil
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from local_stack.aws import ROOT, Progress, client, local_environment, start_aws
from tests.runbooks import Shell, read_blocks

PAGE = "docs/your-mapping.md"
WORKFLOW = yaml.safe_load((ROOT / "docs/deploy.yml").read_text("utf-8"))
STACK = "of-the-owner"
# What a clone needs to be built.
TEMPLATES = ("template.yaml", "monitoring.yaml", "daily_check.yaml")
CLONE = (*TEMPLATES, "samconfig.toml", "LICENSE", "README.md")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An empty local AWS."""
    with start_aws("127.0.0.1", Progress(quiet=True)) as aws:
        yield aws.endpoint


@pytest.fixture
def shell(tmp_path: Path, endpoint: str) -> Shell:
    """A bash with `sam`, in a folder that has a clone."""
    clone = tmp_path / "segment-to-hyperline"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "function", clone / "function", ignore=ignored)
    for name in CLONE:
        shutil.copy(ROOT / name, clone)
    options = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "0.2"}
    return Shell(tmp_path, local_environment(endpoint, **options))


def read_steps(name: str) -> list[str]:
    """Return the steps of the workflow that run the command *name*."""
    steps = WORKFLOW["jobs"]["deploy"]["steps"]
    return [step["run"] for step in steps if name in step.get("run", "")]


def test_the_mapping_of_a_repository_is_deployed(shell: Shell, endpoint: str) -> None:
    """With its settings; a mistake is not deployed, and neither is another mapping."""
    copy, test, deploy = read_blocks(PAGE)[:3]
    shell.run(copy)
    own = shell.folder / "billing"
    content = (own / "mapping.toml").read_text()
    settings = (own / "samconfig.toml").read_text()
    (own / "mapping.toml").write_text(f"# mine\n{content}")
    (own / "samconfig.toml").write_text(
        settings.replace('"segment-to-hyperline"', f'"{STACK}"')
    )

    printed = shell.run(test, deploy)
    (own / "mapping.toml").write_text(f"{content}\n[[rules]]\nmistake = 1\n")
    failed = shell.run(test, deploy)

    assert "The mapping has no tests" in printed
    assert f"Mapping: {own}/mapping.toml" in printed
    for function in ("Receiver", "Replayer"):
        assert read_deployed(endpoint, function) == f"# mine\n{content}"
    place = f"SEGMENT_TO_HYPERLINE_MAPPING={own}/mapping.toml"
    assert f"{place}: mapping.toml: rule 2: mistake is not a known key" in failed
    assert "Build Failed" in failed
    assert "Successfully created/updated stack" in printed
    assert "Successfully created/updated stack" not in failed


def read_deployed(endpoint: str, function: str) -> str:
    """Return the mapping in the code of a *function* of the stack."""
    found: Any = client("cloudformation", endpoint).describe_stack_resource(
        StackName=STACK, LogicalResourceId=function
    )
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    code: Any = client("lambda", endpoint).get_function(FunctionName=name)["Code"]
    content = requests.get(code["Location"], timeout=30).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("mapping.toml").decode()


def test_the_workflow_runs_the_commands_of_the_page() -> None:
    """`sam` is in the clone of a released version, and both files are the owner's."""
    (deploy,) = [block for block in read_blocks(PAGE) if "sam deploy" in block]
    build = next(
        step
        for step in WORKFLOW["jobs"]["deploy"]["steps"]
        if step.get("run") == "sam build"
    )
    owner, released = [
        step.get("with", {})
        for step in WORKFLOW["jobs"]["deploy"]["steps"]
        if step.get("uses", "").startswith("actions/checkout@")
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert build["env"] == {
        "SEGMENT_TO_HYPERLINE_MAPPING": "${{ github.workspace }}/mapping.toml"
    }
    (written,) = read_steps("sam deploy")
    in_clone = deploy.partition("&& ")[2].strip()
    assert written == in_clone.replace("$PWD/../billing", "$GITHUB_WORKSPACE")
    folder = WORKFLOW["jobs"]["deploy"]["defaults"]["run"]["working-directory"]
    assert released["path"] == folder
    assert "path" not in owner
    assert project["urls"]["Repository"].endswith(f"/{released['repository']}")
    assert re.fullmatch(r"v\d+\.\d+\.\d+", released["ref"])


def test_only_a_commit_on_main_is_deployed() -> None:
    """A pull request is built, without credentials."""
    steps = WORKFLOW["jobs"]["deploy"]["steps"]
    deploying = [
        step
        for step in steps
        if "sam deploy" in step.get("run", "") or "aws-actions" in step.get("uses", "")
    ]

    assert WORKFLOW[True]["push"] == {"branches": ["main"]}  # YAML reads `on` as true
    assert len(deploying) == 2
    assert {step["if"] for step in deploying} == {"github.event_name == 'push'"}
    used = [step["uses"] for step in steps if "uses" in step]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in used)
