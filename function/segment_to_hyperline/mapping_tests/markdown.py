"""Write what became of the tests of a mapping for a pull request."""

from collections.abc import Iterator

from segment_to_hyperline.mapping_tests.run import Report
from segment_to_hyperline.preview.mapping_diff import escape


def to_markdown(report: Report) -> Iterator[str]:
    """Yield *report* as Markdown: the tests that fail, and what is not tested."""
    if not report.results:
        yield "\nThe mapping has no tests."
        return
    yield f"\n**Tests of the mapping: {report.title}**"
    for test, diff in report.failed:
        yield f"\n{escape(test.name)}:\n\n```diff"
        # A line can't end the block.
        yield from (line.replace("```", "` ` `") for line in diff)
        yield "```"
    if report.unused:
        yield f"\nNot tested: {escape(', '.join(report.unused))}"
