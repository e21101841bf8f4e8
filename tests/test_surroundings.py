"""Setup and build on machines that are configured for other work."""

import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UV = ROOT / "maintenance/uv"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: "
# No folder can be created in it, so a cache or a configuration can't be written.
READ_ONLY = "/proc"
FOR_OTHER_WORK = {
    "user": "true",
    "require-virtualenv": "true",
    "target": "/elsewhere/target",
    "prefix": "/elsewhere/prefix",
    "root": "/elsewhere/root",
    "dry-run": "true",
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, whose listings are what a package index has."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Mirror:
    """A package index on this machine, with few packages."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder

    def add(
        self,
        name: str,
        version: str,
        files: dict[str, bytes],
        tag: str = "py3-none-any",
    ) -> None:
        """Add the wheel of a package with *files*."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        stem = f"{name.replace('-', '_')}-{version}"
        info = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "WHEEL": f"{WHEEL}{tag}\n",
        }
        with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w") as wheel:
            for path, content in files.items():
                info_of_file = zipfile.ZipInfo(path)
                info_of_file.external_attr = 0o100_755 << 16  # scripts are executable
                wheel.writestr(info_of_file, content)
            for path, text in info.items():
                wheel.writestr(f"{stem}.dist-info/{path}", text)
            wheel.writestr(f"{stem}.dist-info/RECORD", "")

    def copy(self, name: str) -> None:
        """Add the package *name* as it is installed here."""
        installed = distribution(name)
        files = {
            str(file): Path(str(file.locate())).read_bytes()
            for file in installed.files or ()
            if file.suffix != ".pyc"
            and not str(file).startswith("..")
            and (".dist-info" not in str(file) or file.name == "entry_points.txt")
        }
        self.add(name, installed.version, files)

    def lock(self, **groups: tuple[str, ...]) -> str:
        """Return a lock file with the packages, and which are in the *groups*."""
        locked = "version = 1\nrequires-python = '>=3.12'\n"
        for wheel in self._folder.glob("*/*.whl"):
            name, version = wheel.parent.name, wheel.name.split("-")[1]
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            locked += f"""
                [[package]]
                name = '{name}'
                version = '{version}'
                source = {{ registry = 'https://public.invalid' }}
                [[package.wheels]]
                url = 'https://public.invalid/{wheel.name}'
                hash = 'sha256:{digest}'
            """
        listed = {group: [{"name": n} for n in groups[group]] for group in groups}
        return f"""{locked}
            [[package]]
            name = 'segment-to-hyperline'
            version = '0.1.0'
            source = {{ editable = '.' }}
            dev-dependencies = {json.dumps(listed).replace('":', '"=')}
        """


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    """An index that only knows a package of the company."""
    folder = tmp_path / "index"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    mirror = Mirror(folder, server.server_port)
    mirror.add("of-the-company", "1.0", {"of_the_company.py": b"VALUE = 1\n"})
    yield mirror
    server.shutdown()
    thread.join()
    server.server_close()


type Make = Callable[..., subprocess.CompletedProcess[str]]


