"""The contenders: where their code lies, and processes that run it."""

import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
from tools.local_stack import local_environment, run_sam

BENCH = ROOT / "bench"
THIS, USUAL, FLOOR = "this function", "usual", "floor"
SEGMENT, REFERENCE, IMPORTS = "segment function", "json", "imports"


class Contender(NamedTuple):
    """A handler: the folder and the module it lies in."""

    name: str
    folder: Path
    module: str


def build(directory: Path) -> dict[str, Contender]:
    """Return the contenders, put into *directory* as Lambda has them in /var/task."""
    run_sam("build", "--build-dir", str(directory / "built"))
    usual = directory / "usual"
    # As `sam build` does it by itself: nothing is compiled.
    packages = ["aws-lambda-powertools", "requests"]
    constraints = ["--constraint", str(ROOT / "requirements-dev.txt")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    quiet = ["--disable-pip-version-check", "--root-user-action", "ignore"]
    target = ["--target", str(usual)]
    subprocess.run([*pip, *quiet, *target, *constraints, *packages], check=True)
    shutil.copy(BENCH / "usual/app.py", usual)
    bare = directory / "bare"
    bare.mkdir()
    for module in (FLOOR, REFERENCE, IMPORTS):
        source = "reference" if module == REFERENCE else module
        shutil.copy(BENCH / f"{source}.py", bare)
    return {
        THIS: Contender(THIS, directory / "built/Receiver", "app"),
        USUAL: Contender(USUAL, usual, "app"),
        FLOOR: Contender(FLOOR, bare, "floor"),
        REFERENCE: Contender(REFERENCE, bare, "reference"),
        IMPORTS: Contender(IMPORTS, bare, "imports"),
    }


class Upstream:
    """The process that the contenders call."""

    def __init__(self, url: str) -> None:
        self.url = url

    def counts(self) -> dict[str, int]:
        """Return the calls and connections since the last look."""
        with urllib.request.urlopen(f"{self.url}/counts") as reply:
            counts: dict[str, int] = json.load(reply)
            return counts

    def environment(self) -> dict[str, str]:
        """Return the environment of a contender."""
        return local_environment(self.url) | {
            "AWS_REGION": "us-east-1",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "HYPERLINE_URL": self.url,
            "QUARANTINE_QUEUE_URL": f"{self.url}/queue",
            "SECRET_ID": "secret",
            "TIME_BUDGET_SECONDS": "60",  # a slow machine is not what is measured
            # /var/task can't be written, so nothing compiled is kept there.
            "PYTHONDONTWRITEBYTECODE": "1",
        }


@contextmanager
def start_upstream() -> Iterator[Upstream]:
    """Yield a running upstream; stop it afterwards."""
    with _start([sys.executable, str(BENCH / "upstream.py")], None) as process:
        assert process.stdout
        yield Upstream(f"http://127.0.0.1:{int(process.stdout.readline())}")


class Worker:
    """A process that makes calls of its contender and measures them."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process
        self._tell_ready()

    def run(self, calls: list[Any], times: int = 1) -> dict[str, Any]:
        """Make *calls* so many *times*; return what `worker.measure` does."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
            json.dump(calls, file)
            file.flush()
            assert self._process.stdin
            order = {"calls": file.name, "times": times}
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            result: dict[str, Any] = json.loads(self._read())
            return result

    def _tell_ready(self) -> None:
        if self._read().strip() != "ready":
            sys.exit(f"{self.name} did not start, see above")

    def _read(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended, see above")
        return line


@contextmanager
def start_worker(contender: Contender, upstream: Upstream) -> Iterator[Worker]:
    """Yield a worker for *contender*; stop it afterwards."""
    command = [sys.executable, str(BENCH / "worker.py")]
    command += [str(contender.folder), contender.module]
    with _start(command, upstream.environment()) as process:
        yield Worker(contender.name, process)


@contextmanager
def start_segment_function(upstream: Upstream) -> Iterator[Worker]:
    """Yield a worker for the Segment function, which runs on Node; stop it after."""
    command = ["node", str(BENCH / "segment_function.mjs")]
    with _start(command, upstream.environment()) as process:
        yield Worker(SEGMENT, process)


@contextmanager
def _start(
    command: list[str], environment: dict[str, str] | None
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
