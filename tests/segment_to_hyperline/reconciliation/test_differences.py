"""The differences between events and Hyperline that a reconciliation finds."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from local_stack.fake_hyperline import FakeHyperline
from local_stack.segment_requests import write
from tests.segment_to_hyperline.reconciliation.planted import (
    EVENTS,
    SEATS,
    Run,
    alter,
    bill,
    compare,
    delete,
    event,
    ids,
)


def test_equal_events_match_by_a_few_counts(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """A request for each type and day suffices, and the exit status is 0."""
    done = run("reconcile", str(archive))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Everything matches: 6,000 events expected")
    # And one to check the key, and one for each type before.
    assert len(hyperline.reads) == 2 * 5 + 2 + 1
    assert all("take=0" in path for path in hyperline.reads)
    assert hyperline.requests == []


def test_each_kind_of_difference_is_found(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """Missing and unexpected events by count, and contents with --deep."""
    delete(hyperline, 10, 3_000, 5_999)
    alter(hyperline, (SEATS, "m-100"), record={"id": "m-100", "seats": 4})
    bill(hyperline, [event(1_500, messageId="x-1"), event(4_501, messageId="x-2")])
    with (archive / "again.ndjson").open("w") as file:
        file.write(write(EVENTS[7]) + "\n")

    shallow = compare(run, archive)
    deep = compare(run, archive, "--deep")

    missing = ["m-10", "m-3000", "m-5999"]
    assert sorted(ids(shallow, "missing")) == sorted(ids(deep, "missing")) == missing
    assert set(ids(shallow, "unexpected")) == {"x-1", "x-2"}
    assert set(ids(deep, "unexpected")) == {"x-1", "x-2"}
    assert ids(deep, "different") == ["m-100"]
    (different,) = [f for f in deep["findings"] if f["kind"] == "different"]
    assert different["fields"] == {
        "record.seats": {"expected": 3, "actual": 4},
        "record.plan": {"expected": "team", "actual": None},
    }
    assert different["customer_id"] == "customer-0"
    assert deep["duplicates"] == [{"message_id": "m-7", "versions": 2}]
    assert not deep["matches"]


def test_differences_that_cancel_each_other_out_need_deep(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """On one day, one event of a type is missing and another one is unexpected."""
    delete(hyperline, 10)
    bill(hyperline, [event(50, messageId="x-1")])

    assert compare(run, archive)["matches"]
    deep = compare(run, archive, "--deep")
    assert (ids(deep, "missing"), ids(deep, "unexpected")) == (["m-10"], ["x-1"])


def test_values_can_be_hidden(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """A report for others then has no data of customers."""
    alter(hyperline, (SEATS, "m-100"), record={"id": "m-100", "secret": "jane"})

    result = compare(run, archive, "--deep", "--no-values")

    assert result["findings"][0]["fields"] == [
        *("record.plan", "record.seats", "record.secret")
    ]
    assert "jane" not in json.dumps(result)


def test_an_event_with_another_time_is_different_and_not_missing(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """It is looked up by its id before it is reported."""
    alter(hyperline, (SEATS, "m-2000"), timestamp="2026-03-01T00:00:00Z")

    result = compare(run, archive)

    assert ids(result, "missing") == []
    (finding,) = result["findings"]
    assert finding["fields"]["timestamp"]["actual"] == "2026-03-01T00:00:00.000Z"


def test_ids_with_commas_are_found(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """In a query, a list of ids is separated by commas."""
    events = [event(n, messageId=f"a,{n}") for n in range(6_000, 6_004)]
    bill(hyperline, events[1:])
    path = tmp_path / "events.ndjson"
    path.write_text("".join(write(e) + "\n" for e in events))

    result = compare(run, path, "--from", events[0]["timestamp"])

    assert ids(result, "missing") == []
    assert ids(result, "unchecked") == ["a,6000"]
    assert not ids(result, "unexpected")


def test_another_event_type_can_be_checked(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """Hyperline can't list its event types, so one that no event has is named."""
    bill(hyperline, [event(5, event="Other", messageId="x-1")])

    assert compare(run, archive)["matches"]
    assert ids(compare(run, archive, "--event-type", "Other"), "unexpected") == ["x-1"]


