"""Every output says where it is from, and its summary what it found."""

import csv
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local_stack.fake_hyperline import FakeHyperline
from segment_to_hyperline.reconciliation.api.customers import Customers
from segment_to_hyperline.reconciliation.compare import Total
from segment_to_hyperline.reconciliation.differences import Differences
from segment_to_hyperline.reconciliation.expected.store import Store
from segment_to_hyperline.reconciliation.findings import (
    DIFFERENT,
    MISSING,
    UNCHECKED,
    UNEXPECTED,
    Finding,
)
from segment_to_hyperline.reconciliation.header import Header, MappingVersion
from segment_to_hyperline.reconciliation.reconcile import Reconciliation
from tests.segment_to_hyperline.reconciliation.helpers import DAY, SEATS, START
from tests.segment_to_hyperline.reconciliation.planted import ROOT, Run, delete

KINDS = [MISSING, DIFFERENT, UNEXPECTED, UNCHECKED]
COMMANDS = [
    *(("reconcile", "--format", form) for form in ("text", "json", "csv", "markdown")),
    *(("ledger",), ("ledger", "--json")),
]
HEADER = Header(
    host="https://ingest.hyperline.co",
    environment="production",
    read_at="2026-02-01T00:00:00Z",
    start=START,
    end=START + DAY,
    mappings=(MappingVersion("m" * 200, "a" * 64, "git commit 1234567"),),
    files=1,
    events=2,
    sha256="b" * 64,
    customers="looked up in Hyperline",
)


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    """A mapping whose name is longer than a line."""
    folder = tmp_path / ("long-" * 20)
    folder.mkdir()
    return Path(shutil.copy(ROOT / "function/mapping.toml", folder / "mapping.toml"))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("options", [(), ("--max", "1")])
def test_every_output_says_where_it_is_from(
    run: Run,
    archive: Path,
    mapping: Path,
    hyperline: FakeHyperline,
    command: tuple[str, ...],
    options: tuple[str, ...],
) -> None:
    """Also the totals of too many differences; the ledger has none of these."""
    delete(hyperline, 10, 20)
    until = "--to", "2026-01-03"

    done = run(*command, str(archive), *until, *options, "--mapping", str(mapping))

    assert done.returncode == 1
    if command[0] == "ledger" and options:
        assert done.stdout == ""
        return
    text = " ".join(done.stdout.split())
    assert hyperline.url in text
    assert "sandbox" in text
    assert "2026-01-01T00:00:00.000Z" in text
    assert "2026-01-03T00:00:00.000Z" in text
    assert "UTC" in text
    digest = hashlib.sha256(mapping.read_bytes()).hexdigest()
    files = sorted(archive.rglob("*.gz"))
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    total = hashlib.sha256("".join(hashes).encode()).hexdigest()
    length = 64 if command[-1].endswith("json") else 12
    assert digest[:length] in text
    assert total[:length] in text
    assert "no git commit" in text
    assert "inferred from the events: HYPERLINE_CORE_URL is not set" in text
    assert text.count("Z") >= 3  # when it was read, besides the range


def test_only_rows_follow_the_header_of_csv(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """Programs skip the lines that begin with `#`."""
    delete(hyperline, 10)

    done = run("reconcile", str(archive), "--format", "csv")

    lines = done.stdout.splitlines()
    rest = [line for line in lines if not line.startswith("#")]
    assert lines[len(lines) - len(rest) :] == rest
    assert [row["record_id"] for row in csv.DictReader(rest)] == ["m-10"]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store for all examples."""
    with Store() as store:
        store.finish_input()
        yield store


def describe(
    store: Store, counts: list[int], expected: int, *, is_complete: bool = True
) -> Differences:
    """Return that so many differences of each kind were found."""
    for finding in store.findings():
        store.remove_findings(finding.event_type, finding.record_id)
    for kind, number in zip(KINDS, counts, strict=True):
        for n in range(number):
            finding = Finding(kind, SEATS, f"{kind}-{n}", START, "customer-1")
            store.add_finding(finding)
    totals = [Total(SEATS, expected, 0)]
    found = Reconciliation(
        *(START, START + DAY, [SEATS], store, Customers({}), "", totals, is_complete)
    )
    return Differences(found, HEADER, 3, show_values=True)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=4, max_size=4), st.integers(0, 10**9))
@example([0, 0, 0, 0], 0)
@example([30, 30, 30, 30], 10**9)
def test_the_summary_names_what_was_found(
    store: Store, counts: list[int], expected: int
) -> None:
    """And nothing of which there is none: "differences: 0 missing" says nothing."""
    differences = describe(store, counts, expected)
    summary = differences.summary()

    named = {kind: f"{n:,} {kind}" for kind, n in zip(KINDS, counts, strict=True) if n}
    assert [kind for kind in KINDS if f" {kind}" in summary] == list(named)
    assert all(phrase in summary for phrase in named.values())
    assert summary.startswith("There are differences: " if named else "Everything ma")
    assert " 0 " not in summary.replace(": 0 events expected", "")
    assert differences.matches == (not named)
    lines = list(differences.text())
    assert max(map(len, lines)) <= 80
    assert " ".join(lines[: lines.index("")]) == summary
    assert "".join(lines).count("sha256") == 2


@pytest.mark.parametrize("expected", [1, 183_347])
def test_too_many_differences_have_totals_and_no_list(
    store: Store, expected: int
) -> None:
    """What was found until then is only a part."""
    differences = describe(store, [3, 0, 2, 0], expected, is_complete=False)

    text = "\n".join(differences.text())
    markdown = "\n".join(differences.markdown())
    content: dict[str, Any] = json.loads(json.dumps(differences.to_json()))

    noun = "event" if expected == 1 else "events"
    summary = f"There are too many differences to list: {expected:,} {noun} expected."
    assert text.startswith(summary)
    assert markdown.startswith(summary)
    assert "missing-" not in text + markdown
    assert not differences.matches
    assert (content["matches"], content["complete"]) == (False, False)
    assert content["findings"] == []
    assert content["totals"] == [
        {"event_type": SEATS, "expected": expected, "actual": 0}
    ]
