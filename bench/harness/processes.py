"""The processes of a benchmark: the upstream, and a worker for each contender."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.harness.build import CONTENDERS, SEGMENT, Contender
from local_stack.aws import local_environment

_WORKER = Path(__file__).with_name("worker.py")


class Upstream:
    """The process that the contenders send requests to."""

    def __init__(self, url: str) -> None:
        self.url = url

    def counts(self) -> dict[str, int]:
        """Return the requests and connections since the previous count."""
        with urllib.request.urlopen(f"{self.url}/counts") as response:
            counts: dict[str, int] = json.load(response)
            return counts

    def environment(self) -> dict[str, str]:
        """Return the environment of a contender."""
        return local_environment(self.url) | {
            "AWS_REGION": "us-east-1",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "HYPERLINE_URL": self.url,
            "INGESTION_VERSION": "v1",
            "PARK_AFTER_SECONDS": "900",
            "QUARANTINE_QUEUE_URL": f"{self.url}/queue",
            "REPLAY_QUEUE_URL": f"{self.url}/queue",
            "SECRET_ID": "secret",
            "STACK_NAME": "bench",
            "TIME_BUDGET_SECONDS": "60",  # so that a slow machine never exceeds it
            # As in Lambda, where /var/task is read-only.
            "PYTHONDONTWRITEBYTECODE": "1",
        }


class Worker:
    """A process that invokes a contender and measures it."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process
        if self._read_line().strip() != "ready":
            sys.exit(f"{self.name} did not start, see above")

    def run(self, requests: list[Any], times: int = 1) -> dict[str, Any]:
        """Send all *requests* this many *times*; return the result of `measure`."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
            json.dump(requests, file)
            file.flush()
            assert self._process.stdin
            job = {"requests": file.name, "times": times}
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            result: dict[str, Any] = json.loads(self._read_line())
            return result

    def _read_line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} exited, see above")
        return line


@contextmanager
def start_upstream() -> Iterator[Upstream]:
    """Yield a running upstream; stop it afterwards."""
    with _start([sys.executable, "-m", "bench.harness.upstream"], None) as process:
        assert process.stdout
        yield Upstream(f"http://127.0.0.1:{int(process.stdout.readline())}")


@contextmanager
def start_worker(contender: Contender, upstream: Upstream) -> Iterator[Worker]:
    """Yield a worker for *contender*; stop it afterwards."""
    folder, module = str(contender.folder), contender.module
    command = [sys.executable, str(_WORKER), folder, module]
    with _start(command, upstream.environment()) as process:
        yield Worker(contender.name, process)


@contextmanager
def start_segment_function(upstream: Upstream) -> Iterator[Worker]:
    """Yield a worker for the Segment function, which needs Node; stop it afterwards."""
    command = ["node", str(CONTENDERS / "segment_function.mjs")]
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
