"""What the function does when it starts, which each cold start pays for."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# The AWS SDK comes with Lambda's runtime; how it is divided is its own business.
SDK = {"boto3", "botocore", "s3transfer", "dateutil"}
IMPORT = """
import sys

def forbid(event, arguments):
    if event.startswith(("socket.connect", "socket.getaddrinfo", "socket.bind",
                         "socket.sendto", "subprocess.", "os.fork", "_thread.start")):
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(forbid)
before = set(sys.modules)
__import__(sys.argv[1])
print(*(set(sys.modules) - before), sep="\\n")
"""


def start(module: str) -> list[str]:
    """Import a handler with the network forbidden; return all that is imported."""
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
    """Return the modules of ours and of packages, and the libraries of others."""
    tops = sys.stdlib_module_names | SDK
    names = {m.split(".")[0] if m.split(".")[0] in tops else m for m in modules}
    return sorted(name for name in names if not name.startswith("_"))


@pytest.mark.parametrize("module", ["app", "replayer"])
def test_nothing_is_fetched_or_begun_when_a_function_starts(module: str) -> None:
    """A snapshot of it can be restored many times: no connection, thread or process."""
    assert module in start(module)


def test_what_the_receiver_imports_is_known() -> None:
    """Each module takes time at each cold start, so a new one must be meant.

    If it is, write the list anew from what this prints.
    """
    known = (TESTS / "imported.txt").read_text("utf-8").splitlines()

    assert summarize(start("app")) == known
