"""Look for known vulnerabilities in the packages that are deployed.

An audit that could not be made is reported as such, because it looks like a clean one.
"""

import json
import subprocess
import sys
from typing import Any

from local_stack.aws import ROOT

PIP_AUDIT = ROOT / ".venv/audit/bin/pip-audit"
REQUIREMENTS = ROOT / "function/requirements.txt"


def run_pip_audit() -> list[dict[str, Any]]:
    """Return what pip-audit knows about each package; empty if it knows nothing."""
    done = subprocess.run(
        [
            *(PIP_AUDIT, "--requirement", REQUIREMENTS, "--disable-pip", "--no-deps"),
            *("--format=json", "--progress-spinner=off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return []
    return packages


def summarize(packages: list[dict[str, Any]]) -> tuple[str, int]:
    """Return a message about *packages* as pip-audit describes them, and a status."""
    vulnerable = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in"
        f" {', '.join(vulnerability['fix_versions']) or 'no version'}"
        for package in packages
        for vulnerability in package.get("vulns", [])
    ]
    if vulnerable:
        return "\n".join(vulnerable), 1
    unknown = [p["name"] for p in packages if "skip_reason" in p]
    if unknown or not packages:
        which = ", ".join(unknown) or "no package"
        return f"not audited: PyPI's advisories can't be read ({which})", 0
    return f"{len(packages)} packages audited, no known vulnerability", 0


if __name__ == "__main__":
    message, status = summarize(run_pip_audit())
    print(message)
    sys.exit(status)
