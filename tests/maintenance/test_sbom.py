"""The list of the packages that are deployed."""

import json
import re
import subprocess
from pathlib import Path

from local_stack.aws import ROOT


def test_the_sbom_has_what_is_deployed(tmp_path: Path) -> None:
    """Each package in its version, with the hashes of its files, and no other."""
    path = tmp_path / "folder" / "sbom.cdx.json"

    subprocess.run(["make", "sbom", f"SBOM={path}"], cwd=ROOT, check=True)

    sbom = json.loads(path.read_text("utf-8"))
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5")
    assert sbom["metadata"]["component"]["name"] == "segment-to-hyperline"
    installed = (ROOT / "function/requirements.txt").read_text("utf-8")
    pinned = set(re.findall(r"^(\S+)==(\S+)", installed, re.MULTILINE))
    assert {(each["name"], each["version"]) for each in sbom["components"]} == pinned
    listed = {
        package["content"]
        for each in sbom["components"]
        for file in each["externalReferences"]
        for package in file["hashes"]
    }
    assert set(re.findall(r"--hash=sha256:(\w+)", installed)) == listed
