"""The command `test`."""

import json
from pathlib import Path

import click

from segment_to_hyperline.cli.mappings import mapping_option
from segment_to_hyperline.cli.statuses import CHECK_FAILED, fail, format_epilog
from segment_to_hyperline.mapping.mistakes import MappingFileError
from segment_to_hyperline.mapping_tests.check import find_tests, run_files
from segment_to_hyperline.mapping_tests.file import NAME, MappingTestsError
from segment_to_hyperline.text import format_count


@click.command(
    epilog=format_epilog(
        "test --mapping function/mapping.toml", {CHECK_FAILED: "a test fails"}
    ),
)
@mapping_option
@click.option(
    "--tests",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"File with the tests; by default {NAME} beside the mapping.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def test(mapping: Path, tests: Path | None, *, as_json: bool) -> None:
    """Run the tests beside the mapping.

    A test has an event, and what the mapping is to make of it. For each test that
    fails, what was expected (-) and what is so (+) are shown. Rules, and entries of
    tables, that no test uses are listed. Nothing is sent.
    """
    try:
        report = run_files(mapping, tests or find_tests(mapping))
    except (MappingFileError, MappingTestsError) as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        print(json.dumps(report.to_json()))
    else:
        print(*report.lines(), sep="\n")
    if report.failed:
        fail(f"{format_count(len(report.failed), 'test')} of the mapping failed")
