"""Build the contenders, each as Lambda unpacks it to /var/task."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from local_stack.aws import ROOT, run_sam

CONTENDERS = ROOT / "bench/contenders"
THIS, HAND_WRITTEN, FLOOR = "this function", "hand-written", "floor"
SEGMENT, REFERENCE, IMPORTS = "segment function", "reference", "imports"


class Contender(NamedTuple):
    """A handler: its folder and its module."""

    name: str
    folder: Path
    module: str


def build(directory: Path) -> dict[str, Contender]:
    """Build the contenders that are written in Python, below *directory*."""
    run_sam("build", "--build-dir", str(directory / "built"))
    this = Contender(THIS, directory / "built/Receiver", "receiver")
    hand_written = _copy(HAND_WRITTEN, directory / "hand-written")
    _install(hand_written.folder, "aws-lambda-powertools", "requests")
    bare = [_copy(name, directory / "bare") for name in (FLOOR, REFERENCE, IMPORTS)]
    return {contender.name: contender for contender in (this, hand_written, *bare)}


def _copy(name: str, folder: Path) -> Contender:
    folder.mkdir(exist_ok=True)
    module = name.replace("-", "_")
    shutil.copy(CONTENDERS / f"{module}.py", folder)
    return Contender(name, folder, module)


def _install(folder: Path, *packages: str) -> None:
    # Without a Makefile, `sam build` doesn't compile anything either.
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    quiet = ["--disable-pip-version-check", "--root-user-action", "ignore"]
    constraints = ["--constraint", str(ROOT / "function/requirements.txt")]
    target = ["--target", str(folder)]
    subprocess.run([*pip, *quiet, *target, *constraints, *packages], check=True)