def run(
    *command: str | Path, cwd: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with *variables*, and without the machine's settings of pip."""
    prefixes = ("PIP_", "UV_", "PYTHON", "VIRTUAL_ENV")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**inherited, "PIP_CONFIG_FILE": os.devnull, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def to_variables(settings: dict[str, str], elsewhere: Path) -> dict[str, str]:
    """Return *settings* of pip as environment variables."""
    return {
        f"PIP_{name.upper().replace('-', '_')}": value.replace(
            "/elsewhere", str(elsewhere)
        )
        for name, value in settings.items()
    }


def to_file(path: Path, settings: dict[str, str]) -> dict[str, str]:
    """Write *settings* of pip into a file; return the variable that names it."""
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    path.write_text(f"[global]\n{lines}")
    return {"PIP_CONFIG_FILE": str(path)}


PYTHON_VARIABLES = {
    "PYTHONPYCACHEPREFIX": "/elsewhere",
    "PYTHONOPTIMIZE": "1",
    "PYTHONHOME": "/elsewhere",
}
OTHER_VARIABLES = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/elsewhere",
    "PYTHONSAFEPATH": "1",
    "SOURCE_DATE_EPOCH": "1",
    "HOME": READ_ONLY,
}


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        *(({name: value}, {}) for name, value in FOR_OTHER_WORK.items()),
        *(({}, {name: value}) for name, value in PYTHON_VARIABLES.items()),
        ({"platform": "manylinux2014_x86_64"}, {}),
        ({}, OTHER_VARIABLES),
        ({}, {"PIP_CONFIG_FILE": "pip.conf"}),
    ],
    ids=lambda names: "".join(names) or "-",
)
def test_the_build_is_the_same_on_every_machine(
    tmp_path: Path,
    mirror: Mirror,
    settings: dict[str, str],
    variables: dict[str, str],
) -> None:
    """All packages and modules are in the folder of the function, and compiled.

    Packages with machine code are not: they would not run on every processor.
    """
    function = tmp_path / "path with spaces/function"
    shutil.copytree(
        ROOT / "function", function, ignore=shutil.ignore_patterns("__pycache__")
    )
    mirror.add(
        *("of-the-company", "1.0", {"fast.so": b""}),
        tag="cp313-cp313-manylinux2014_x86_64",
    )
    packages = ["of-the-company"]
    environment = {"PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"}
    if "require-virtualenv" in settings:
        # A python3.13 that isn't in an environment needs the packages of the mapping.
        environment = {"PATH": f"{sys.base_prefix}/bin:{os.environ['PATH']}"}
        packages += ["aws-lambda-powertools", "jmespath", "typing-extensions"]
        for package in packages[1:]:
            mirror.copy(package)
    (function / "requirements.txt").write_text("\n".join(packages))
    built = tmp_path / "path with spaces/built"
    built.mkdir()
    to_file(function / "pip.conf", FOR_OTHER_WORK)
    settings = settings | {"index-url": mirror.url}
    environment |= to_variables(settings, tmp_path / "elsewhere")

    done = run(
        *("make", "build-Receiver", f"ARTIFACTS_DIR={built}"),
        cwd=function,
        **environment | variables,
    )

    assert done.returncode == 0, done.stderr
    modules = sorted(p.relative_to(built) for p in built.rglob("*.py"))
    compiled = {p.relative_to(built) for p in built.rglob("*.pyc")}
    assert Path("of_the_company.py") in modules
    assert Path("segment_to_hyperline/elements.py") in modules
    assert compiled == {
        m.parent / f"__pycache__/{m.stem}.cpython-313.pyc" for m in modules
    }
    assert not [*built.rglob("*.so")]
    assert not (tmp_path / "elsewhere").exists()


def test_the_build_contains_only_what_a_function_needs(tmp_path: Path) -> None:
    """The command line and its packages are not deployed; AWS has boto3."""
    environment = os.environ | {"PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"}
    build = ["make", "--silent", "build-Receiver", f"ARTIFACTS_DIR={tmp_path}"]
    subprocess.run(build, cwd=ROOT / "function", env=environment, check=True)

    built = {path.name for path in tmp_path.iterdir()}

    assert {"receiver.py", "segment_to_hyperline", "requests", "jmespath"} <= built
    assert not built & {"boto3", "botocore", "click", "matplotlib", "rich", "yaml"}
    assert not (tmp_path / "segment_to_hyperline/cli").exists()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Build a function without its packages, in a copy of function/, as SAM does."""
    function, built = tmp_path / "function", tmp_path / "built"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "function", function, ignore=ignored)
    (function / "requirements.txt").write_text("")
    built.mkdir()

    def make(target: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run(
            *("make", target, f"ARTIFACTS_DIR={built}"),
            cwd=function,
            PATH=f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
            **variables,
        )

    return make


@pytest.mark.parametrize("target", ["build-Receiver", "build-DailyCheck"])
def test_an_invalid_mapping_fails_the_build(
    tmp_path: Path, make: Make, target: str
) -> None:
    """So it can't be deployed."""
    (tmp_path / "function/mapping.toml").write_text("[[rules]]\nunknown = 1\n")

    done = make(target)

    assert done.returncode != 0
    assert done.stderr.startswith("mapping.toml: rule 1: unknown")