def test_the_result_can_be_a_table_csv_or_markdown(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """Differences are grouped by day, event type and customer."""
    delete(hyperline, 10, 20, 3_000)

    text = run("reconcile", str(archive)).stdout
    table = run("reconcile", str(archive), "--format", "csv").stdout
    markdown = run("reconcile", str(archive), "--format", "markdown").stdout

    assert "There are differences: 6,000 events expected, 3 missing" in text
    assert "2  missing  2026-01-01  Seats Added  customer-0" in text
    lines = table.splitlines(keepends=True)
    assert [line for line in lines if line.startswith("# Hyperline")]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert [row["record_id"] for row in rows] == ["m-10", "m-20", "m-3000"]
    assert "| 2 | missing | 2026-01-01 | Seats Added | customer-0 |" in markdown


def test_short_pages_are_completed(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """A server may return fewer rows than it was asked for."""
    hyperline.rows.max_page = 30
    delete(hyperline, 10)

    result = compare(run, archive, "--deep")

    assert [f["record_id"] for f in result["findings"]] == ["m-10"]


@pytest.mark.parametrize("customer", [None, "cus_another"])
def test_another_customer_is_a_difference(
    run: Run, archive: Path, hyperline: FakeHyperline, customer: str | None
) -> None:
    """Hyperline shows its own ids, so it is compared with that of other events."""
    alter(hyperline, (SEATS, "m-100"), customer_id=customer or "somebody else")
    if customer is None:
        hyperline.rows.customers["m-100"] = None

    (finding,) = compare(run, archive, "--deep")["findings"]

    assert (finding["kind"], finding["record_id"]) == ("different", "m-100")
    assert set(finding["fields"]) == {"customer_id"}


def test_odd_events_are_compared(
    run: Run, tmp_path: Path, hyperline: FakeHyperline
) -> None:
    """Lone surrogates, long ids, and a year far away, with few requests."""
    events = [
        event(8_000, messageId="\ud800"),
        event(8_001, messageId="x" * 3_000 + "%&=+"),
        event(8_002, messageId="y" * 3_000),
        event(8_003, timestamp="1970-01-01T00:00:00.001Z", receivedAt=None),
        event(8_004, timestamp="9999-12-31T23:00:00.000Z", receivedAt=None),
    ]
    path = tmp_path / "odd.ndjson"
    path.write_text("".join(json.dumps(e) + "\n" for e in events))

    result = compare(run, path, "--from", "1960-01-01", "--to", "1970-01-02")
    hyperline.reads.clear()
    everything = compare(run, path, "--deep", "--event-type", "Nothing")

    assert (result["expected"], len(ids(result, "missing"))) == (1, 1)
    assert len(ids(everything, "missing")) == 4
    # A lone surrogate can't be in a URL.
    assert ids(everything, "unchecked") == [r"\ud800"]
    assert len(hyperline.reads) < 200


def test_an_event_that_is_stored_twice_is_unexpected(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """It would be billed twice, and the ledger has it twice."""
    hyperline.rows.repeated.add("m-100")

    for options in ((), ("--deep",)):
        (finding,) = compare(run, archive, *options)["findings"]
        assert (finding["kind"], finding["record_id"]) == ("unexpected", "m-100")
        assert finding["fields"]["copies"] == {"expected": 1, "actual": 2}
    ledger = run("ledger", str(archive), "--to", "2026-01-02", "--json")
    usage = json.loads(ledger.stdout)["usage"]
    assert sum(u["billed"]["events"] - u["sent"]["events"] for u in usage) == 1
    assert (
        sum(
            u["billed"]["totals"]["seats"] - u["sent"]["totals"]["seats"] for u in usage
        )
        == 3
    )


def test_the_text_shows_what_is_in_the_input(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """Versions, what is outside of the range, what isn't billable, and damage."""
    more = [
        *(EVENTS[7], EVENTS[8]),
        event(0, type="identify", messageId="i"),
        *(event(n, userId=None, messageId=f"u-{n}") for n in range(2)),
    ]
    (archive / "more.ndjson").write_text("\n".join(map(write, more)))
    for number in range(30):
        (archive / f"damaged-{number:02}.ndjson").write_text("nonsense")
    alter(hyperline, (SEATS, "m-100"), record={"id": "m-100", "seats": 4})
    for number in range(200, 244, 2):
        alter(hyperline, (SEATS, f"m-{number}"), customer_id="other", timestamp="2026")
        hyperline.store.pop((SEATS, f"m-{number}"))
    hyperline.rows.forget()

    done = run("reconcile", str(archive), "--deep", "--to", "2026-01-02")

    text = done.stdout.splitlines()
    assert text[0].startswith("Incomplete: 1,440 events expected, 22 missing, 1 diff")
    assert "repeated in the input: 2" in text
    assert "billable, but outside of the range: 4,560" in text
    assert "2  quarantined  rule 1 (track): customer_id: userId is null" in text
    assert f"{archive}/damaged-00.ndjson:1: not JSON: Expecting value" in done.stdout
    assert "and 10 more; --format json or csv lists all" in text
    assert "    record.seats: expected 3, found 4" in text
    assert text[-1] == "and more; --format json or csv lists all"


def test_the_text_can_hide_values(
    run: Run, archive: Path, hyperline: FakeHyperline
) -> None:
    """The names of the fields are left."""
    alter(hyperline, (SEATS, "m-100"), record={"id": "m-100", "seats": "jane"})

    text = run("reconcile", str(archive), "--deep", "--no-values").stdout

    assert "    record.seats\n" in text
    assert "jane" not in text


def test_days_without_events_are_compared_too(run: Run, tmp_path: Path) -> None:
    """Hyperline has more on a day between others, before and after them."""
    day = 24 * 60
    path = tmp_path / "events.ndjson"
    chosen = [*EVENTS[day : 2 * day], *EVENTS[3 * day : 4 * day]]
    path.write_text("".join(write(each) + "\n" for each in chosen))

    result = compare(run, path, "--from", "2026-01-01", "--to", "2026-01-06")

    days = Counter(finding["time"][:10] for finding in result["findings"])
    assert days == {"2026-01-01": day, "2026-01-03": day, "2026-01-05": 6_000 - 4 * day}
    assert {finding["kind"] for finding in result["findings"]} == {"unexpected"}
