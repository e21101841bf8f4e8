"""Time cold starts: from the start of the process to its first answer.

Each goes through Lambda's own runtime client and Runtime Interface Emulator, of which
aws-sam-cli brings the binary.
"""

import http.client
import json
import platform
import socket
import subprocess
import sys
import time
from typing import Any

from bench.contenders import ROOT, Contender, Upstream

_EMULATOR = next(
    (ROOT / ".venv/stack/lib").glob(
        "python*/site-packages/samcli/local/rapid/aws-lambda-rie-"
        + {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
    )
)
_GIVE_UP_SECONDS = 30


def start(contender: Contender, upstream: Upstream, call: Any) -> float:
    """Return the seconds until a new process has answered *call*."""
    runtime, emulator = _free_address(), _free_address()
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
        answer = _call(emulator, json.dumps(call))
        seconds = time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(timeout=_GIVE_UP_SECONDS)
    if answer.get("statusCode") != 200:
        sys.exit(f"{contender.name} answered {answer}")
    return seconds


def _call(address: str, body: str) -> Any:
    give_up = time.monotonic() + _GIVE_UP_SECONDS
    while time.monotonic() < give_up:
        connection = http.client.HTTPConnection(address, timeout=_GIVE_UP_SECONDS)
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


def _free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"