@pytest.mark.parametrize("target", ["build-Receiver", "build-DailyCheck"])
def test_the_mapping_of_the_variable_is_built(
    tmp_path: Path, make: Make, target: str
) -> None:
    """And none if it is invalid; SAM shows what make prints."""
    own = tmp_path / "it's mine; $HOME.toml"
    own.write_text("[[rules]]\nunknown = 1\n")
    rejected = make(target, SEGMENT_TO_HYPERLINE_MAPPING=str(own))
    content = (tmp_path / "function/mapping.toml").read_text()
    own.write_text(f"# mine\n{content}")

    done = make(target, SEGMENT_TO_HYPERLINE_MAPPING=str(own))

    assert rejected.returncode != 0
    problem = f"SEGMENT_TO_HYPERLINE_MAPPING={own}: it's mine; $HOME.toml: rule 1:"
    assert rejected.stderr.startswith(problem)
    assert done.returncode == 0, done.stderr
    assert f"\nMapping: {own}\n" in done.stdout
    assert (tmp_path / "built/mapping.toml").read_text() == own.read_text()


def test_the_locks_are_up_to_date(tmp_path: Path) -> None:
    """If this fails, run `make lock`."""
    exported = tmp_path / "requirements.txt"
    requirements = (ROOT / "function/requirements.txt").read_text()
    command = requirements.splitlines()[1].replace("function/requirements.txt", "{}")
    arguments = [a.format(exported) for a in command.split()[2:]]
    python = ("--python", sys.executable)

    lock = run(UV, "lock", "--no-config", "--check", "--offline", *python, cwd=ROOT)
    run(UV, *arguments, cwd=ROOT)

    assert lock.returncode == 0, lock.stderr
    assert exported.read_text().splitlines()[2:] == requirements.splitlines()[2:]


