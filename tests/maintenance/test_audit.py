"""The audit of the deployed packages."""

import re

import pytest

from maintenance.audit import REQUIREMENTS, summarize

CLEAN = {"name": "requests", "version": "2.0", "vulns": []}
VULNERABLE = {
    "name": "urllib3",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}],
}
UNKNOWN = {"name": "certifi", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "message", "status"),
    [
        ([CLEAN], "1 packages audited, no known vulnerability", 0),
        ([CLEAN, VULNERABLE, UNKNOWN], "urllib3 1.0: PYSEC-1, fixed in 1.1", 1),
        ([CLEAN, UNKNOWN], "not audited: PyPI's advisories can't be read (certifi)", 0),
        ([], "not audited: PyPI's advisories can't be read (no package)", 0),
    ],
)
def test_an_audit_that_was_not_made_is_not_a_clean_one(
    packages: list[dict[str, object]], message: str, status: int
) -> None:
    """Only an audit of every package reports that there is no vulnerability."""
    assert summarize(packages) == (message, status)


def test_only_known_files_are_deployed() -> None:
    """Each package has one version and hashes, so pip rejects any other file."""
    text = REQUIREMENTS.read_text("utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line.lstrip()[:1] not in {"", "#"}]

    pinned = re.compile(r"[\w-]+==\S+(?: +--hash=sha256:[0-9a-f]{64})+ *(?:#.*)?")
    assert lines
    assert [line for line in lines if not pinned.fullmatch(line)] == []
