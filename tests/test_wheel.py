"""The wheel, as operators install it: away from a checkout, with an empty home."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from local_stack.aws import ROOT
from local_stack.fake_api import KEY
from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import write
from segment_to_hyperline.mapping.apply import apply_rules
from segment_to_hyperline.mapping.file import load_rules
from tests.samples import track

UV = ROOT / "maintenance/uv"
MAPPING = ROOT / "function/mapping.toml"
STATIC = ROOT / "function/segment_to_hyperline/studio/static"

type Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip and uv build it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", folder], cwd=ROOT, check=True)
    (built,) = folder.iterdir()
    return built


def find_python(version: str) -> str:
    """Return the path of a Python; skip the test if this machine has none."""
    environment = dict(os.environ)
    if shutil.which("pyenv"):  # whose commands work only for selected versions
        listed = subprocess.check_output(["pyenv", "versions", "--bare"], text=True)
        environment["PYENV_VERSION"] = ":".join(listed.split())
    found = subprocess.run(
        [UV, "python", "find", "--no-project", "--no-python-downloads", version],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if found.returncode:
        pytest.skip(f"this machine has no Python {version}")
    return found.stdout.strip()


def uv(*arguments: str | Path) -> None:
    """Run uv as `make setup` does."""
    subprocess.run([UV, *arguments, "--quiet"], cwd=ROOT, check=True)


@pytest.fixture(scope="module", params=["3.12", "3.13", "3.14"])
def environment(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    wheel: Path,
) -> Path:
    """An environment with the wheel and its dependencies, in the locked versions."""
    folder = tmp_path_factory.mktemp("environment")
    locked = folder / "locked.txt"
    options = ["--frozen", "--no-default-groups", "--no-emit-project"]
    python = find_python(request.param)
    install = ("pip", "install", "--python", folder / "venv", "--constraint", locked)
    uv("export", *options, "--output-file", locked)
    uv("venv", "--no-project", "--python", python, folder / "venv")
    uv(*install, wheel)
    return folder / "venv"


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Run:
    """Run the installed command in an empty folder."""
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    home.mkdir()

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [environment / "bin/segment-to-hyperline", *arguments],
            cwd=folder,
            env={"HOME": str(home), "PATH": os.defpath, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A file with three events, an hour apart."""
    path = tmp_path / "events.ndjson"
    path.write_text("".join(f"{write(event)}\n" for event in EVENTS))
    return path


EVENTS = [
    track(messageId=f"m-{hour}", timestamp=f"2026-01-01T0{hour}:00:00.000Z")
    for hour in range(3)
]


@pytest.fixture
def hyperline() -> Iterator[FakeHyperline]:
    """A Hyperline that has stored the events of the archive."""
    with FakeHyperline() as hyperline:
        for event in EVENTS:
            for billable in apply_rules(load_rules(MAPPING), event):
                event_type, record_id = billable.key
                hyperline.store[event_type, record_id] = billable.json
        yield hyperline


def test_the_wheel_contains_one_package(wheel: Path) -> None:
    """It adds only the project's name to an environment, which other projects share."""
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}

    assert {name for name in names if not name.endswith(".dist-info")} == {
        "segment_to_hyperline"
    }


def test_every_command_shows_its_help(run: Run) -> None:
    """A command starts with the packages that the wheel depends on."""
    shown = run("--help")

    listed = shown.stdout.partition("\nCommands:\n")[2].partition("\n\n")[0]
    commands = [line.split()[0] for line in listed.splitlines()]
    assert {"preview", "reconcile", "simulate"} <= set(commands)
    for command in commands:
        done = run(command, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Usage: segment-to-hyperline {command}" in done.stdout


def test_preview_uses_the_mapping_in_the_wheel(run: Run, archive: Path) -> None:
    """Without --mapping, it is the default one of the installed version."""
    done = run("preview", str(archive))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run("preview", str(archive), "--mapping", str(MAPPING)).stdout
    assert "billed" in done.stdout


def test_preview_uses_the_mapping_of_the_user(
    run: Run, archive: Path, tmp_path: Path
) -> None:
    """With --mapping, it is the one of that file."""
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(MAPPING.read_text().replace('"track"', '"page"'))

    done = run("preview", str(archive), "--mapping", str(mapping), "--json")

    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert (summary["billed"], summary["filtered"]) == (0, 3)


def test_events_are_compared_with_hyperline(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """The reconciliation needs only the events, an API key, and the mapping."""
    variables = {"HYPERLINE_API_KEY": KEY, "HYPERLINE_URL": hyperline.url}

    done = run("reconcile", str(archive), **variables)
    hyperline.store.popitem()
    hyperline.rows.forget()
    different = run("reconcile", str(archive), **variables)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Everything matches: 3 events expected")
    assert different.returncode == 1
    assert "missing" in different.stdout


def test_an_outage_is_simulated_with_the_template_in_the_wheel(run: Run) -> None:
    """The defaults are those of the installed version; only a plot needs matplotlib."""
    done = run("simulate", "--rate", "1", "--hours", "1")
    plotted = run("simulate", "--rate", "1", "--hours", "1", "--plot", "plot.svg")

    assert (done.returncode, done.stderr) == (0, "")
    assert "events per second, 1 in a request:" in done.stdout
    assert plotted.returncode == 2
    assert "--plot needs matplotlib" in plotted.stderr


def test_the_page_of_studio_is_in_the_wheel(environment: Path, tmp_path: Path) -> None:
    """With its scripts, their license, and what it documents; it needs no network."""
    command = environment / "bin/segment-to-hyperline"
    mapping = shutil.copy(MAPPING, tmp_path)
    with subprocess.Popen(
        [command, "studio", "--no-browser", "--mapping", mapping],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.defpath},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        text = "".join(process.stdout.readline() for _ in range(3))
        (url,) = re.findall(r"http://\S+/", text)
        files = ("", "studio.js", "studio.css", "vendor/ace/ace.js")
        for name in (*files, "vendor/ace/LICENSE"):
            with urlopen(url + name, timeout=10) as response:
                assert response.read() == (STATIC / (name or "index.html")).read_bytes()
        with urlopen(f"{url}state", timeout=10) as response:
            state = json.load(response)
        process.terminate()

    assert state["text"] == MAPPING.read_text("utf-8")
    recipes = (ROOT / "docs/recipes.toml").read_text("utf-8").count("[[rules]]")
    assert len(state["reference"]["recipes"]) == recipes


def test_the_mapping_in_the_wheel_is_not_edited(run: Run) -> None:
    """An update would replace it."""
    done = run("studio", "--no-browser")

    assert done.returncode == 2
    assert "name your mapping with --mapping, because an update" in done.stderr


def test_the_mapping_of_the_wheel_has_no_tests(run: Run) -> None:
    """The command says so."""
    done = run("test")

    assert (done.returncode, done.stdout) == (0, "The mapping has no tests\n")