@pytest.mark.parametrize("place", ["index", "additional index", "file", "links"])
def test_uv_uses_the_mirror_that_pip_knows(
    tmp_path: Path, mirror: Mirror, place: str
) -> None:
    """Companies configure a mirror for pip, and the public index can be blocked."""
    (tmp_path / "index/empty").mkdir()
    environment = {
        "index": {"PIP_INDEX_URL": mirror.url},
        "additional index": {
            "PIP_INDEX_URL": f"{mirror.url}/empty",
            "PIP_EXTRA_INDEX_URL": f"{mirror.url}/empty {mirror.url}",
        },
        "file": to_file(
            tmp_path / "pip.conf",
            {
                "index-url": f"{mirror.url}/empty",
                "extra-index-url": f"\n  {mirror.url}/empty\n  {mirror.url}",
            },
        ),
        "links": {
            "PIP_NO_INDEX": "true",
            "PIP_FIND_LINKS": f"{mirror.url}/empty/ {mirror.url}/of-the-company/",
        },
    }[place]

    done = run(
        *(UV, "pip", "install", "--no-cache", "--python"),
        *(sys.executable, "--target", tmp_path / "installed", "of-the-company"),
        cwd=tmp_path,
        **environment,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed/of_the_company.py").exists()


def test_setup_needs_only_the_mirror(tmp_path: Path, mirror: Mirror) -> None:
    """It works in a path with spaces, without a home, and with settings for other work.

    The lock file is replaced by a short one. Its addresses can't be reached, and a
    package of it is only in the mirror.
    """
    checkout = tmp_path / "path with spaces/checkout"
    package = "function/segment_to_hyperline"
    (checkout / package).mkdir(parents=True)
    (checkout / "maintenance").mkdir()
    names = ("Makefile", "README.md", "pyproject.toml", f"{package}/__init__.py")
    included = (
        *("template.yaml", "function/mapping.toml", "function/mapping.schema.json"),
        *("docs/mapping.md", "docs/recipes.toml"),
    )
    (checkout / "docs").mkdir()
    for name in (*names, *included, "maintenance/setup", "maintenance/uv"):
        shutil.copy(ROOT / name, checkout / name)
    packages = ("hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")
    for name in packages:
        mirror.copy(name)
    groups = dict.fromkeys(("stack", "audit"), ("of-the-company",))
    (checkout / "uv.lock").write_text(mirror.lock(dev=packages, **groups))
    uv = (ROOT / ".venv/uv/packages/bin/uv").read_bytes()
    mirror.add("uv", "0.13.9", {"uv-0.13.9.data/scripts/uv": uv})
    variables = FOR_OTHER_WORK | {"index-url": mirror.url}
    uv_variables = {
        "UV_SYSTEM_PYTHON": "1",
        "UV_PYTHON": "3.9",
        "UV_WORKING_DIR": str(tmp_path),
        "UV_REQUIRE_HASHES": "1",
        "UV_NO_BUILD": "1",
        "UV_VENV_CLEAR": "1",
        "UV_PROJECT": str(tmp_path),
        "UV_PROJECT_ENVIRONMENT": str(tmp_path / "elsewhere"),
        "UV_LOCKED": "1",
        "UV_NO_DEFAULT_GROUPS": "1",
    }

    done = run(
        "make",
        "setup",
        cwd=checkout,
        CDPATH=str(ROOT),
        **to_variables(variables, tmp_path / "elsewhere"),
        **PYTHON_VARIABLES | OTHER_VARIABLES | uv_variables,
    )

    assert done.returncode == 0, done.stderr
    stack = checkout / ".venv/stack/lib/python3.13/site-packages"
    assert (stack / "of_the_company.py").exists()
    assert (checkout / ".venv/bin/segment-to-hyperline").exists()
    assert (checkout / ".venv/bin/hatchling").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_a_clone_with_converted_line_endings_is_the_same(tmp_path: Path) -> None:
    """Git for Windows converts them by default, and /bin/sh can't run such a script."""
    for value in ("true", "false"):
        settings = ["-c", f"core.autocrlf={value}", "-c", "core.eol=crlf"]
        command = [
            "git",
            *settings,
            "clone",
            "--quiet",
            str(ROOT),
            str(tmp_path / value),
        ]
        subprocess.run(command, check=True)

    def read(clone: str) -> dict[str, bytes]:
        files = [p for p in (tmp_path / clone).rglob("*") if ".git" not in p.parts]
        return {
            str(p.relative_to(tmp_path / clone)): p.read_bytes()
            for p in files
            if p.is_file()
        }

    assert read("true") == read("false")
    assert b"\r" not in (tmp_path / "true/maintenance/setup").read_bytes()


# What setup and the build need besides Python.
TOOLS = ("cat", "cmp", "cp", "dirname", "env", "make", "mkdir", "rm", "sed", "sh", "tr")


def create_path(folder: Path, *names: str) -> str:
    """Return a PATH with `TOOLS` and programs in which no Python is found."""
    folder.mkdir()
    for name in (*TOOLS, *names):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.mark.parametrize("has_other", [False, True])
def test_setup_says_that_python_is_missing(tmp_path: Path, *, has_other: bool) -> None:
    """In one line, also if there is another version and none can be downloaded."""
    checkout = tmp_path / "checkout"
    (checkout / "maintenance").mkdir(parents=True)
    names = ("Makefile", "pyproject.toml", "uv.lock", "maintenance/setup")
    for name in (*names, "maintenance/uv"):
        shutil.copy(ROOT / name, checkout / name)
    path = create_path(tmp_path / "bin")
    if has_other:
        for name in ("packages/bin/uv", "bin/pip"):
            target = checkout / ".venv/uv" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(ROOT / ".venv/uv" / name)

    done = run(
        *("make", "setup"),
        cwd=checkout,
        PATH=path,
        HOME=str(tmp_path),
        XDG_DATA_HOME=str(tmp_path),
        UV_PYTHON_DOWNLOADS="never",
    )

    assert done.returncode != 0
    line, *end = done.stderr.splitlines()
    assert line.startswith("Python 3.13 is missing")
    assert "pyenv install 3.13" in line
    assert all(re.match(r"make(\[\d+\])?: ", each) for each in end)


def test_the_build_says_that_python_is_missing(tmp_path: Path) -> None:
    """`sam build` shows what make prints."""
    done = run(
        *("make", "--no-print-directory", "build-Receiver"),
        f"ARTIFACTS_DIR={tmp_path}",
        cwd=ROOT / "function",
        PATH=create_path(tmp_path / "bin"),
    )

    assert done.returncode != 0
    line, *end = done.stderr.splitlines()
    assert line.startswith("python3.13 is missing: activate .venv")
    assert all(re.match(r"make(\[\d+\])?: ", each) for each in end)
    assert done.stdout == ""
