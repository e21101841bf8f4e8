"""What the functions do when they start, which takes time at each cold start."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# How many modules each handler may import: a tenth more than it needs, so that most
# updates of dependencies pass, and a large package fails.
MAX_MODULES = {"receiver": 560, "replayer": 600}
# What neither may import at a cold start, and why. Some of it is not deployed at all.
FORBIDDEN = {
    "asyncio": "43 modules; requests and threads suffice",
    "aws_lambda_powertools.event_handler": "172 modules; there is one route",
    "aws_lambda_powertools.utilities.parser": "134 modules, with pydantic",
    "aws_xray_sdk": "Lambda traces without it",
    "click": "only for the command line",
    "pydantic": "the mapping validates the events",
    "rich": "only for the command line",
    "unittest": "60 modules, only for tests",
    "yaml": "only for the simulation",
    "segment_to_hyperline.archive": "only for the command line",
    "segment_to_hyperline.cli": "only for the command line",
    "segment_to_hyperline.preview": "only for the command line",
    "segment_to_hyperline.reconciliation": "only for the command line",
    "segment_to_hyperline.simulation": "only for the command line",
}
IMPORT = """
import sys

def forbid(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.bind",
                         "socket.sendto", "subprocess.", "os.fork", "_thread.start")):
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(forbid)
before = set(sys.modules)
__import__(sys.argv[1])
for name in set(sys.modules) - before:
    # requests.packages has its dependencies a second time, under other names.
    if not name.startswith("requests.packages."):
        print(name)
"""


def start(module: str) -> list[str]:
    """Import *module*, a handler, without network; return all imported modules."""
    started = subprocess.run(
        [sys.executable, "-c", IMPORT, module],
        cwd=ROOT / "function",
        env={
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    return started.stdout.splitlines()


@pytest.mark.parametrize("module", [*MAX_MODULES, "daily_check"])
def test_a_function_starts_without_connections_threads_and_processes(
    module: str,
) -> None:
    """With SnapStart, many instances of a function start from one snapshot."""
    assert module in start(module)


@pytest.mark.parametrize("module", MAX_MODULES)
def test_a_function_imports_little(module: str) -> None:
    """Each module takes time at each cold start, and some packages take much."""
    imported = start(module)

    names = "".join(f"\n{name}." for name in imported)
    assert not {n: why for n, why in FORBIDDEN.items() if f"\n{n}." in names}
    assert len(imported) <= MAX_MODULES[module]
