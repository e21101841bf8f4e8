"""Names, files and costs in the documentation exist, and are those of the code."""

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from maintenance.alarms import read_alarms
from segment_to_hyperline.simulation.template import read_template
from segment_to_hyperline.telemetry import UNITS
from tests.documents import DOCUMENTS, ROOT, read, read_prose

TEMPLATES = ("template.yaml", "monitoring.yaml", "daily_check.yaml")
# tests/deployment/ compares this page with what SAM makes of the template.
NAMED = [name for name in DOCUMENTS if name != "docs/deployment.md"]
# Names that others have defined, and those of classes in CONTRIBUTING.md.
OTHERS = {
    *("Authorization", "Origin"),  # headers
    *("Infinity", "NaN"),  # values that JSON doesn't have
    "Disabled",  # a state of an event source mapping
    *("ListArchive", "WriteAuditLog"),  # statements of the policies in docs/policies/
    *("Error", "Fields", "Functions"),
}
# Names of 0.1.0, which docs/upgrading.md replaces.
FORMER = {"RequestsPerSecond", "UnauthorizedAlarm", "MalformedAlarm"}
# Files that a command writes.
WRITTEN = {"manifest.json", "doctor-probe.json"}
PRICED = ("README.md", "SECURITY.md", "docs/capacity.md")


def list_names(value: Any) -> Iterator[str]:
    """Yield the keys and the words in a template."""
    match value:
        case dict():
            for key, below in value.items():
                yield str(key)
                yield from list_names(below)
        case list():
            for below in value:
                yield from list_names(below)
        case str():
            yield from re.findall(r"[A-Z]\w+", value)


KNOWN = {
    *UNITS,
    *(alarm.name for alarm in read_alarms()),
    *(name for template in TEMPLATES for name in list_names(read_template(template))),
    *OTHERS,
}


@pytest.mark.parametrize("document", NAMED)
def test_names_are_those_of_the_template(document: str) -> None:
    """Alarms, metrics, parameters, outputs, resources and their properties."""
    text = read_prose(document)
    names = re.findall(r"`([A-Z][a-z]+(?:[A-Z][A-Za-z]*)*)`", text)
    names += re.findall(r"\b([A-Z]\w+Alarm)\b", text)

    unknown = {
        name for name in names if {name, name.removesuffix("s")}.isdisjoint(KNOWN)
    }

    assert unknown == (FORMER if document == "docs/upgrading.md" else set())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_of_the_repository_exist(document: str) -> None:
    """With their folder, or without one if there is such a file anywhere."""
    text = read_prose(document)
    folders = "docs|events|function|tests|local_stack|maintenance|bench"
    paths = re.findall(rf"`((?:{folders})/[\w./-]*\w)`", text)
    names = set(re.findall(r"`([\w-]+\.(?:md|toml|yaml|yml|py|json))`", text)) - WRITTEN

    assert [path for path in paths if not (ROOT / path).exists()] == []
    existing = {path.name for path in ROOT.glob("*") if path.is_file()} | {
        path.name
        for folder in (*folders.split("|"), ".github")
        for path in ROOT.glob(f"{folder}/**/*")
    }
    assert names - existing == set()


def list_costs() -> Iterator[float]:
    """Yield the costs in bench/README.md, and those that follow from them."""
    report = read("bench/README.md")
    rows = {
        cells[0]: float(cells[-1][1:].replace(",", ""))
        for row in re.findall(r"^\| (.+) \|$", report, re.MULTILINE)
        if re.fullmatch(r"\$[\d,.]+", (cells := row.split(" | "))[-1])
    }
    yield from rows.values()
    # What is always needed; the rest depends on the traffic and on parameters.
    yield sum(
        cost
        for what, cost in rows.items()
        if re.match(r"\d+ metrics that|\d+ alarms|1 composite|the secret", what)
        or what.startswith(("reading the secret every 5 minutes", "Lambda polling"))
    )
    (hourly,) = re.findall(r"cost \$([\d.]+) an hour", report)
    yield float(hourly) * 24
    (long_agent,) = re.findall(r"a million of these cost \$(\d+\.\d+)", report)
    yield float(long_agent) - rows["a million requests rejected with 401"]


@pytest.mark.parametrize("document", PRICED)
def test_costs_are_those_that_were_measured(document: str) -> None:
    """Each is about one of bench/README.md, or follows from them.

    The load of the machine differs between measurements, so 10% are allowed.
    """
    documented = re.findall(r"\$(\d[\d,.]*\d|\d)", read_prose(document))
    costs = list(list_costs())

    unknown = [
        text
        for text in documented
        if not any(is_about(float(text.replace(",", "")), cost) for cost in costs)
    ]

    assert documented
    assert unknown == []


def is_about(written: float, cost: float) -> bool:
    """Return whether *written* is *cost* as a sentence gives it."""
    return math.isclose(written, cost, rel_tol=0.1) or f"{cost:.1g}" == f"{written:g}"
