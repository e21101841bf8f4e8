"""The ledger: what was sent, billed and missing."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import write
from tests.segment_to_hyperline.reconciliation.planted import (
    EVENTS,
    SEATS,
    Run,
    alter,
    bill,
    delete,
    event,
)


def test_the_ledger_shows_usage_as_sent_and_as_billed(
    run: Run, archive: Path, hyperline: FakeHyperline, tmp_path: Path
) -> None:
    """Totals are those of Hyperline's rows, whatever is missing, altered or added."""
    delete(hyperline, 10, 20)
    alter(hyperline, (SEATS, "m-30"), record={"id": "m-30", "seats": 9.5})
    extra = event(40, messageId="x-1", properties={"seats": 100})
    bill(hyperline, [extra])
    more = [
        event(1, type="identify", messageId="i"),
        event(2, userId=None, messageId="u"),
    ]
    (archive / "more.ndjson").write_text("\n".join(map(write, more)))
    parked = tmp_path / "replay.json"
    parked.write_text(json.dumps({"reason": "down", "events": [EVENTS[10]]}))
    arguments = ("ledger", str(archive), "--to", "2026-01-02", "--queued", str(parked))

    done = run(*arguments)
    as_json = json.loads(run(*arguments, "--json", "--by", "month").stdout)

    assert done.returncode == 1
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    # 144 events with 3 seats each; two are missing, one has 9.5, and one more 100.
    position = lines.index("Seats Added customer-0 144 143 2")
    assert lines[position + 1] == "seats 432 sent, 532.5 billed"
    reason = "rule 1 (track): customer_id: userId is null"
    assert f"1 {parked}" in lines
    assert f"2026-01-01 1 quarantined {reason}" in lines
    assert "2026-01-01 1 filtered no rule matches" in lines
    billed = sum(usage["billed"]["events"] for usage in as_json["usage"])
    stored = [json.loads(body) for body in hyperline.store.values()]
    assert billed == len([e for e in stored if e["timestamp"] < "2026-01-02"])
    total = sum(usage["billed"]["totals"]["seats"] for usage in as_json["usage"])
    assert total == sum(
        e["record"]["seats"] for e in stored if e["timestamp"] < "2026-01-02"
    )
    assert {usage["period"] for usage in as_json["usage"]} == {"2026-01"}


def test_the_ledger_of_equal_events_matches(run: Run, archive: Path) -> None:
    """The exit status is 0."""
    done = run("ledger", str(archive), "--by", "month")

    assert done.returncode == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    position = lines.index("Report Sent customer-1 600 600 0")
    assert lines[position + 1] == "seats 1,800"


def test_a_damaged_export_makes_the_ledger_incomplete(
    run: Run, archive: Path, tmp_path: Path
) -> None:
    """What is missing could be in it."""
    (tmp_path / "replay.json").write_text('{"reason": "down", "events": [{"a":')

    done = run("ledger", str(archive), "--queued", str(tmp_path / "replay.json"))

    assert done.returncode == 1
    assert "replay.json:1: not JSON" in done.stdout
    assert "incomplete, because 1 part of the input" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "changes", [{"timestamp": "2026-03-01T00:00:00Z"}, {"record": {"id": "m-100"}}]
)
def test_the_ledger_does_not_match_if_an_event_differs(
    run: Run, archive: Path, hyperline: FakeHyperline, changes: dict[str, Any]
) -> None:
    """An event with another timestamp is billed in another period."""
    alter(hyperline, (SEATS, "m-100"), **changes)

    done = run("ledger", str(archive), "--by", "month")

    assert done.returncode == 1
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    if "timestamp" in changes:
        position = lines.index("Seats Added customer-0 0 1 0")
        assert lines[position - 2 : position] == [
            "2026-03 (outside of the range)",
            "event type customer sent billed missing",
        ]
        assert lines[position + 1] == "seats 0 sent, 3 billed"


def test_the_ledger_counts_an_unchecked_event_as_missing(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """It is not known to be billed."""
    assert hyperline
    path = tmp_path / "comma.ndjson"
    path.write_text(write(event(9_000, messageId="a,b")))

    done = run("ledger", str(path), "--json")

    (usage,) = [u for u in json.loads(done.stdout)["usage"] if u["sent"]["events"]]
    assert (usage["missing"], usage["billed"]["events"]) == (1, 0)
