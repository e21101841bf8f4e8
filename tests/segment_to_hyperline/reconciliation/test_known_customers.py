"""Customers are looked up, so that a wrong one is found even if all events have it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_stack.fake_core_api import FakeCoreApi
from local_stack.fake_hyperline import FakeHyperline, find_customer_id
from tests.segment_to_hyperline.reconciliation.planted import (
    SEATS,
    Run,
    alter,
    compare,
)

CUSTOMERS = [f"customer-{number}" for number in range(5)]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCoreApi]:
    """The core API that the commands read."""
    with FakeCoreApi(rate_limit=1_000_000) as api:
        for name in CUSTOMERS:
            api.add_customer(find_customer_id(name), name)
        monkeypatch.setenv("HYPERLINE_CORE_URL", api.url)
        yield api


def swap(hyperline: FakeHyperline) -> None:
    """Give all events of one customer to another one."""
    for key, body in list(hyperline.store.items()):
        if json.loads(body)["customer_id"] == CUSTOMERS[0]:
            alter(hyperline, key, customer_id=CUSTOMERS[1])


def test_all_events_of_a_customer_can_be_under_another_one(
    run: Run, archive: Path, hyperline: FakeHyperline, core: FakeCoreApi
) -> None:
    """Each is different; without access to customers, that can't be seen."""
    swap(hyperline)
    ids = [find_customer_id(name) for name in CUSTOMERS[:2]]

    result = compare(run, archive, "--deep", "--to", "2026-01-02")

    assert result["customers"] == "looked up in Hyperline"
    assert result["different"] == 24 * 60 / 5
    assert {tuple(f["fields"]["customer_id"].values()) for f in result["findings"]} == {
        tuple(ids)
    }
    text = run("reconcile", str(archive), "--deep", "--to", "2026-01-02").stdout
    assert "inferred" not in text
    core.forbidden.add("/v2/customers")
    result = compare(run, archive, "--deep", "--to", "2026-01-02")
    assert result["customers"].startswith("inferred from the events: the API key may")
    assert run("reconcile", str(archive)).stdout.startswith(
        "Everything matches: 6,000 events expected, customers inferred."
    )


def test_the_ledger_shows_the_customer_who_is_billed(
    run: Run, archive: Path, hyperline: FakeHyperline, core: FakeCoreApi
) -> None:
    """And not the one who should be."""
    assert core
    alter(hyperline, (SEATS, "m-100"), customer_id=CUSTOMERS[1])

    done = run("ledger", str(archive), "--json", "--by", "month")

    numbers = {
        row["customer_id"]: (
            row["sent"]["events"],
            row["billed"]["events"],
            row["billed"]["totals"]["seats"],
        )
        for row in json.loads(done.stdout)["usage"]
        if row["event_type"] == SEATS
    }
    assert numbers[CUSTOMERS[0]] == (600, 599, 1_797)
    assert numbers[CUSTOMERS[1]] == (600, 601, 1_803)
    assert numbers[CUSTOMERS[2]] == (600, 600, 1_800)


def test_the_time_range_must_not_be_empty(run: Run, archive: Path) -> None:
    """It is reported before anything is read."""
    done = run("reconcile", str(archive), "--from", "2026-01-02", "--to", "2026-01-02")

    assert done.returncode == 2
    assert "--from must be before --to" in done.stderr


def test_a_customer_is_corrected_also_if_the_right_one_is_unknown(
    run: Run, archive: Path, hyperline: FakeHyperline, core: FakeCoreApi
) -> None:
    """Hyperline creates it, or rejects the event; it isn't done before."""
    core.customers.pop(0)
    alter(hyperline, (SEATS, "m-100"), customer_id=CUSTOMERS[1])
    options = "--direct", "--different", "--old", "--to", "2026-01-02"
    planned = run("backfill", str(archive), "--plan", "plan.ndjson", *options)

    done = run("backfill", "--plan", "plan.ndjson", "--yes")

    assert planned.returncode == done.returncode == 0
    assert "done  overwrite  1" in done.stdout
    stored = json.loads(hyperline.store[SEATS, "m-100"])
    assert stored["customer_id"] == CUSTOMERS[0]
