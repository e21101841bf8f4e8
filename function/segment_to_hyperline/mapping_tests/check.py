"""Check a mapping and its tests, as `sam build` does."""

from pathlib import Path

from segment_to_hyperline.mapping.file import load_rules
from segment_to_hyperline.mapping_tests.file import (
    NAME,
    MappingTestsError,
    load_tests,
)
from segment_to_hyperline.mapping_tests.run import Report, run_tests


def find_tests(mapping: Path) -> Path:
    """Return where the tests of a *mapping* are."""
    return mapping.with_name(NAME)


def run_files(mapping: Path, tests: Path) -> Report:
    """Return what becomes of the tests in a file.

    Raises `MappingFileError` or `MappingTestsError`.
    """
    return run_tests(load_rules(mapping), load_tests(tests))


def check_mapping(mapping: Path) -> None:
    """Raise `MappingFileError` for an invalid mapping, or `MappingTestsError`."""
    path = find_tests(mapping)
    report = run_files(mapping, path)
    if report.failed:
        failed = [
            "\n  ".join((f"{path.name}: line {test.line}: {test.name}", *diff))
            for test, diff in report.failed
        ]
        raise MappingTestsError("\n".join((*failed, f"{path.name}: {report.title}")))
