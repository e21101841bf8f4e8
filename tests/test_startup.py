"""What the functions do when they start, which takes time at each cold start."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# Lambda's runtime contains these packages; their modules are not listed one by one.
RUNTIME = {"boto3", "botocore", "s3transfer", "dateutil", "simplejson"}
# Imported only by packages with machine code, which function/Makefile does not install.
NOT_DEPLOYED = {"cython_runtime"}
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


def summarize(modules: list[str]) -> list[str]:
    """Return *modules* without private ones, and other libraries by their name only."""
    libraries = sys.stdlib_module_names | RUNTIME
    names = {m.split(".")[0] if m.split(".")[0] in libraries else m for m in modules}
    return sorted(name for name in names - NOT_DEPLOYED if not name.startswith("_"))


@pytest.mark.parametrize("module", ["receiver", "replayer"])
def test_a_function_starts_without_connections_threads_and_processes(
    module: str,
) -> None:
    """With SnapStart, many instances of a function start from one snapshot."""
    assert module in start(module)


def test_the_receiver_imports_only_known_modules() -> None:
    """Each module takes time at each cold start.

    If a change is intended, copy the captured output of this test to imported.txt.
    """
    known = (TESTS / "imported.txt").read_text("utf-8").splitlines()

    imported = summarize(start("receiver"))

    sys.stdout.write("\n".join(imported))
    assert imported == known
