"""The lines of the checklist, for people and for programs."""

import pytest

from segment_to_hyperline.cli.doctor import format_check
from segment_to_hyperline.doctor.checklist import CHECKS, Line
from segment_to_hyperline.doctor.findings import Finding, accept, reject


def create_lines(*findings: Finding) -> list[Line]:
    """Return lines of the same check."""
    return [Line(CHECKS[0], finding) for finding in findings]


def test_what_to_do_follows_what_was_found() -> None:
    """In the next line, which is indented."""
    assert list(format_check(create_lines(reject("no such stack", "deploy it")))) == [
        "\x1b[31m  wrong   \x1b[0m  credentials         no such stack",
        "                                → deploy it",
    ]


def test_lines_are_wrapped_to_a_terminal() -> None:
    """Between words, below the first one; what is long stays in one piece."""
    found = "the stack was not found"
    finding = reject(" ".join([found] * 3), f"open {'x' * 60}")

    shown = "\n".join(format_check(create_lines(finding), 80)).splitlines()

    assert shown == [
        f"\x1b[31m  wrong   \x1b[0m  {'credentials':<20}{' '.join([found] * 2)}",
        f"{'':<32}{found}",
        f"{'':<32}→ open",
        f"{'':<34}{'x' * 60}",
    ]


@pytest.mark.parametrize("number", [10, 11])
def test_many_lines_of_a_check_are_counted(number: int) -> None:
    """The first ten of each result are shown."""
    findings = [accept(f"'{index}' is counted") for index in range(number)]

    shown = list(format_check(create_lines(*findings, reject("one", "do"))))

    more = [line for line in shown if "more like these" in line]
    assert len(more) == (number > 10)
    assert sum("is counted" in line for line in shown) == 10
    assert sum("wrong" in line for line in shown) == 1


def test_a_terminal_shows_no_control_characters() -> None:
    """Names are from events and from Hyperline."""
    (line,) = format_check(create_lines(accept("'\x1b[2J' is counted")))

    assert "\x1b[2J" not in line
