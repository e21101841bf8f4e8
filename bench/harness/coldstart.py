"""Measure cold starts: from the start of a process to its first response.

The process runs Lambda's own runtime client and Runtime Interface Emulator; the
emulator's binary is part of aws-sam-cli.
"""

import http.client
import json
import platform
import socket
import subprocess
import sys
import time
from typing import Any

from bench.harness.build import Contender
from bench.harness.processes import Upstream
from local_stack.aws import ROOT

_EMULATOR = next(
    (ROOT / ".venv/stack/lib").glob(
        "python*/site-packages/samcli/local/rapid/aws-lambda-rie-"
        + {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    )
)
_TIMEOUT_SECONDS = 30


def measure(contender: Contender, upstream: Upstream, request: Any) -> float:
    """Return the seconds until a new process has responded to *request*."""
    runtime, emulator = _find_free_address(), _find_free_address()
    client = [
        sys.executable,
        "-m",
        "awslambdaric",
        f"{contender.module}.lambda_handler",
    ]
    began = time.perf_counter()
    process = subprocess.Popen(
        [
            _EMULATOR,
            *("--runtime-api-address", runtime),
            *("--runtime-interface-emulator-address", emulator),
            *client,
        ],
        cwd=contender.folder,
        env=upstream.environment() | {"LAMBDA_TASK_ROOT": str(contender.folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        response = _invoke(emulator, json.dumps(request))
        seconds = time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(timeout=_TIMEOUT_SECONDS)
    if response.get("statusCode") != 200:
        sys.exit(f"{contender.name} returned {response}")
    return seconds


def _invoke(address: str, body: str) -> Any:
    """Return the function's response, once the emulator listens on *address*."""
    end = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(
                "POST", "/2015-03-31/functions/function/invocations", body
            )
            return json.loads(connection.getresponse().read())
        except ConnectionRefusedError:
            time.sleep(0.002)
        finally:
            connection.close()
    sys.exit("the emulator did not start")


def _find_free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"
