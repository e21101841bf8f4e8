"""A local AWS (ministack), and the SAM command line that deploys into it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import boto3
import requests

from local_stack.processes import start

ROOT = Path(__file__).parents[1]
REGION = "us-east-1"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
_START_SECONDS = 60
# The file by which local_stack/ministack_types.py moves the clock of SQS.
CLOCK = "clock"
# How often `sam deploy` polls CloudFormation; by default it waits 5 s.
_POLL_SECONDS = "0.2"


class SamError(SystemExit):
    """Raised when SAM fails, with its output; it exits unless it is caught."""


class Progress:
    """Prints each step on the standard error when it starts, and how long it took."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Run the body of the with statement as the step of this name."""
        began = time.monotonic()
        if not self.quiet:
            print(f"{step} ...", end=" ", file=sys.stderr, flush=True)
        yield
        if not self.quiet:
            elapsed = f"{time.monotonic() - began:.1f} s"
            print(elapsed, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS."""

    endpoint: str
    """Its URL."""
    directory: Path
    """The folder of its files."""

    def set_clock(self, seconds: float) -> None:
        """Put the clock of SQS forward by *seconds* in total, instead of waiting."""
        new = self.directory / "new-clock"
        new.write_text(str(seconds))
        new.replace(self.directory / CLOCK)  # so that it is never read half-written

    def kill(self, function: str) -> int:
        """Kill the processes that run *function*, as a crash; return their number."""
        listed = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,args="],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        code = str(self.directory / f"ministack-lambda-{function}-")
        pids = [int(line.split()[0]) for line in listed if code in line]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return len(pids)


@contextmanager
def start_aws(host: str, step: Progress) -> Iterator[LocalAws]:
    """Yield an empty local AWS on *host*; stop it afterwards."""
    port = _find_free_port(host)
    endpoint = f"http://{host}:{port}"
    environment = local_environment(
        endpoint, BIND_HOST=host, GATEWAY_PORT=str(port), IOT_MTLS_ENABLED="0"
    )
    server = ROOT / "local_stack/ministack_types.py"
    command: list[str | Path] = [ROOT / ".venv/stack/bin/python", "-P", server]
    with tempfile.TemporaryFile("w+") as log:
        options = {"stdout": log, "stderr": log}
        with start(command, environment, **options) as (process, folder):
            with step("start the local AWS"):
                _wait(process, f"{endpoint}/_ministack/health", log)
            yield LocalAws(endpoint, folder)


def local_environment(endpoint: str, **more: str) -> dict[str, str]:
    """Return the environment of a process that must not reach the real AWS."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    location = {"AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": endpoint}
    return others | _CREDENTIALS | location | more


def client(service: str, endpoint: str, region: str = REGION) -> Any:
    """Return a boto3 client of the local AWS at *endpoint*."""
    create: Any = boto3.client  # its type accepts only literal service names
    return create(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def receive_all(sqs: Any, queue: str) -> list[str]:
    """Receive and delete all messages of *queue*, a URL, and return their bodies."""
    bodies = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        for message in messages:
            bodies.append(message["Body"])
            receipt = message["ReceiptHandle"]
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=receipt)
    return bodies


def run_sam(*arguments: str, folder: Path = ROOT, **environment: str) -> str:
    """Run the SAM command line in *folder* and return its output; exit if it fails.

    If an *environment* is given, it replaces that of this process, so that no AWS
    account is in it.
    """
    # `sam build` looks for python3.13 and its pip on the PATH.
    path = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    options = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": _POLL_SECONDS}
    with start(
        [ROOT / ".venv/stack/bin/sam", *arguments],
        {**(environment or os.environ), **options, "PATH": path},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as (process, _):
        assert process.stdout
        output = process.stdout.read()
        if process.wait():
            raise SamError(f"{output}\nsam {arguments[0]} failed, see above")
    return output


def _wait(process: subprocess.Popen[str], url: str, log: IO[str]) -> None:
    """Wait until *url* responds; exit with the *log* if it doesn't."""
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    log.seek(0)
    sys.exit(f"the local AWS did not start:\n{log.read()}")


def _find_free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])
