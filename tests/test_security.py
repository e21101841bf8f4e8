"""SECURITY.md names tests that exist, for each threat."""

import ast
import re
from pathlib import Path

import pytest

from maintenance.alarms import read_repository

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
# The sections with a table whose rows have tests.
SECTIONS = [
    "Threats and defences",
    "Replayed requests",
    "What customers can do with a browser source",
]


def read_rows(section: str) -> list[str]:
    """Return the rows of the table in a section, without its head."""
    text = TEXT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def find_tests(text: str) -> set[str]:
    """Return the tests that *text* names, such as `tests/test_x.py::test_y`."""
    return set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", text))


@pytest.mark.parametrize("section", SECTIONS)
def test_each_row_has_a_test(section: str) -> None:
    """A defence that nobody tests gets lost."""
    rows = read_rows(section)

    assert rows
    assert [row for row in rows if not find_tests(row)] == []


def test_the_tests_exist() -> None:
    """A test that was renamed must be renamed in SECURITY.md too."""
    tests = find_tests(TEXT)

    missing = []
    for name in tests:
        path, _, function = name.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        missing += [] if function in defined else [name]
    assert missing == []
    assert tests


def test_tests_are_named_in_full() -> None:
    """The name of a file alone doesn't say what is checked."""
    assert (
        re.findall(r"(?<![\w/])test_\w+(?!\.py::)", re.sub("`[^`]+`", "", TEXT)) == []
    )


def test_the_link_for_vulnerabilities_is_that_of_this_repository() -> None:
    """Whoever opens an issue is shown where to report one privately."""
    text = (ROOT / ".github/ISSUE_TEMPLATE/config.yml").read_text("utf-8")

    assert f"url: {read_repository()}/security/advisories/new\n" in text
