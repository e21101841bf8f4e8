"""Read docs/deployment.md: what the template must deploy, and why."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from local_stack.aws import ROOT
from tests.deployment.transformed import Stack

_PAGE = ROOT / "docs/deployment.md"


class Row(NamedTuple):
    """A row of a table."""

    resource: str
    property: str
    """The path to a property, or a statement of a policy."""
    value: str
    option: str
    """The parameter without which the row doesn't count, or nothing."""
    reason: str


class Page(NamedTuple):
    """The rows of the page, and without which parameter a resource doesn't exist."""

    rows: list[Row]
    options: Mapping[str, str]

    def expect(self, stack: Stack) -> dict[tuple[str, str], str]:
        """Return the rows that *stack* must have with its parameters."""
        valid = [
            row
            for row in sorted(self.rows, key=lambda row: row.option != "")
            if {row.option, self.options.get(row.resource, "")} - {""} <= stack.is_set
        ]
        return {
            (row.resource, row.property): _fill_in(row.value, stack.parameters)
            for row in valid
        }


def read_page() -> Page:
    """Return the content of the page."""
    rows: list[Row] = []
    options: dict[str, str] = {}
    for section in re.split(r"^#+ ", _PAGE.read_text("utf-8"), flags=re.MULTILINE):
        heading, _, text = section.partition("\n")
        title, _, option = heading.partition(" with ")
        resources = re.findall("`(.+?)`", title)
        if option:
            options |= dict.fromkeys(resources, _plain(option))
        for cells in _read_table(text) if resources else ():
            path, value, *needs, reason = map(_plain, cells)
            rows += [Row(r, path, value, "".join(needs), reason) for r in resources]
    return Page(rows, options)


def _read_table(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the table in *text*, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def _plain(cell: str) -> str:
    return cell.replace("`", "")


def _fill_in(value: str, parameters: Mapping[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        return parameters.get(match[1], match[0])

    return re.sub(r"\$\{(\w+)\}", replace, value) or '""'
