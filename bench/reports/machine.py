"""Describe what was measured and where: programs, processor, size of the artifact."""

import platform
import re
import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

from local_stack.aws import run_sam


def zipped_bytes(folder: Path) -> int:
    """Return the size of *folder* as it is uploaded to Lambda."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return buffer.tell()


def versions() -> list[str]:
    """Return the versions of the programs that were used."""
    lines = [
        f"Python {platform.python_version()}",
        run_sam("--version").strip().replace(", version", ""),
    ]
    if node := shutil.which("node"):
        shown = subprocess.run([node, "--version"], capture_output=True, check=True)
        lines.append(f"Node {shown.stdout.decode().strip()}")
    return lines


def processor() -> str:
    """Return the processor's name, or its architecture if the name is unknown."""
    try:
        facts = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        facts = ""
    found = re.search(r"^model name\s*: (.+)$", facts, re.MULTILINE)
    return found[1] if found else platform.machine()
